"""What commands tell of clients, sessions, subscriptions and routes is what the traffic was, in emqttd's lines."""
import json
from types import SimpleNamespace
from typing import cast

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from emqtwist.ctl.commands.sessions import show
from emqtwist.ctl.commands.subscriptions import subscribe, unsubscribe
from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Refused
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Connack, Connect, Disconnect, Puback, Publish, Suback, Subscribe, Will
from tests.desks import NODE, Desk
from tests.jobs import Poisoned, Trial
from tests.peers import every_version, properties
from tests.scenes import arrive, bob_subscribed, publish
from tests.stores import StoredWorld


def refusal(desk: Desk, *words: str) -> str:
    error = desk.error(*words)
    assert isinstance(error, Refused)
    return str(error)


def test_clients_are_listed_in_order_with_what_their_connect_said() -> None:
    desk = Desk()
    desk.client("b", c.MQTT_3_1_1, clean_start=False)
    desk.reactor.advance(10)
    caller = desk.client("a")
    assert desk.lines("clients", "list") == [
        "Client(a, clean_sess=true, username=undefined, peername=127.0.0.1:50000, connected_at=5010)",
        "Client(b, clean_sess=false, username=undefined, peername=127.0.0.1:50000, connected_at=5000)"]
    assert desk.lines("clients", "show", "a") == desk.lines("clients", "list")[:1]
    caller.send(Disconnect(0))
    assert [row["client_id"] for row in json.loads(desk.ask("clients", "list", form="json"))] == ["b"]
    assert refusal(desk, "clients", "show", "a") == "Not Found."


def test_a_client_shows_its_user_name() -> None:
    desk = Desk()
    caller = desk.client("x")
    caller.protocol.connection.user_name = "alice"
    assert "username=alice," in desk.ask("clients", "show", "x")
    assert json.loads(desk.ask("clients", "show", "x", form="json"))[0]["username"] == "alice"


@every_version
def test_a_kick_ends_the_connection_under_a_cause_of_its_own(version: int) -> None:
    desk = Desk()
    caller = desk.client("x", version)
    assert desk.ask("clients", "kick", "x") == ""
    told = caller.received()
    assert [packet.reason_code for packet in told if isinstance(packet, Disconnect)] == (
        [c.ADMINISTRATIVE_ACTION] if version == c.MQTT_5_0 else [])
    assert caller.closing
    assert desk.service.broker.metrics.ends == {"administrative_action": 1}
    assert desk.lines("clients", "list") == []
    assert refusal(desk, "clients", "kick", "x") == "Not Found."
    caller.hang_up()
    assert "  shutdown_count  : [{administrative_action,1}]" in desk.lines("listeners")


def test_a_kick_leaves_a_persistent_session_and_publishes_the_will() -> None:
    desk = Desk()
    reader = desk.client("reader")
    reader.send(Subscribe(1, [(b"will", 0)]))
    reader.one(Suback)
    caller = desk.client("x", c.MQTT_3_1_1, clean_start=False)
    caller.hang_up()
    caller = desk.client("x", c.MQTT_3_1_1, clean_start=False)
    caller.protocol.connection.end("normal", "it comes again with a Will")
    again = type(caller)(desk.service.listeners["default"].factory, desk.reactor, version=c.MQTT_3_1_1)
    again.send(Connect(c.MQTT_3_1_1, "x", False, will=Will(b"will", b"gone")))
    again.one(Connack)
    desk.ask("clients", "kick", "x")
    assert reader.one(Publish).payload == b"gone"
    assert desk.lines("sessions", "list", "persistent")[0].startswith("Session(x, clean_sess=false")


def test_sessions_show_what_is_under_way_and_what_waits() -> None:
    desk = Desk("mqtt.session.max_inflight = 2", "mqtt.mqueue.max_length = 2", "mqtt.mqueue.on_full = drop_oldest")
    reader, writer = desk.client("reader"), desk.client("writer")
    desk.reactor.advance(7)
    reader.send(Subscribe(1, [(b"a", 1), (b"b", 1)]))
    for number in range(1, 6):
        writer.send(Publish(b"a", b"x", 1, packet_id=number))
    writer.send(Publish(b"b", b"x", 2, packet_id=9))
    assert desk.lines("sessions", "show", "reader") == [
        "Session(reader, clean_sess=true, subscriptions=2, max_inflight=2, inflight=2, mqueue_len=2, mqueue_dropped=2, "
        "awaiting_rel=0, deliver_msg=undefined, enqueue_msg=4, created_at=5000)"]
    assert "awaiting_rel=1" in desk.ask("sessions", "show", "writer")
    first = [packet for packet in reader.received() if isinstance(packet, Publish)][0]
    reader.send(Puback(first.packet_id))
    assert "inflight=2, mqueue_len=1, " in desk.ask("sessions", "show", "reader")
    assert refusal(desk, "sessions", "show", "nobody") == "Not Found."


def test_a_session_that_came_from_the_store_shows_what_waits_and_is_as_old_as_the_broker() -> None:
    world = StoredWorld("mqtt.session.max_inflight = 4")
    bob_subscribed(world).drop()
    publish(world, *[b"x"] * 7)
    world.settle()
    world.crash()
    started = world.turn.now

    def shown() -> dict[str, object]:
        context = cast(Context, SimpleNamespace(broker=world.broker, unix=int))
        [(_, columns)] = show(context, ["bob"])
        return {key: value for key, value in columns.items() if isinstance(value, int)}

    kept = {"clean_sess": False, "subscriptions": 1, "max_inflight": 4, "inflight": 0, "mqueue_len": 7, "mqueue_dropped": 0,
            "awaiting_rel": 0, "enqueue_msg": 0, "created_at": int(started)}
    assert shown() == kept
    world.advance(10)
    bob = arrive(world, receive_maximum=3)
    world.settle()
    assert shown() == kept | {"max_inflight": 3, "inflight": 3, "mqueue_len": 4}
    bob.acknowledge(*bob.all(Publish))
    assert shown() == kept | {"max_inflight": 3, "inflight": 3, "mqueue_len": 1}
    bob.drop()
    publish(world, b"x")
    assert shown() == kept | {"max_inflight": 3, "inflight": 3, "mqueue_len": 2, "enqueue_msg": 1}


def test_persistent_sessions_are_told_from_transient_ones() -> None:
    desk = Desk()
    desk.client("two", c.MQTT_3_1_1, clean_start=False)
    desk.client("one")

    def names(*words: str) -> list[str]:
        return [row["client_id"] for row in json.loads(desk.ask("sessions", "list", *words, form="json"))]

    assert names() == ["one", "two"]
    assert names("persistent") == ["two"]
    assert names("transient") == ["one"]


def test_the_sessions_with_most_messages_come_first() -> None:
    desk = Desk()
    writer = desk.client("writer")
    for count, name in enumerate(("none", "one", "two", "three")):
        reader = desk.client(name)
        reader.send(Subscribe(1, [(name.encode(), 1)]))
        for _ in range(count):
            writer.send(Publish(name.encode(), b"x", 1, packet_id=1))
    names = [row["client_id"] for row in json.loads(desk.ask("sessions", "top", form="json"))]
    assert names == ["three", "two", "one", "writer", "none"]
    assert [line.split(",")[0] for line in desk.lines("sessions", "top", "2")] == ["Session(three", "Session(two"]
    assert refusal(desk, "sessions", "top", "0") == refusal(desk, "sessions", "top", "many") == "Count should be from 1 to 1000"


def test_subscriptions_and_routes_are_those_that_clients_made() -> None:
    desk = Desk()
    desk.client("a").send(Subscribe(1, [(b"t/+", 1), (b"$share/g/t", 2 | c.OPTION_RETAIN_AS_PUBLISHED)]))
    desk.client("b").send(Subscribe(1, [(b"t/+", 0 | c.OPTION_NO_LOCAL)]))
    assert desk.lines("subscriptions", "list") == ["a -> t/+", "a -> $share/g/t", "b -> t/+"]
    assert desk.lines("subscriptions", "show", "a") == [
        "a -> t/+", "  qos     : 1", "a -> $share/g/t", "  qos     : 2", "  share   : g", "  rap     : true"]
    assert json.loads(desk.ask("subscriptions", "show", "b", form="json")) == [
        {"client_id": "b", "topic": "t/+", "qos": 0, "no_local": True, "node": NODE}]
    assert desk.lines("routes", "list") == ["t -> emqtwist@127.0.0.1", "t/+ -> emqtwist@127.0.0.1"]
    assert desk.lines("topics", "list") == ["t", "t/+"]
    assert desk.lines("routes", "show", "t/+") == desk.lines("topics", "show", "t/+") == ["t/+ -> emqtwist@127.0.0.1"]
    assert desk.lines("routes", "show", "t/1") == desk.lines("topics", "show", "t/1") == []
    assert refusal(desk, "subscriptions", "show", "nobody") == "Not Found."


def test_a_subscription_that_was_added_counts_until_it_is_deleted() -> None:
    desk = Desk()
    caller, writer = desk.client("x"), desk.client("writer")
    writer.send(Publish(b"kept/1", b"old", retain=True))
    made: list[tuple[object, ...]] = []
    desk.service.hooks.add("client.subscribe", lambda *arguments: made.append(arguments))
    desk.service.hooks.add("session.subscribed", lambda *arguments: made.append(arguments))
    assert desk.lines("subscriptions", "add", "x", "kept/+", "1") == ["ok"]
    assert made == [("x", None, b"kept/+", 1)]  # nobody was asked
    assert caller.one(Publish).payload == b"old"
    writer.send(Publish(b"kept/2", b"new", 1, packet_id=1))
    assert caller.one(Publish).qos == 1
    assert desk.lines("subscriptions", "add", "x", "$queue/kept/+", "0") == ["ok"]
    assert desk.lines("subscriptions", "list") == ["x -> kept/+", "x -> $queue/kept/+"]
    assert desk.lines("subscriptions", "del", "x", "kept/+") == desk.lines("subscriptions", "del", "x", "$queue/kept/+") == ["ok"]
    writer.send(Publish(b"kept/3", b"late"))
    assert caller.received() == []


def test_a_subscription_that_was_added_has_the_options_that_its_client_would_be_granted() -> None:
    desk = Desk("mqtt.session.upgrade_qos = on", "mqtt.session.ignore_loop_deliver = on", "mqtt.max_qos_allowed = 1")
    caller, writer = desk.client("x"), desk.client("writer")
    assert desk.lines("subscriptions", "add", "x", "t", "0") == desk.lines("subscriptions", "add", "x", "u", "2") == ["ok"]
    added = dict(desk.service.broker.sessions.by_id["x"].subscriptions)
    caller.send(Subscribe(1, [(b"t", 0), (b"u", 2)]))
    made = desk.service.broker.sessions.by_id["x"].subscriptions
    assert {name: each.options for name, each in added.items()} == {name: each.options for name, each in made.items()}
    desk.ask("subscriptions", "del", "x", "t")
    desk.ask("subscriptions", "add", "x", "t", "0")
    caller.received()
    caller.send(Publish(b"t", b"its own"))
    writer.send(Publish(b"t", b"upgraded", 1, packet_id=1))
    received = caller.one(Publish)
    assert (received.payload, received.qos) == (b"upgraded", 1)


@pytest.mark.parametrize(("words", "told"), [
    (("add", "nobody", "t", "0"), "Error: Session not found!"),
    (("del", "nobody", "t"), "Error: Session not found!"),
    (("add", "x", "t", "3"), "QoS should be 0, 1, 2"),
    (("add", "x", "t/#/u", "0"), "Error: "),
    (("add", "x", "$exclusive/t", "0"), "Error: another client has subscribed to this topic exclusively"),
])
def test_a_subscription_that_cannot_be_made_is_refused(words: tuple[str, ...], told: str) -> None:
    desk = Desk()
    desk.client("x")
    desk.client("y")
    desk.ask("subscriptions", "add", "y", "$exclusive/t", "0")
    assert refusal(desk, "subscriptions", *words).startswith(told)
    assert desk.lines("subscriptions", "list") == ["y -> $exclusive/t"]


def test_a_subscription_waits_for_its_worker() -> None:
    desk = Desk()
    desk.client("x")
    server = desk.service.broker.pools.server
    before = Trial("x", "before", [], 1)
    server.submit(before)
    customer = desk.customer()
    asked, out = customer.begin("subscriptions", "add", "x", "t", "1")
    customer.pump.flush()
    assert (out, desk.lines("subscriptions", "list")) == ([], [])
    before.decide()
    desk.reactor.advance(0)
    customer.pump.flush()
    assert (out, desk.lines("subscriptions", "list")) == (["ok\n"], ["x -> t"])
    assert asked.called


def test_a_defect_that_keeps_a_subscription_from_being_made_is_told(logged_failures: list[Failure]) -> None:
    desk = Desk()
    desk.client("x")
    router = desk.service.broker.router
    router._exact = Poisoned(router._exact, [b"t"])
    assert refusal(desk, "subscriptions", "add", "x", "t", "1") == "Error: a defect of the broker kept it from doing this"
    assert logged_failures.pop().type is RuntimeError
    assert desk.lines("subscriptions", "list") == []


async def test_a_subscription_is_answered_once_it_is_stored() -> None:
    world = StoredWorld(stored=False)
    world.peer().send(Connect(5, "x", False, properties=properties(session_expiry_interval=100)))
    world.commit()
    context = cast(Context, SimpleNamespace(broker=world.broker))
    for command, words in ((subscribe, ("x", "t", "1")), (unsubscribe, ("x", "t"))):
        asked = Deferred.fromCoroutine(command(context, words))
        world.settle()
        assert not asked.called
        world.commit()
        assert await asked == [("ok", {"line": "ok"})]
    assert await Deferred.fromCoroutine(unsubscribe(context, ("x", "t"))) == [("ok", {"line": "ok"})]


def test_listeners_show_their_connections_and_why_they_ended() -> None:
    desk = Desk("listener.tcp.default.bind = 127.0.0.1:2883", "listener.tcp.other.bind = 127.0.0.1:2884")
    desk.client("a")
    desk.client("b").hang_up()
    left = desk.client("c")
    left.send(Disconnect(0))
    left.hang_up()
    shown = [
        "listener on mqtt:tcp:127.0.0.1:2883", "  acceptors       : 1", "  max_clients     : infinity",
        "  current_clients : 1", "  shutdown_count  : [{connection_lost,1}]", "  refused_count   : []"]
    assert desk.lines("listeners")[:6] == desk.lines("listeners", "list")[:6] == shown
    assert json.loads(desk.ask("listeners", form="json"))[1]["current_clients"] == 0


def test_listeners_show_their_limit_and_whom_they_refused() -> None:
    desk = Desk("listener.tcp.default.bind = 127.0.0.1:2883", "listener.tcp.default.max_connections = 1")
    desk.client("a")
    assert desk.service.listeners["default"].entrance.buildProtocol(IPv4Address("TCP", "127.0.0.1", 5000)) is None
    assert desk.lines("listeners")[2::3] == ["  max_clients     : 1", "  refused_count   : [{too_many_connections,1}]"]
    [listed] = json.loads(desk.ask("listeners", form="json"))
    assert (listed["max_clients"], listed["refused_count"]) == (1, {"too_many_connections": 1})
