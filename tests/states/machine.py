"""One state machine: how to get into each of its states, what can happen there, and what state it is in."""
from collections.abc import Callable
from typing import Any, NamedTuple

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Packet, Publish
from tests.peers import Peer, World

NO_RULE = "–"  # the event cannot happen in this state


class Scene:
    """A world with one client, `peer`, whose state is looked at; `others` have been there meanwhile."""

    def __init__(self) -> None:
        self.world = World()
        self.peer: Peer = self.world.peer()
        self.answers: list[Packet] = []

    def connect(self, **options: Any) -> None:
        """The client connects once more, as a new peer."""
        self.peer = self.world.peer()
        self.answers.append(self.peer.connect("bob", **options))

    def publish(self, qos: int, topic: str = "a") -> None:
        """Another client publishes."""
        other = self.world.connect("alice")
        other.publish(topic, b"x", qos=qos)
        other.disconnect()

    def hear(self) -> list[Packet]:
        """What the client was sent since the last call."""
        heard, self.answers = self.answers + self.peer.received(), []
        return heard


class Machine(NamedTuple):
    """`states` bring a new Scene into the state of that name, `events` happen in a Scene, `state_of` names its state.

    `impossible` pairs of state and event are left out.
    """

    title: str
    text: str
    states: dict[str, Callable[[Scene], None]]
    events: dict[str, Callable[[Scene], object]]
    state_of: Callable[[Scene], str]
    impossible: frozenset[tuple[str, str]] = frozenset()


class Step(NamedTuple):
    """What an event did: the state before and after, and what the client was sent."""

    before: str
    event: str
    after: str
    answer: str


def steps(machine: Machine) -> list[Step]:
    """Each possible event in each state."""
    return [_step(machine, before, event) for before in machine.states for event in machine.events
            if (before, event) not in machine.impossible]


def _step(machine: Machine, before: str, event: str) -> Step:
    scene = Scene()
    machine.states[before](scene)
    assert machine.state_of(scene) == before, (machine.title, before, machine.state_of(scene))
    scene.hear()
    machine.events[event](scene)
    return Step(before, event, machine.state_of(scene), ", ".join(_named(packet) for packet in scene.hear()))


def _named(packet: Packet) -> str:
    name = c.PACKET_NAMES[packet.type]
    if isinstance(packet, Publish):
        return f"{name} (DUP)" if packet.dup else name
    code = getattr(packet, "reason_code", 0)
    return f"{name} 0x{code:02X}" if code else name
