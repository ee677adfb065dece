"""The machines of docs/states.md."""
from typing import Any, Final

from emqtwist.core.connection import CLOSED, OPENING
from emqtwist.mqtt import packets as p
from emqtwist.mqtt.constants import DISCONNECT_WITH_WILL
from tests.peers import properties
from tests.states.machine import Machine, Scene

LONG: Final[dict[str, Any]] = {"clean_start": False, "session_expiry_interval": 1000}
UNKNOWN, TAKEN = 0x83, 0x80  # reason codes of a client that refuses a message


def nothing(scene: Scene) -> None:
    """The first state."""


# The network connection.


def _open(scene: Scene) -> None:
    scene.connect(keep_alive=10)


def _sending(packet: p.Packet) -> Any:
    def send(scene: Scene) -> None:
        scene.peer.version = scene.peer.version or 5
        scene.peer.send(packet)
    return send


def _malformed(scene: Scene) -> None:
    scene.peer.write(b"\x00\x00")
    scene.world.settle()


def _connection_state(scene: Scene) -> str:
    state = scene.peer.connection.state
    return {OPENING: "opening", CLOSED: "closed"}.get(state, "open")


CONNECTION: Final = Machine(
    "A network connection",
    "MQTT 5.0, Keep Alive 10 s. Before 5.0 a client is not told why it is closed, nor before its version is known.",
    {"opening": nothing, "open": _open},
    {
        "CONNECT": lambda scene: scene.peer.send(p.Connect(5, "bob", True, 10, None, None, None, False, None)),
        "PUBLISH, QoS 0": _sending(p.Publish(b"a", b"x")),
        "PUBLISH, QoS 1": _sending(p.Publish(b"a", b"x", 1, packet_id=1)),
        "PUBLISH, QoS 2": _sending(p.Publish(b"a", b"x", 2, packet_id=1)),
        "PUBACK": _sending(p.Puback(1)),
        "PUBREC": _sending(p.Pubrec(1)),
        "PUBREL": _sending(p.Pubrel(1)),
        "PUBCOMP": _sending(p.Pubcomp(1)),
        "SUBSCRIBE": _sending(p.Subscribe(1, [(b"b", 0)])),
        "UNSUBSCRIBE": _sending(p.Unsubscribe(1, [b"b"])),
        "PINGREQ": _sending(p.Pingreq()),
        "DISCONNECT": _sending(p.Disconnect()),
        "AUTH": _sending(p.Auth(0x19, properties(authentication_method="none"))),
        "a packet of the server's": _sending(p.Pingresp()),
        "bytes that are no packet": _malformed,
        "nothing for 16 s": lambda scene: scene.world.advance(16),
        "nothing for 31 s": lambda scene: scene.world.advance(31),
        "another connection of the client": lambda scene: scene.world.connect("bob").received().clear(),
        "the network is lost": lambda scene: scene.peer.drop(),
    },
    _connection_state,
)


# The session.


def _away(scene: Scene) -> None:
    scene.connect(**LONG)
    scene.peer.drop()


def _session_state(scene: Scene) -> str:
    session = scene.world.broker.sessions.by_id.get("bob")
    if session is None:
        return "none"
    return "away" if session.link is None else "transient" if not session.expiry_interval else "persistent"


SESSION: Final = Machine(
    "A session", "Persistent: its Session Expiry Interval (before 5.0: Clean Session 0) lets it outlive its connection.",
    {"none": nothing, "transient": lambda scene: scene.connect(), "persistent": lambda scene: scene.connect(**LONG),
     "away": _away},
    {
        "CONNECT, expiry 0": lambda scene: scene.connect(clean_start=False),
        "CONNECT, expiry 1000": lambda scene: scene.connect(**LONG),
        "CONNECT, Clean Start": lambda scene: scene.connect(**{**LONG, "clean_start": True}),
        "DISCONNECT": lambda scene: scene.peer.disconnect(),
        "DISCONNECT, expiry 0": lambda scene: scene.peer.disconnect(session_expiry_interval=0),
        "the network is lost": lambda scene: scene.peer.drop(),
        "1001 s pass": lambda scene: scene.world.advance(1001),
    },
    _session_state,
    frozenset((state, event) for state in ("none", "away")
              for event in ("DISCONNECT", "DISCONNECT, expiry 0", "the network is lost")),
)


# A message to a client.


def _sent(qos: int) -> Any:
    def bring(scene: Scene) -> None:
        scene.connect(**LONG)
        scene.peer.subscribe("a", qos=qos)
        scene.publish(qos)
    return bring


def _queued(scene: Scene) -> None:
    scene.connect(**LONG)
    scene.peer.subscribe("a", qos=2)
    scene.peer.drop()
    scene.publish(2)


def _released(scene: Scene) -> None:
    _sent(2)(scene)
    scene.peer.send(p.Pubrec(1))


def _message_state(scene: Scene) -> str:
    session = scene.world.broker.sessions.by_id.get("bob")
    if session is None or not (session.queued() or session.inflight.held):
        return "gone"
    if session.queued():
        return "waiting"
    held = session.inflight.held[1]
    return "released" if held is None else f"sent, QoS {held[1] >> 1 & 3}"


def _once_more(scene: Scene) -> None:
    if not scene.peer.closed:
        scene.peer.drop()
    scene.connect(**LONG)


MESSAGE: Final = Machine(
    "A message to a client", "At QoS 1 and 2. The client's window is open; a waiting message waits for the client to come back.",
    {"waiting": _queued, "sent, QoS 1": _sent(1), "sent, QoS 2": _sent(2), "released": _released},
    {
        "PUBACK": lambda scene: scene.peer.send(p.Puback(1)),
        "PUBACK with an error": lambda scene: scene.peer.send(p.Puback(1, UNKNOWN)),
        "PUBREC": lambda scene: scene.peer.send(p.Pubrec(1)),
        "PUBREC with an error": lambda scene: scene.peer.send(p.Pubrec(1, TAKEN)),
        "PUBCOMP": lambda scene: scene.peer.send(p.Pubcomp(1)),
        "the client connects again": _once_more,
        "the session ends": lambda scene: scene.connect(),
    },
    _message_state,
    frozenset(("waiting", event) for event in (
        "PUBACK", "PUBACK with an error", "PUBREC", "PUBREC with an error", "PUBCOMP")),
)


# A QoS 2 message from a client.


def _received(scene: Scene) -> None:
    scene.connect(**LONG)
    scene.peer.publish("a", b"x", qos=2, packet_id=1)


RECEIVED: Final = Machine(
    "A QoS 2 message from a client", "Nobody subscribes to its topic; it is passed on in the first step, and only there.",
    {"unknown": lambda scene: scene.connect(**LONG), "received": _received},
    {
        "PUBLISH": lambda scene: scene.peer.publish("a", b"x", qos=2, packet_id=1),
        "PUBLISH, DUP": lambda scene: scene.peer.publish("a", b"x", qos=2, packet_id=1, dup=True),
        "PUBREL": lambda scene: scene.peer.send(p.Pubrel(1)),
        "the client connects again": _once_more,
        "the session ends": lambda scene: scene.connect(),
    },
    lambda scene: "received" if scene.world.session("bob").received else "unknown",
)


# A Will.


def _armed(scene: Scene) -> None:
    scene.connect(will=p.Will(b"will", b"last words", properties=properties(will_delay_interval=100)), **LONG)


def _held(scene: Scene) -> None:
    _armed(scene)
    scene.peer.drop()


def _will_state(scene: Scene) -> str:
    if scene.peer.connection.will is not None:
        return "armed"
    return "held back" if len(scene.world.broker.wills) else "none"


WILL: Final = Machine(
    "A Will", "With a Will Delay Interval of 100 s, in a session that outlives its connection. A Will that leaves `held back` "
    "is published, unless its client is back.",
    {"none": nothing, "armed": _armed, "held back": _held},
    {
        "CONNECT with a Will": _armed,
        "CONNECT without": lambda scene: scene.connect(**LONG),
        "DISCONNECT": lambda scene: scene.peer.disconnect(),
        "DISCONNECT 0x04": lambda scene: scene.peer.disconnect(DISCONNECT_WITH_WILL),
        "the network is lost": lambda scene: scene.peer.drop(),
        "101 s pass": lambda scene: scene.world.advance(101),
    },
    _will_state,
    frozenset((state, event) for state in ("none", "held back")
              for event in ("DISCONNECT", "DISCONNECT 0x04", "the network is lost")),
)

MACHINES: Final = (CONNECTION, SESSION, MESSAGE, RECEIVED, WILL)
