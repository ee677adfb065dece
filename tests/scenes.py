"""What many tests begin with: bob, whose session outlives its connection, and others who publish, read and mourn."""
from typing import Any

import pytest

from emqtwist.mqtt.constants import SESSION_NEVER_EXPIRES
from emqtwist.mqtt.packets import Packet, Puback, Publish, Pubrec, Will
from tests.peers import Peer, World

ANSWERS: dict[int, type[Packet]] = {1: Puback, 2: Pubrec}  # to a PUBLISH, by its QoS
LAST_WORDS = Will(b"will", b"last words")
acknowledged = pytest.mark.parametrize("qos", [1, 2])

LASTING: dict[int, dict[str, Any]] = {
    3: {"clean_start": False}, 4: {"clean_start": False}, 5: {"clean_start": False, "session_expiry_interval": 1000}}


def arrive(world: World, version: int = 5, client_id: str = "bob", **options: Any) -> Peer:
    """A client with a session that outlives its connection."""
    return world.connect(client_id, version=version, **{**LASTING[version], **options})


def bob_subscribed(world: World, version: int = 5, qos: int = 2, **options: Any) -> Peer:
    bob = arrive(world, version, **options)
    assert bob.subscribe("a", qos=qos) == [qos]
    return bob


def publish(world: World, *payloads: bytes, topic: str = "a", qos: int = 1, **values: Any) -> None:
    """From another client."""
    alice = world.connect("alice")
    for payload in payloads:
        alice.publish(topic, payload, qos=qos, **values)
    alice.disconnect()


def brief(publishes: list[Publish]) -> list[tuple[int, bytes, bool]]:
    return [(publish.packet_id, publish.payload, publish.dup) for publish in publishes]


def reader(world: World, *filters: str) -> Peer:
    """A 5.0 peer that gets everything that is published there, at QoS 2."""
    peer = world.connect("reader")
    assert peer.subscribe(*(filters or ("#",)), qos=2) == [2] * (len(filters) or 1)
    return peer


def mourner(world: World) -> Peer:
    """A peer that is subscribed to where the Wills of these tests go."""
    peer = world.connect("mourner", session_expiry_interval=SESSION_NEVER_EXPIRES)
    peer.subscribe("will", qos=2)
    return peer
