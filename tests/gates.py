"""A world whose broker knows one Authentication Method, and what it said to those who came."""
from emqtwist.core.access import Step
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Auth, Connack, Disconnect
from emqtwist.mqtt.properties import Properties
from tests.methods import NAME, Method, opening, yes
from tests.peers import Peer, World

NOBODY = "mqtt.allow_anonymous = off"


class Gate(World):
    """A world whose broker knows one method and lets in nobody else."""

    def __init__(self, *steps: Step, lines: tuple[str, ...] = (NOBODY,)) -> None:
        super().__init__(*lines)
        self.method = Method(*steps)
        self.broker.methods[NAME] = self.method

    def decide(self, step: Step) -> None:
        self.method.decide(step)
        self.settle()

    def enter(self, client_id: str = "a", **values: object) -> Peer:
        """A client that was accepted as alice."""
        self.method.steps.append(yes())
        peer = self.peer()
        peer.send(opening(client_id, **values))  # type: ignore[arg-type]
        assert peer.one(Connack).reason_code == c.SUCCESS
        return peer


def told(packet: Auth | Connack | Disconnect) -> tuple[int, str | None, bytes | None]:
    """Reason code, Authentication Method, Authentication Data."""
    made = packet.properties or Properties()
    if isinstance(packet, Disconnect):
        return packet.reason_code, None, None
    return packet.reason_code, made.authentication_method, made.authentication_data


def reason(packet: Connack | Disconnect) -> str | None:
    assert packet.properties is not None
    return packet.properties.reason_string
