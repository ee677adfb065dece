"""Mountpoints: clients of one listener have a branch of topics to themselves, and do not see that it is one."""
import pytest

from emqtwist.app.doors import terms_of
from emqtwist.config import ConfigError, parse
from emqtwist.core.acl import PUBSUB, Acl, Pattern, Rule
from emqtwist.core.message import Message
from emqtwist.core.mounting import filled, mounted, seen
from emqtwist.core.who import Who
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import NotAuthorized
from emqtwist.mqtt.packets import Connect, Publish, Will
from tests.peers import Peer, World
from tests.stores import StoredWorld


def use(world: World, mountpoint: str) -> None:
    """Have those who connect from now on come by a listener with this mountpoint."""
    text = f"listener.tcp.a.bind = 127.0.0.1:0\nlistener.tcp.a.mountpoint = {mountpoint}"
    world.door.terms = terms_of(parse(text).listener.tcp[0])


def join(world: World, client_id: str, mountpoint: str, version: int = c.MQTT_5_0, **options: object) -> Peer:
    use(world, mountpoint)
    return world.connect(client_id, version=version, **options)


def topics(peer: Peer) -> list[bytes]:
    return [packet.topic_name for packet in peer.received() if isinstance(packet, Publish)]


@pytest.mark.parametrize("version", [c.MQTT_3_1, c.MQTT_3_1_1, c.MQTT_5_0])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_listener_mountpoint(version: int, qos: int) -> None:
    world = World()
    inside = join(world, "a", "x/", version)
    outside = join(world, "b", "", version)
    assert inside.subscribe("t/+", "$share/g/s", qos=qos) == [qos, qos]
    assert outside.subscribe("#", qos=qos) == [qos]
    for name in ("t/1", "s"):
        inside.publish(name, b"in", qos)
    assert topics(outside) == [b"x/t/1", b"x/s"]
    assert topics(inside) == [b"t/1", b"s"]
    outside.publish("t/2", b"out", qos)
    outside.publish("x/t/3", b"out", qos)
    assert topics(inside) == [b"t/3"]
    assert set(inside.unsubscribe("t/+", "$share/g/s")) <= {0}
    outside.publish("x/t/3", b"out", qos)
    assert topics(inside) == []


def test_connect_and_publish_in_one_chunk_are_within_the_mountpoint() -> None:
    world = World()
    outside = join(world, "b", "")
    outside.subscribe("#")
    use(world, "x/")
    inside = world.peer()
    inside.send(Connect(c.MQTT_5_0, "a"), Publish(b"t", b""))
    assert topics(outside) == [b"x/t"]


def test_topic_aliases_of_both_directions_stand_for_what_the_client_says() -> None:
    world = World()
    inside = join(world, "a", "x/", topic_alias_maximum=5)
    outside = join(world, "b", "")
    inside.subscribe("a/long/topic")
    outside.subscribe("#")
    inside.publish("a/long/topic", b"1", topic_alias=1)
    inside.publish("", b"2", topic_alias=1)
    assert topics(outside) == [b"x/a/long/topic"] * 2
    assert topics(inside) == [b"a/long/topic", b""]


def test_retained_messages_and_wills_are_within_the_mountpoint() -> None:
    world = World()
    outside = join(world, "b", "")
    outside.subscribe("#")
    inside = join(world, "a", "x/", will=Will(b"will", b"gone"))
    inside.publish("kept", b"1", retain=True)
    late = join(world, "late", "x/")
    late.subscribe("kept")
    assert topics(late) == [b"kept"]
    inside.drop()
    assert topics(outside) == [b"x/kept", b"x/will"]


def test_placeholders_are_the_clients_own() -> None:
    world = World()
    outside = join(world, "b", "")
    outside.subscribe("#")
    inside = join(world, "a", "%u/of-%c/", user_name="alice")
    inside.publish("t")
    assert topics(outside) == [b"alice/of-a/t"]


@pytest.mark.parametrize(("pattern", "client_id", "user_name"), [
    ("%u/", "a", None), ("%u/", "a", ""), ("%u/", "a", "b/c"), ("%c/", "+", None), ("%c/", "#", None), ("%c/", "$SYS", None)])
def test_who_cannot_have_a_place_does_not_get_in(pattern: str, client_id: str, user_name: str | None) -> None:
    world = World()
    use(world, pattern)
    assert world.peer().connect(client_id, user_name=user_name).reason_code == c.NOT_AUTHORIZED
    with pytest.raises(NotAuthorized):
        filled(pattern, client_id, user_name)


def test_placeholders_are_filled_once_and_other_signs_stay() -> None:
    assert filled("%c/%u/%d/100%/", "%u", "%c") == b"%u/%c/%d/100%/"


def test_access_rules_are_about_what_the_client_says() -> None:
    world = World()
    outside = join(world, "b", "")
    outside.subscribe("#")
    world.broker.acl = Acl([Rule(True, Who(), PUBSUB, [Pattern(b"t")])], False)
    inside = join(world, "a", "x/")
    assert inside.subscribe("t", "x/t", "u") == [0, c.NOT_AUTHORIZED, c.NOT_AUTHORIZED]
    for _ in range(2):  # the second time it is known
        inside.publish("t", b"")
    inside.publish("x/t", b"", 1)
    assert topics(outside) == [b"x/t"] * 2


def test_what_is_not_valid_stays_so_under_a_mountpoint() -> None:
    world = World()
    inside = join(world, "a", "x/")
    assert inside.subscribe("a#", "$share/g", "$exclusive/+") == [c.TOPIC_FILTER_INVALID] * 3
    assert inside.unsubscribe("none", "$share/g") == [c.NO_SUBSCRIPTION_EXISTED, c.TOPIC_FILTER_INVALID]
    inside.publish("a/+")
    assert inside.closed


@pytest.mark.parametrize("maximum", [0, 5])
def test_what_waits_in_the_store_is_shown_as_the_listener_wants_it(maximum: int) -> None:
    world = StoredWorld()
    outside = join(world, "b", "")
    options = {"clean_start": False, "session_expiry_interval": 100, "topic_alias_maximum": maximum}
    inside = join(world, "a", "x/", **options)
    assert inside.subscribe("t", qos=2) == [2]
    for number in (1, 2):
        outside.publish("x/t", b"%d" % number, 2)
    assert topics(inside) == [b"t", b"t"]
    inside.drop()
    assert topics(join(world, "a", "x/", **options)) == [b"t", b"t"]  # again, under their identifiers
    assert topics(join(world, "a", "", **options)) == [b"x/t", b"x/t"]


def test_older_clients_get_again_what_they_do_not_acknowledge() -> None:
    world = World("mqtt.session.retry_interval = 5s")
    inside = join(world, "a", "x/", c.MQTT_3_1_1)
    inside.subscribe("t", qos=1)
    inside.publish("t", b"", 1)
    world.advance(6)
    assert topics(inside) == [b"t", b"t"]


@pytest.mark.parametrize(("name", "inside"), [
    (b"a", b"x/a"), (b"#", b"x/#"), (b"$share/g/a", b"$share/g/x/a"), (b"$queue/a", b"$queue/x/a"),
    (b"$local/a", b"$local/x/a"), (b"$local/$share/g/a", b"$local/$share/g/x/a"), (b"$exclusive/a", b"$exclusive/x/a"),
    (b"$SYS/a", b"x/$SYS/a"), (b"$share/g", b"$share/g"), (b"", b""), (b"$exclusive/", b"$exclusive/")])
def test_the_mountpoint_comes_behind_prefixes(name: bytes, inside: bytes) -> None:
    assert mounted(b"x/", name) == inside


def test_only_what_has_more_than_the_mountpoint_loses_it() -> None:
    assert [seen(b"x/", topic) for topic in (b"x/a", b"x/", b"x", b"y/a")] == [b"a", b"x/", b"x", b"y/a"]


@pytest.mark.parametrize("text", ["x", "$x/", "a/+/", "a/#/"])
def test_other_mountpoints_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="end with /"):
        parse(f"listener.tcp.a.bind = 127.0.0.1:0\nlistener.tcp.a.mountpoint = {text}")


@pytest.mark.parametrize("world", [World, StoredWorld])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_who_looks_at_deliveries_sees_topics_as_they_are_inside(world: type[World], qos: int) -> None:
    here = world()
    told: list[bytes] = []

    def delivered(client_id: str, user_name: str | None, message: Message) -> None:
        told.append(message.topic)

    inside = join(here, "a", "x/", clean_start=False, session_expiry_interval=1000)
    inside.subscribe("t", qos=qos)
    here.broker.hooks.add("message.delivered", delivered)
    inside.publish("t", b"", qos)
    here.settle()
    assert topics(inside) == [b"t"]
    assert told == [b"x/t"]
