"""Who is traced: connections of a client or an address from their CONNECT on, messages of a filter; and nobody else pays."""
from collections.abc import Callable

import pytest

from emqtwist.core.hooks import ROWS
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Connect, Publish, Subscribe
from emqtwist.services.trace.tapped import MOST_HELD, Tapped
from tests.observatory import Observatory
from tests.wires import Caller


def tapped(*callers: Caller) -> list[bool]:
    return [caller.protocol.connection.tap is not None for caller in callers]


def untouched(place: Observatory) -> bool:
    """Whether no packet has anything done for it."""
    broker = place.service.broker
    return broker.tapper is None and all(not broker.hooks.at[row.name] for row in ROWS if row.name.endswith("dropped"))


def packets(lines: list[str]) -> list[str]:
    """`received CONNECT` and the like."""
    return [" ".join(line.split()[2:4]) for line in lines]


def test_without_a_trace_nothing_is_done(place: Observatory) -> None:
    alice = place.client("alice")
    assert untouched(place)
    assert tapped(alice) == [False]
    assert alice.protocol.connection.broker.tapper is None


def test_a_trace_of_one_client_leaves_the_others_alone(place: Observatory) -> None:
    before = place.client("before")
    alice = place.client("alice")
    place.begin("client", "alice", "a.log")
    after = place.client("after")
    opening = place.caller()
    assert tapped(before, alice, after, opening) == [False, True, False, True]
    before.send(Publish(b"t", b""))
    place.write()
    assert tapped(before, alice, after) == [False, True, False]
    assert place.text("a.log")[0] == "alice 127.0.0.1:50000 connected version=5.0 seconds=0"
    assert len(place.text("a.log")) == 1


def test_when_the_last_trace_ends_all_is_as_before(place: Observatory) -> None:
    alice = place.client("alice")
    place.begin("client", "alice", "a.log")
    place.begin("topic", "#", "t.log")
    bob = place.client("bob")
    assert tapped(alice, bob) == [True, True]
    assert place.ask("trace", "topic", "#", "off") == "stop tracing topic # successfully.\n"
    place.write()
    assert tapped(alice, bob) == [True, False]
    place.ask("trace", "client", "alice", "off")
    place.write()
    assert tapped(alice, bob) == [False, False]
    assert untouched(place)
    assert place.traces == {}


def test_who_is_refused_is_traced_by_the_name_that_it_claims(make: Callable[..., Observatory]) -> None:
    place = make("mqtt.allow_anonymous = off", "listener.tcp.default.bind = 127.0.0.1:0")
    place.begin("client", "alice", "a.log")
    stranger = place.caller()
    stranger.send(Connect(5, "alice"))
    lines = place.text("a.log")
    assert packets(lines) == ["received CONNECT", "sent CONNACK", "ended cause=not_authorized"]


def test_a_client_is_traced_by_the_name_that_it_is_given(make: Callable[..., Observatory]) -> None:
    place = make("listener.tcp.default.bind = 127.0.0.1:0", "listener.tcp.default.use_username_as_clientid = on")
    place.begin("client", "carol", "c.log")
    caller, other = place.caller(), place.caller()
    caller.send(Connect(5, "something", user_name="carol"))
    other.send(Connect(5, "carol", user_name="dave"))
    caller.send(Publish(b"t", b""))
    lines = place.text("c.log")
    assert packets([line for line in lines if "dropped" not in line]) == [
        "received CONNECT", "sent CONNACK", "received CONNECT", "sent CONNACK", "received PUBLISH"]
    assert lines[0].startswith("carol 127.0.0.1:50000 received CONNECT version=5.0 client_id=something ")


def test_what_came_before_the_client_was_known_is_kept_within_bounds(place: Observatory) -> None:
    place.begin("client", "alice", "a.log")
    chatty = place.caller()
    chatty.send(Connect(5, "chatty"), *[Publish(b"t", b"x" * 5000)] * 100)
    assert tapped(chatty) == [False]
    held = place.caller()
    tap = held.protocol.connection.tap
    assert isinstance(tap, Tapped)
    tap.received(held.protocol.connection, [Publish(b"t", b"x" * 5000)] * 100)
    assert len(tap._held or ()) == MOST_HELD
    assert all(len(event.payload) < 5000 for event in tap._held or ())


@pytest.mark.parametrize(("name", "hosts"), [
    ("10.1.2.3", ["10.1.2.3", "::ffff:10.1.2.3"]), ("10.1.0.0/16", ["10.1.2.3", "10.1.255.1"]),
    ("2001:db8::/32", ["2001:db8::7"])])
def test_an_address_or_a_network_is_traced_whoever_it_is(
        make: Callable[..., Observatory], name: str, hosts: list[str]) -> None:
    place = make("mqtt.allow_anonymous = on")
    place.begin("address", name, "a.log")
    for host in [*hosts, "10.2.0.1", "::1"]:
        caller = place.caller(host=host)
        caller.send(Connect(5, ""))
        caller.hang_up()
    lines = place.text("a.log")
    assert packets(lines) == ["received CONNECT", "sent CONNACK", "ended cause=connection_lost"] * len(hosts)


def test_who_never_sends_connect_is_traced_by_its_address(make: Callable[..., Observatory]) -> None:
    place = make("mqtt.client.idle_timeout = 5s")
    place.begin("address", "127.0.0.1", "a.log")
    place.caller()
    place.reactor.pump([1.0] * 7)
    assert place.text("a.log") == ['- 127.0.0.1:50000 ended cause=connect_timeout reason="no CONNECT within 5 s"']


@pytest.mark.parametrize(("topic_filter", "topics"), [
    ("t/1", ["t/1"]), ("t/+", ["t/1", "t/2"]), ("t/#", ["t/1", "t/2"]), ("#", ["t/1", "t/2", "u"]), ("/t", [])])
def test_messages_of_a_filter_are_traced_both_ways(place: Observatory, topic_filter: str, topics: list[str]) -> None:
    place.begin("topic", topic_filter, "t.log")
    reader = place.client("reader", c.MQTT_3_1_1)
    reader.send(Subscribe(1, [(b"#", 1)]))
    writer = place.client("writer")
    for number, topic in enumerate(["t/1", "t/2", "u"], 1):
        writer.send(Publish(topic.encode(), b"", 1, packet_id=number))
    lines = place.text("t.log")
    assert [(line.split()[0], line.split()[2], line.split("topic=")[1].split()[0]) for line in lines] == [
        (who, what, topic) for topic in topics for who, what in (("writer", "received"), ("reader", "sent"))]
    assert all(line.split()[3] == "PUBLISH" for line in lines)


def test_a_topic_is_traced_as_the_broker_knows_it(make: Callable[..., Observatory]) -> None:
    place = make("listener.tcp.default.bind = 127.0.0.1:0", "listener.tcp.default.mountpoint = at/%c/")
    place.begin("topic", "at/alice/#", "t.log")
    alice = place.client("alice")
    alice.send(Subscribe(1, [(b"t", 0)]))
    alice.send(Publish(b"t", b""))
    place.client("bob").send(Publish(b"t", b""))
    assert packets(place.text("t.log")) == ["received PUBLISH", "sent PUBLISH"]


def test_what_is_dropped_is_told_to_those_who_trace_its_client_or_its_topic(make: Callable[..., Observatory]) -> None:
    place = make("mqtt.mqueue.store_qos0 = off")
    away = place.client("away", c.MQTT_3_1_1, clean_start=False)
    away.send(Subscribe(1, [(b"t", 0)]))
    away.hang_up()
    for words in (("client", "away"), ("client", "other"), ("topic", "t"), ("topic", "u")):
        place.begin(*words, f"{words[0]}-{words[1]}.log")
    place.client("writer").send(Publish(b"t", b"four"))
    dropped = "away - dropped cause=qos0_not_stored topic=t publisher=writer length=4"
    assert place.text("client-away.log") == [dropped]
    assert [line for line in place.text("topic-t.log") if "dropped" in line] == [dropped]
    assert place.text("client-other.log") == place.text("topic-u.log") == []


def test_what_happens_to_a_session_is_told(make: Callable[..., Observatory]) -> None:
    place = make("mqtt.mqueue.max_length = 10", "mqtt.mqueue.high_watermark = 50%", "mqtt.mqueue.low_watermark = 10%")
    away = place.client("away", c.MQTT_3_1_1, clean_start=False)
    away.send(Subscribe(1, [(b"t", 1)]))
    away.hang_up()
    place.begin("client", "away", "a.log")
    writer = place.client("writer")
    for number in range(1, 8):
        writer.send(Publish(b"t", b"", 1, packet_id=number))
    assert place.text("a.log") == ["away - queue_filling messages=6"]
    place.caller(c.MQTT_3_1_1).send(Connect(4, "away", False))
    assert "away - queue_relieved messages=0" in place.text("a.log")


def test_a_defect_in_looking_costs_the_trace_and_not_the_client(
        place: Observatory, monkeypatch: pytest.MonkeyPatch, logged_failures: list[object]) -> None:
    place.begin("client", "alice", "a.log")
    alice = place.client("alice")

    def broken(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Tapped, "_note", broken)
    alice.send(Subscribe(1, [(b"t", 0)]))
    assert len(alice.received()) == 1
    assert tapped(alice) == [False]
    assert len(logged_failures) == 1
    logged_failures.clear()
