"""Functions at hooks that wait, end connections, come and go; workers that are down: whatever happens, it adds up in the end."""
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from emqtwist.core.connection import CLOSED, OPEN, Connection
from emqtwist.core.hooks import ROWS
from emqtwist.core.pool import Worker
from emqtwist.mqtt.errors import ServerBusy
from emqtwist.mqtt.packets import Connect, Disconnect, Puback, Publish, Pubrec, Pubrel, Subscribe, Unsubscribe, Will
from tests.hookgates import Gate
from tests.peers import Peer, World

WAITING = [row.name for row in ROWS if row.waits]
NAMES = [row.name for row in ROWS if row.name != "client.connack"]
TOPICS = (b"t", b"u", b"t/#")


class Fray:
    """A broker, its clients, and the functions at its hooks; each action gets a number that decides on the details."""

    def __init__(self) -> None:
        self.world = World()
        self.broker = self.world.broker
        self.peers: list[Peer] = []
        self.gates: dict[str, Gate] = {}
        self.answered: dict[str, int] = {}  # peer -> how often client.connack was told of it
        self.broker.hooks.add("client.connack", self.note)

    def note(self, client: object, reason_code: int) -> None:
        peer = client.peer  # type: ignore[attr-defined]
        self.answered[peer] = self.answered.get(peer, 0) + 1

    def kick(self, *arguments: object) -> None:
        """The oldest connection goes."""
        for link in list(self.broker.links)[:1]:
            link.fail(ServerBusy("kicked"))

    def do(self, action: "Action", number: int) -> None:
        live = [peer for peer in self.peers if not peer.closed]
        action(self, live[number % len(live)] if live else self.enter(number), number)
        self.world.settle()
        for peer in self.peers:
            self.acknowledge(peer)

    def enter(self, number: int) -> Peer:
        peer = self.world.peer()
        peer.connection.peer.text = f"peer {len(self.peers)}"
        self.peers.append(peer)
        will = Will(b"t", b"gone", number % 3) if number % 2 else None
        peer.send(Connect(4 + number % 2, "ab"[number % 2], number % 3 == 0, will=will))
        return peer

    def acknowledge(self, peer: Peer) -> None:
        for packet in peer.received():
            if isinstance(packet, Publish) and packet.qos and not peer.closed:
                peer.send(Puback(packet.packet_id) if packet.qos == 1 else Pubrec(packet.packet_id))
            elif isinstance(packet, Pubrec) and packet.reason_code < 0x80 and not peer.closed:
                peer.send(Pubrel(packet.packet_id))

    def check(self) -> None:
        links = [link for link in self.broker.links if isinstance(link, Connection)]
        assert CLOSED not in [link.state for link in links]
        assert self.broker.stats.clients == len([link for link in links if link.state == OPEN])
        assert min(self.broker.metrics.counters().values()) >= 0
        assert set(self.answered.values()) <= {1}
        for session in self.broker.sessions.by_id.values():
            holders = (session.link, session.direct, session.opener)
            assert not [link for link in holders if isinstance(link, Connection) and link.session is not session]

    def end(self) -> None:
        """Everybody goes, and time passes: nothing is left."""
        for name, gate in self.gates.items():
            self.broker.hooks.delete(name, gate.function)
        for name in NAMES:
            self.broker.hooks.delete(name, self.kick)
        for worker in self.workers():
            worker.start()
        self.world.settle()
        for peer in [peer for peer in self.peers if not peer.closed]:
            peer.drop()
        self.world.advance(1e9)
        self.check()
        assert (self.broker.links, self.broker.sessions.by_id, self.broker.router.filters()) == ({}, {}, [])
        assert [worker.name for worker in self.workers() if worker.lines or worker.queued] == []

    def workers(self) -> list[Worker]:
        return [worker for pool in self.broker.pools.all() for worker in pool.workers]


def publish(fray: Fray, peer: Peer, number: int) -> None:
    peer.publish(TOPICS[number % 2].decode(), b"x", number % 3, retain=number % 5 == 0)


def subscribe(fray: Fray, peer: Peer, number: int) -> None:
    peer.send(Subscribe(peer.next_id(), [(TOPICS[number % 3], number % 3), (TOPICS[number % 2], 1)]))


def unsubscribe(fray: Fray, peer: Peer, number: int) -> None:
    peer.send(Unsubscribe(peer.next_id(), [TOPICS[number % 3]]))


def gate(fray: Fray, peer: Peer, number: int) -> None:
    """A function that waits comes, or goes: who waits for it then waits on."""
    name = WAITING[number % len(WAITING)]
    found = fray.gates.get(name)
    if found is None:
        fray.gates[name] = Gate(fray.world, name)
    else:
        fray.broker.hooks.add(name, found.function, ask=found.ask) or fray.broker.hooks.delete(name, found.function)


def decide(fray: Fray, peer: Peer, number: int) -> None:
    for each in fray.gates.values():
        if each.waits():
            each.answer()


def trap(fray: Fray, peer: Peer, number: int) -> None:
    """A function that ends the oldest connection comes, or goes."""
    name = NAMES[number % len(NAMES)]
    fray.broker.hooks.add(name, fray.kick) or fray.broker.hooks.delete(name, fray.kick)


def worker(fray: Fray, peer: Peer, number: int) -> None:
    """Some workers go down, or come back."""
    for each in fray.workers()[number % 3::3]:
        each.stop() if each.up else each.start()


Action = Callable[[Fray, Peer, int], object]
ACTIONS: list[Action] = [
    lambda fray, peer, number: fray.enter(number), publish, publish, subscribe, unsubscribe, gate, decide, decide, trap, worker,
    lambda fray, peer, number: peer.drop(), lambda fray, peer, number: peer.send(Disconnect()),
    lambda fray, peer, number: peer.stall() if number % 2 else peer.relieve(),
    lambda fray, peer, number: fray.world.advance(number % 40),
]


@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 59)), max_size=60))
def test_whatever_functions_do_to_connections_it_adds_up(actions: list[tuple[Action, int]]) -> None:
    fray = Fray()
    for action, number in actions:
        fray.do(action, number)
        fray.check()
    fray.end()
