"""Modules: what each does, and that it is loaded and unloaded whole, by configuration and by command."""
import json

import pytest
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from emqtwist.config import parse
from emqtwist.core.hooks import ROWS
from emqtwist.core.mqueue import OVERHEAD
from emqtwist.core.observer import Observer
from emqtwist.ctl.registry import Refused
from emqtwist.modules import rewrite
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Connect, Disconnect, Puback, Publish, Suback, Subscribe, Unsuback, Unsubscribe, Will
from emqtwist.mqtt.properties import Properties
from emqtwist.services.events import LogObserver
from tests.desks import Desk
from tests.stores import StoredWorld
from tests.wires import Caller

ROOT = "$SYS/brokers/emqtwist@127.0.0.1/clients/"
REWRITE = ("module.rewrite.enable = on", "module.rewrite.rule.1 = x/# ^x/y/(.+)$ z/y/$1")
SUBSCRIBE = ("module.subscription.enable = on", "module.subscription.topics = clients/%c/inbox=1")
DELAY = ("module.delayed.enable = on",)
SLOW = "module.slow_subs.enable = on"
NAMES = ["presence", "retainer", "subscription", "rewrite", "delayed", "slow_subs"]


def listen(desk: Desk, topic_filter: str = "#") -> list[tuple[str, str, int]]:
    """What is published where the filter selects it."""
    heard: list[tuple[str, str, int]] = []
    desk.service.subscribe(topic_filter, lambda message: heard.append(
        (message.topic_name, message.payload.decode(), message.qos)))
    return heard


def subscribe(client: Caller, *filters: str) -> list[int]:
    client.send(Subscribe(1, [(each.encode(), 1) for each in filters]))
    return client.one(Suback).reason_codes


def unsubscribe(client: Caller, *filters: str) -> list[int]:
    client.send(Unsubscribe(2, [each.encode() for each in filters]))
    return client.one(Unsuback).reason_codes


def held(desk: Desk, client_id: str) -> dict[str, int]:
    """Filters and QoS of what a client has subscribed to."""
    session = desk.service.broker.sessions.by_id[client_id]
    return {name.decode(): each.options & c.OPTION_QOS for name, each in session.subscriptions.items()}


def hooked(desk: Desk) -> list[str]:
    """The hooks that have functions."""
    return [row.name for row in ROWS if desk.service.hooks.at[row.name]]


def shown(desk: Desk) -> dict[str, bool]:
    return {row["name"]: row["active"] for row in json.loads(desk.ask("modules", "list", form="json"))}


# presence

def test_module_presence_enable() -> None:
    desk = Desk("module.presence.enable = off")
    heard = listen(desk, ROOT + "#")
    desk.client("a").hang_up()
    desk.reactor.advance(0)
    assert heard == []
    desk.service.reconfigure(parse("module.presence.enable = on"))
    desk.client("a").hang_up()
    desk.reactor.advance(0)
    assert [topic for topic, _, _ in heard] == [ROOT + "a/connected", ROOT + "a/disconnected"]


def test_module_presence_qos() -> None:
    desk = Desk("module.presence.qos = 2")
    heard = listen(desk, ROOT + "#")
    desk.client("a")
    desk.reactor.advance(0)
    desk.service.reconfigure(parse("module.presence.qos = 0"))
    desk.client("b")
    desk.reactor.advance(0)
    assert [qos for _, _, qos in heard] == [2, 0]


def test_where_nobody_listens_presence_puts_nothing_together() -> None:
    desk = Desk()
    for heard in (False, True):
        desk.service.broker.observer.connected("a", None, "127.0.0.1:1", 5, True, False)
        assert desk.service.systopics.has_events() is heard
        desk.reactor.advance(0)
        desk.service.broker.observer.departed("a", None, "normal")
        assert desk.service.systopics.has_events() is heard
        listen(desk, ROOT + "#")


# retainer

def test_module_retainer_enable() -> None:
    desk = Desk()
    desk.service.publish("t", b"kept", retain=True)
    desk.service.reconfigure(parse("module.retainer.enable = off"))
    caller = Caller(desk.service.listeners["default"].factory, desk.reactor)
    told = caller.connect("a").properties
    assert (told and told.retain_available) == 0
    assert subscribe(caller, "t") == [1]
    assert caller.received() == []  # it is there, but given to nobody
    desk.service.publish("t", b"new", retain=True)
    desk.reactor.advance(0)
    assert caller.one(Publish).payload == b"new"
    assert desk.service.broker.metrics.drops["retainer_unloaded"] == 1
    caller.send(Publish(b"t", b"x", retain=True))
    assert caller.one(Disconnect).reason_code == c.RETAIN_NOT_SUPPORTED
    desk.service.reconfigure(parse(""))
    client = desk.client("b")
    client.send(Subscribe(1, [(b"t", 0)]))
    assert [packet.payload for packet in client.received() if isinstance(packet, Publish)] == [b"kept"]


def test_without_the_retainer_the_broker_does_not_count_what_it_tells_itself() -> None:
    desk = Desk("module.retainer.enable = off", "mqtt.broker.sys_interval = 1s")
    desk.reactor.advance(2)
    assert desk.service.broker.metrics.drops["retainer_unloaded"] == 0


def test_commands_tell_and_clean_what_is_retained() -> None:
    desk = Desk("retainer.max_message_num = 4", "retainer.max_payload_size = 10", "mqtt.broker.sys_interval = 0")
    client = desk.client("a")
    for topic, payload in ((b"a/1", b"one"), (b"a/2", b"two"), (b"b", b"three"), (b"a/1", b"four"), (b"$x", b"5"),
                           (b"large", b"12345678901"), (b"fifth", b"")):
        client.send(Publish(topic, payload, 1, True, packet_id=1))
    client.send(Publish(b"gone", b"x", 1, True, packet_id=1))
    info = {row["key"]: row["value"] for row in json.loads(desk.ask("retainer", "info", form="json"))}
    size = len("a/1" "four" "a/2" "two" "b" "three" "$x" "5")
    assert info == {"retained/total": 4, "retained/bytes": size, "retained/max": 4, "retained/max_payload": 10}
    assert desk.lines("retainer", "info")[0] == "retained/total      : 4"
    assert desk.lines("retainer", "topics") == ["$x", "a/1", "a/2", "b"]
    assert desk.lines("retainer", "topics", "a/+") == ["a/1", "a/2"]
    assert json.loads(desk.ask("retainer", "topics", "b", form="json")) == [
        {"topic": "b", "qos": 1, "size": 5, "publisher": "a"}]
    assert desk.lines("retainer", "clean", "a/#") == ["Cleaned 2 retained messages"]
    assert desk.lines("retainer", "topics") == ["$x", "b"]
    assert isinstance(desk.error("retainer", "topics", "a/#/b"), Refused)
    assert desk.lines("retainer", "clean") == ["Cleaned 2 retained messages"]
    assert desk.lines("retainer", "topics") == []
    assert desk.lines("retainer", "info")[:2] == ["retained/total      : 0", "retained/bytes      : 0"]


def test_thousands_of_topics_are_listed_and_cleaned_in_pages() -> None:
    desk = Desk("mqtt.broker.sys_interval = 0")
    names = sorted(f"t/{number}" for number in range(2000))
    for name in reversed(names):
        desk.service.publish(name, b"x", retain=True)
    assert desk.lines("retainer", "topics") == names
    assert desk.lines("retainer", "clean", "t/+") == ["Cleaned 2000 retained messages"]


def test_what_was_cleaned_is_gone_from_the_store() -> None:
    world = StoredWorld()
    world.connect("a").publish("t", b"x", retain=True)
    assert world.broker.forget(b"t")
    assert not world.broker.forget(b"t")
    world.settle()
    world.crash()
    assert len(world.broker.retained) == 0


# subscription

def test_module_subscription_enable() -> None:
    desk = Desk(SUBSCRIBE[1])
    desk.client("a")
    assert held(desk, "a") == {}
    desk.service.reconfigure(parse("\n".join(SUBSCRIBE)))
    desk.client("b")
    assert held(desk, "b") == {"clients/b/inbox": 1}


def test_module_subscription_topics() -> None:
    desk = Desk("module.subscription.enable = on", "module.subscription.topics = a/%c=0 $share/g/%c=2 by/%a=1 users/%u=2")
    client = desk.client("a")
    assert held(desk, "a") == {"a/a": 0, "$share/g/a": 2, "by/127.0.0.1": 1}  # it has no user name
    assert client.received() == []
    desk.service.publish("a/a", b"hello")
    desk.reactor.advance(0)
    assert client.one(Publish).payload == b"hello"


@pytest.mark.parametrize("client_id", ["#", "+", "a/b", "a/#"])
def test_a_client_that_would_mean_more_than_itself_is_not_subscribed(client_id: str) -> None:
    desk = Desk(*SUBSCRIBE)
    desk.client(client_id)
    assert held(desk, client_id) == {}


def test_retained_messages_come_to_who_is_subscribed_and_not_again_with_the_session() -> None:
    desk = Desk(*SUBSCRIBE)
    desk.service.publish("clients/a/inbox", b"kept", retain=True)
    payloads = []
    for _ in range(2):
        client = Caller(desk.service.listeners["default"].factory, desk.reactor, version=c.MQTT_3_1_1)
        client.send(Connect(c.MQTT_3_1_1, "a", False))
        desk.reactor.advance(0)
        payloads += [packet.payload for packet in client.received() if isinstance(packet, Publish)]
        client.send(Disconnect())
        client.hang_up()
    assert payloads == [b"kept"]
    assert held(desk, "a") == {"clients/a/inbox": 1}


def test_hooks_and_rules_hold_for_what_was_not_asked_for() -> None:
    desk = Desk(*SUBSCRIBE)
    desk.service.hooks.add("client.authorize", lambda client, action, topic, allowed: False)
    with capturedLogs() as events:
        client = desk.client("a")
    assert held(desk, "a") == {}
    assert [event["reason"] for event in events if "topic_filter" in event] == ["this client may not subscribe to this"]
    client.send(Publish(b"t", b"", 1, packet_id=1))
    assert client.one(Puback).reason_code == c.NOT_AUTHORIZED  # the connection goes on


def test_the_log_tells_who_could_not_be_subscribed() -> None:
    with capturedLogs() as events:
        LogObserver().not_subscribed("a", b"t", "why")
    [event] = events
    assert event["log_format"].format(**event) == (
        "a is not subscribed to b't', as the module subscription would have it: why")


# rewrite

def test_module_rewrite_enable() -> None:
    desk = Desk(REWRITE[1])
    heard = listen(desk)
    client = desk.client("a")
    client.send(Publish(b"x/y/1", b""))
    desk.service.reconfigure(parse("\n".join(REWRITE)))
    client.send(Publish(b"x/y/1", b""))
    desk.service.reconfigure(parse(REWRITE[1]))
    client.send(Publish(b"x/y/1", b""))
    assert [topic for topic, _, _ in heard] == ["x/y/1", "z/y/1", "x/y/1"]


def test_module_rewrite_rule_number() -> None:
    """Rules are asked in the order of the file, and the first whose filter selects the topic decides."""
    desk = Desk("module.rewrite.enable = on", "module.rewrite.rule.9 = x/# ^x/y/(.+)$ z/y/$1",
                "module.rewrite.rule.1 = x/z ^x/(.+)$ never/$1",
                "module.rewrite.rule.5 = y/+/z/# ^y/(.+)/z/(.+)$ y/z/$2/$1",
                "module.rewrite.rule.7 = publish only/# ^only/(.*)$ published/$1",
                "module.rewrite.rule.8 = subscribe only/# ^only/(.*)$ subscribed/$1",
                "module.rewrite.rule.6 = +/# unanchored($|/) $SYS/$1costs/$$1")
    heard = listen(desk)
    client = desk.client("a")
    for topic in (b"x/y/1/2", b"x/z", b"y/a/z/b", b"only/1", b"other"):
        client.send(Publish(topic, b"", 0))
    assert [topic for topic, _, _ in heard] == ["z/y/1/2", "x/z", "y/z/b/a", "published/1", "other"]
    assert subscribe(client, "x/y/+", "$share/g/x/y/#", "only/#", "$SYS/x", "x/#") == [1] * 5
    assert list(held(desk, "a")) == ["z/y/+", "$share/g/z/y/#", "subscribed/#", "$SYS/x", "x/#"]
    client.send(Publish(b"is/unanchored/x", b""))
    assert desk.service.broker.metrics.hook_failures == 0
    desk.service.reconfigure(parse("\n".join(["module.rewrite.enable = on", "module.rewrite.rule.1 = x/# ^x/y/(.+)$ new/$1"])))
    client.send(Publish(b"x/y/1/2", b""))
    assert heard[-1][0] == "new/1/2"


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("retain", [False, True])
def test_a_message_that_is_rewritten_keeps_all_but_its_topic(qos: int, retain: bool) -> None:
    desk = Desk(*REWRITE)
    reader, client = desk.client("reader"), desk.client("a")
    subscribe(reader, "z/y/#")
    given = Properties()
    given.content_type = "text/plain"
    client.send(Publish(b"x/y/1", b"payload", qos, retain, packet_id=qos and 7, properties=given))
    packet = reader.one(Publish)
    assert (packet.topic_name, packet.payload, packet.qos) == (b"z/y/1", b"payload", min(qos, 1))
    assert packet.properties is not None
    assert packet.properties.content_type == "text/plain"
    assert [name for name in (b"x/y/1", b"z/y/1") if desk.service.broker.retained.get(name)] == ([b"z/y/1"] if retain else [])


def test_a_will_is_rewritten() -> None:
    desk = Desk(*REWRITE)
    heard = listen(desk, "z/#")
    caller = Caller(desk.service.listeners["default"].factory, desk.reactor)
    caller.send(Connect(c.MQTT_5_0, "b", will=Will(b"x/y/gone", b"")))
    caller.hang_up()
    assert [topic for topic, _, _ in heard] == ["z/y/gone"]


def test_who_unsubscribes_finds_what_was_subscribed_under_any_rules() -> None:
    desk = Desk()
    client = desk.client("a")
    subscribe(client, "x/y/before")
    desk.service.reconfigure(parse("\n".join(REWRITE)))
    subscribe(client, "x/y/1")
    assert list(held(desk, "a")) == ["x/y/before", "z/y/1"]
    assert unsubscribe(client, "x/y/before", "x/y/1", "x/y/never") == [c.SUCCESS, c.SUCCESS, c.NO_SUBSCRIPTION_EXISTED]
    assert held(desk, "a") == {}


def test_a_topic_that_is_made_up_takes_no_memory_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewrite, "MOST_REMEMBERED", 10)
    desk = Desk(*REWRITE)
    heard = listen(desk)
    client = desk.client("a")
    for number in range(25):
        client.send(Publish(b"x/y/%d" % number, b""))
    client.send(Publish(b"x/y/" + b"l" * 300, b""))
    module = desk.service.modules.known["rewrite"]
    assert isinstance(module, rewrite.Rewrite)
    assert len(module._known) == 5
    assert [topic for topic, _, _ in heard[:25]] == [f"z/y/{number}" for number in range(25)]
    assert heard[25][0] == "z/y/" + "l" * 300


def test_a_rule_that_makes_no_topic_fails_and_the_message_goes_where_it_was_sent(
        logged_failures: list[Failure]) -> None:
    desk = Desk("module.rewrite.enable = on", "module.rewrite.rule.1 = x/# ^x/(.*)$ $1")
    heard = listen(desk)
    client = desk.client("a")
    client.send(Publish(b"x/", b""))
    assert [topic for topic, _, _ in heard] == ["x/"]
    assert logged_failures.pop().type is TypeError
    assert desk.service.broker.metrics.hook_failures == 1


def test_what_is_no_filter_is_refused_as_without_rules() -> None:
    desk = Desk(*REWRITE)
    client = desk.client("a")
    assert subscribe(client, "$share/g", "x/y/#/z") == [c.TOPIC_FILTER_INVALID] * 2


def test_what_is_too_long_for_the_rule_that_selects_it_is_refused() -> None:
    desk = Desk("module.rewrite.enable = on", "module.rewrite.rule.1 = y/# ^y/(.+)/z/(.+)$ y/z/$2")
    rule = parse("module.rewrite.rule.1 = y/# ^y/(.+)/z/(.+)$ y/z/$2").module.rewrite.rules[0][1]
    heard = listen(desk)
    client = desk.client("a")
    fits = "y/1/z/".ljust(rule.longest, "e")
    client.send(Publish(fits.encode(), b""), Publish(fits.encode() + b"x", b""), Publish(b"x" * 5000, b""))
    assert [topic for topic, _, _ in heard] == [fits.replace("y/1/z/", "y/z/"), "x" * 5000]
    assert desk.service.broker.metrics.drops["stopped_by_hook"] == 1
    assert subscribe(client, fits, "$share/g/" + fits) == [1, 1]
    assert subscribe(client, fits + "x") == subscribe(client, "$share/g/" + fits + "x") == [c.NOT_AUTHORIZED]
    assert unsubscribe(client, fits + "x", fits) == [c.NO_SUBSCRIPTION_EXISTED, c.SUCCESS]


def test_with_rules_for_subscriptions_alone_messages_go_their_short_way() -> None:
    desk = Desk("module.rewrite.enable = on", "module.rewrite.rule.1 = subscribe x/# ^x/y/(.+)$ z/y/$1")
    assert hooked(desk) == ["client.subscribe", "client.unsubscribe"]


# delayed

def test_module_delayed_enable() -> None:
    desk = Desk()
    heard = listen(desk)
    client = desk.client("a")
    client.send(Publish(b"$delayed/5/t", b"1"))
    desk.service.reconfigure(parse(DELAY[0]))
    client.send(Publish(b"$delayed/5/t", b"2", 1, packet_id=1))
    desk.service.reconfigure(parse(""))
    client.send(Publish(b"$delayed/5/t", b"3"))
    desk.reactor.advance(4)
    desk.service.tick()
    assert heard == []  # a filter that begins with a wildcard selects nothing that begins with $
    desk.reactor.advance(1)
    desk.service.tick()
    assert heard == [("t", "2", 1)]


def test_module_delayed_max_message_num() -> None:
    desk = Desk(*DELAY, "module.delayed.max_message_num = 1")
    client = desk.client("a")
    codes = []
    for lines in ((), (), (*DELAY, "module.delayed.max_message_num = unlimited")):
        if lines:
            desk.service.reconfigure(parse("\n".join(lines)))
        client.send(Publish(b"$delayed/5/t", b"x", 1, packet_id=1))
        codes.append(client.one(Puback).reason_code)
    assert codes == [0, c.QUOTA_EXCEEDED, 0]


def test_module_delayed_max_bytes() -> None:
    desk = Desk(*DELAY, "module.delayed.max_bytes = 1KB")
    client = desk.client("a")
    codes = []
    for size in (1024, 10):
        client.send(Publish(b"$delayed/5/t", bytes(size), 1, packet_id=1))
        codes.append(client.one(Puback).reason_code)
    assert codes == [c.QUOTA_EXCEEDED, 0]


def test_a_delayed_message_is_rewritten_when_it_is_due() -> None:
    desk = Desk(*DELAY, *REWRITE)
    heard = listen(desk)
    desk.client("a").send(Publish(b"$delayed/5/x/y/1", b"x", 1, packet_id=1))
    desk.reactor.advance(5)
    desk.service.tick()
    assert heard == [("z/y/1", "x", 1)]


def test_a_mountpoint_comes_behind_the_delay() -> None:
    desk = Desk(*DELAY, "listener.tcp.default.bind = 127.0.0.1:0",
                "listener.tcp.default.mountpoint = here/%c/")
    heard = listen(desk)
    caller = Caller(desk.service.listeners["default"].factory, desk.reactor)
    caller.send(Connect(c.MQTT_5_0, "a", will=Will(b"$delayed/5/gone", b"")))
    caller.send(Publish(b"$delayed/5/t", b"x", 1, packet_id=1), Publish(b"$delayed/5", b"x", 1, packet_id=2))
    caller.hang_up()
    desk.reactor.advance(5)
    desk.service.tick()
    assert [topic for topic, _, _ in heard] == ["here/a/t", "here/a/gone"]
    assert desk.service.broker.metrics.drops["delay_invalid"] == 1


def test_commands_tell_of_what_is_delayed_and_delete_it() -> None:
    desk = Desk(*DELAY, "module.delayed.max_message_num = 10", "module.delayed.max_bytes = 1MB", "mqtt.broker.sys_interval = 0")
    client = desk.client("a")
    for topic, payload in ((b"$delayed/5/a/1", b"one"), (b"$delayed/60/a/2", b"three"), (b"$delayed/7/b", b"x")):
        client.send(Publish(topic, payload, 1, topic.endswith(b"b"), packet_id=1))
    info = {row["key"]: row["value"] for row in json.loads(desk.ask("delayed", "info", form="json"))}
    size = 3 * OVERHEAD + len("a/1" "one" "a/2" "three" "b" "x")
    assert info == {"delayed/total": 3, "delayed/bytes": size, "delayed/max": 10, "delayed/max_bytes": 1 << 20}
    desk.reactor.advance(2)
    shown = ["Delayed(1, topic=a/1, qos=1, retain=0, size=3, publisher=a, left=3, due_at=5005)",
             "Delayed(2, topic=a/2, qos=1, retain=0, size=5, publisher=a, left=58, due_at=5060)",
             "Delayed(3, topic=b, qos=1, retain=1, size=1, publisher=a, left=5, due_at=5007)"]
    assert desk.lines("delayed", "list") == shown
    assert desk.lines("delayed", "list", "a/+") == shown[:2]
    assert json.loads(desk.ask("delayed", "list", "b", form="json")) == [
        {"number": 3, "topic": "b", "qos": 1, "retain": 1, "size": 1, "publisher": "a", "left": 5, "due_at": 5007}]
    assert desk.lines("delayed", "del", "1") == ["ok"]
    for words, why in ((("del", "1"), "Not Found."), (("del", "x"), "Not Found."), (("del", "9" * 5000), "Not Found."),
                       (("list", "a/#/b"), "Error: '#' stands alone in the last level [MQTT-4.7.1-1]")):
        error = desk.error("delayed", *words)
        assert (type(error), str(error)) == (Refused, why)
    assert desk.lines("delayed", "clean", "a/#") == ["Cleaned 1 delayed messages"]
    assert desk.lines("delayed", "list") == [shown[2]]
    assert desk.lines("delayed", "clean") == ["Cleaned 1 delayed messages"]
    assert desk.lines("delayed", "info")[:2] == ["delayed/total       : 0", "delayed/bytes       : 0"]


# All of them.

@pytest.mark.parametrize("name", NAMES)
def test_a_module_goes_whole_and_comes_back_whole(name: str) -> None:
    desk = Desk(*REWRITE, *SUBSCRIBE, *DELAY, SLOW)
    observers: list[Observer] = list(desk.service.observers.each)
    before, failing = hooked(desk), desk.service.root.find(f"modules/{name}")
    assert failing.state == "running"
    assert desk.lines("modules", "unload", name) == [f"Module {name} unloaded successfully."]
    assert shown(desk) == {each: each != name for each in NAMES}
    assert f"modules/{name}" not in [path for path, _ in desk.service.root.walk()]
    if name == "retainer":
        assert desk.service.broker.retained.closed
    elif name == "delayed":
        assert not desk.service.broker.delayed.open
    else:
        assert (hooked(desk), desk.service.observers.each) != (before, observers)
    assert desk.lines("modules", "load", name) == [f"Module {name} loaded successfully."]
    assert sorted(hooked(desk)) == sorted(before)
    assert desk.service.observers.each == observers
    assert set(shown(desk).values()) == {True}
    assert not desk.service.broker.retained.closed
    assert desk.service.broker.delayed.open


def test_without_modules_nothing_is_left() -> None:
    desk = Desk(*REWRITE, *SUBSCRIBE, *DELAY, SLOW)
    plain = Desk("module.presence.enable = off")
    for name in NAMES:
        desk.ask("modules", "unload", name)
    assert hooked(desk) == hooked(plain) == []
    assert len(desk.service.observers.each) == len(plain.service.observers.each)
    assert not desk.service.hooks.screens


def test_modules_are_listed_loaded_and_unloaded_by_command() -> None:
    desk = Desk()
    assert desk.lines("modules", "list") == [
        "Module(presence, description=Publishes below $SYS who comes and who goes, active=true)",
        "Module(retainer, description=Keeps retained messages for those who subscribe later, active=true)",
        "Module(subscription, description=Subscribes clients when they connect, active=false)",
        "Module(rewrite, description=Takes topics for others, as rules say, active=false)",
        "Module(delayed, description=Publishes later what is published below $delayed/, active=false)",
        "Module(slow_subs, description=Ranks subscribers whose messages take long, active=false)"]
    for words, why in ((("load", "presence"), "load module error: already_started"),
                       (("unload", "rewrite"), "unload module error: not_started"),
                       (("load", "x"), "load module error: not_found"), (("unload", "x"), "unload module error: not_found")):
        error = desk.error("modules", *words)
        assert (type(error), str(error)) == (Refused, why)
    desk.ask("modules", "load", "rewrite")
    assert desk.service.config.module.rewrite.enable  # a reload goes by the file again
    desk.service.reconfigure(parse(""))
    assert shown(desk) == {"presence": True, "retainer": True, "subscription": False, "rewrite": False, "delayed": False,
                           "slow_subs": False}


def test_what_a_module_does_it_does_while_its_part_is_down(logged_failures: list[Failure]) -> None:
    desk = Desk(*REWRITE)
    heard = listen(desk, "z/#")
    client = desk.client("a")
    for _ in range(2):
        desk.service.root.kill("modules/rewrite")
    assert desk.service.root.find("modules/rewrite").state == "waiting"
    client.send(Publish(b"x/y/1", b""))
    desk.reactor.advance(1)
    assert desk.service.root.find("modules/rewrite").state == "running"
    client.send(Publish(b"x/y/1", b""))
    for _ in range(2):
        desk.service.root.kill("modules")
    assert desk.service.root.find("modules").state == "waiting"
    client.send(Publish(b"x/y/1", b""))
    desk.reactor.advance(1)
    client.send(Publish(b"x/y/1", b""))
    assert len(heard) == 4
    assert hooked(desk) == ["client.subscribe", "client.unsubscribe", "message.publish"]


def test_when_the_broker_has_stopped_modules_do_nothing() -> None:
    desk = Desk(*REWRITE)
    desk.service.stopService()
    assert hooked(desk) == []
    assert set(shown(desk).values()) == {False}


def test_a_module_that_is_unloaded_while_the_supervisor_is_busy_is_unloaded_then() -> None:
    desk = Desk(*REWRITE)
    modules = desk.service.root.find("modules").service
    lock = modules._lock  # type: ignore[attr-defined]
    lock.acquire()
    for enable in ("off", "on", "off"):
        desk.service.reconfigure(parse(f"module.rewrite.enable = {enable}"))
    assert desk.service.modules.known["rewrite"].active
    lock.release()
    assert not desk.service.modules.known["rewrite"].active
    assert hooked(desk) == []
