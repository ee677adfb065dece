"""Each key of [mqtt.mqueue] changes what the broker does: `test_<section>_<key>`, its effect and its absence."""
from typing import Any

from emqtwist.core import causes
from emqtwist.mqtt.packets import Publish
from tests.peers import World
from tests.scenes import publish

LASTING: dict[str, Any] = {"clean_start": False, "session_expiry_interval": 100_000_000}


def away(world: World, *filters: str) -> None:
    """The session of `bob`, subscribed at QoS 1, without its client."""
    bob = world.connect("bob", **LASTING)
    bob.subscribe(*filters, qos=1)
    bob.drop()


def kept(world: World) -> list[bytes]:
    """What `bob` gets when it comes back."""
    return world.connect("bob", **LASTING).payloads()


def test_mqtt_mqueue_type() -> None:
    for word, expected in (("simple", [b"a1", b"a2", b"a3", b"b1"]), ("priority", [b"a1", b"a2", b"b1", b"b2"])):
        world = World(f"mqtt.mqueue.type = {word}", f"mqtt.mqueue.max_length = {4 if word == 'simple' else 2}",
                      "mqtt.mqueue.on_full = drop_newest")
        away(world, "#")
        for payload in (b"a1", b"a2", b"a3", b"b1", b"b2"):
            publish(world, payload, topic=payload[:1].decode())
        assert kept(world) == expected


def test_mqtt_mqueue_priority() -> None:
    world = World("mqtt.mqueue.type = priority", "mqtt.mqueue.priority = b=1, c=2")
    away(world, "#")
    for topic in ("a", "b", "c", "d"):
        publish(world, topic.encode(), topic=topic)
    assert kept(world) == [b"c", b"b", b"a", b"d"]


def test_mqtt_mqueue_max_length() -> None:
    for length, expected in (("2", 2), ("unlimited", 4)):
        world = World(f"mqtt.mqueue.max_length = {length}")
        away(world, "a")
        publish(world, b"1", b"2", b"3", b"4")
        assert len(kept(world)) == expected


def test_mqtt_mqueue_max_bytes() -> None:
    for size, expected in (("4KB", 2), ("16KB", 4)):
        world = World(f"mqtt.mqueue.max_bytes = {size}")
        away(world, "a")
        publish(world, *[bytes(1200)] * 4)
        assert len(kept(world)) == expected


def levels(world: World, count: int) -> list[tuple[str, int]]:
    """What is told while a queue of 10 takes `count` messages and is emptied one by one."""
    away(world, "a")
    publish(world, *[b"x"] * count)
    bob = world.connect("bob", receive_maximum=1, **LASTING)
    while messages := bob.all(Publish):
        bob.acknowledge(*messages)
    return [(str(event[0]), int(str(event[2]))) for event in world.witness.events if str(event[0]).startswith("queue")]


def test_mqtt_mqueue_high_watermark() -> None:
    for mark, told in (("50%", 6), ("80%", 9)):
        world = World("mqtt.mqueue.max_length = 10", f"mqtt.mqueue.high_watermark = {mark}")
        assert levels(world, 10)[0] == ("queue_filling", told)


def test_mqtt_mqueue_low_watermark() -> None:
    for mark, told in (("10%", 0), ("40%", 3)):
        world = World("mqtt.mqueue.max_length = 10", f"mqtt.mqueue.low_watermark = {mark}")
        assert levels(world, 10)[1:] == [("queue_relieved", told)]


def test_mqtt_mqueue_store_qos0() -> None:
    for word, expected in (("on", [b"0", b"1"]), ("off", [b"1"])):
        world = World(f"mqtt.mqueue.store_qos0 = {word}")
        away(world, "a")
        publish(world, b"0", qos=0)
        publish(world, b"1", qos=1)
        assert kept(world) == expected


def test_mqtt_mqueue_on_full() -> None:
    for word, expected, cause in (("refuse", [b"1", b"2"], causes.QUEUE_FULL_REFUSED),
                                  ("drop_oldest", [b"2", b"3"], causes.QUEUE_FULL),
                                  ("drop_newest", [b"1", b"2"], causes.QUEUE_FULL)):
        world = World("mqtt.mqueue.max_length = 2", f"mqtt.mqueue.on_full = {word}")
        away(world, "a")
        publish(world, b"1", b"2", b"3")
        assert world.drops == {cause: 1}
        assert kept(world) == expected
