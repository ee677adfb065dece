"""$SYS: what is published, when, to whom; and that it is nobody else's."""
import json
import re
from typing import cast

import pytest
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from emqtwist import BrokerService, __version__
from emqtwist.config import parse
from emqtwist.core.callback import Callback
from emqtwist.core.metrics import ALIASES
from emqtwist.mqtt.packets import Publish, Subscribe
from emqtwist.services.systopics import DESCRIPTION, quoted, uptime
from tests.wires import Caller

ROOT = "$SYS/brokers/n@h/"
START = 1000.0


class Place:
    """A started service of the node n@h; `heard` is what a callback at `$SYS/#` got."""

    def __init__(self, *lines: str) -> None:
        self.reactor = MemoryReactorClock()
        self.config = parse("\n".join(["node.name = n@h", *lines]))
        self.service = BrokerService(self.config, self.reactor, lambda: START + self.reactor.seconds())
        self.service.startService()
        self.heard: list[tuple[str, str, int, bool]] = []
        self.callback = self.listen()

    def listen(self) -> Callback:
        return self.service.subscribe("$SYS/#", lambda message: self.heard.append(
            (message.topic_name, message.payload.decode(), message.qos, message.retain)))

    def pass_seconds(self, count: int) -> None:
        self.reactor.pump([1.0] * count)

    def connect(self, client_id: str) -> Caller:
        caller = Caller(self.service.listeners["default"].factory, self.reactor)
        caller.connect(client_id)
        return caller

    def settle(self) -> None:
        self.reactor.advance(0)
        self.reactor.advance(0)

    def texts(self, topic: str) -> list[str]:
        return [text for name, text, _, _ in self.heard if name == ROOT + topic]

    def event(self, topic: str) -> dict[str, object]:
        [text] = self.texts(topic)
        return cast(dict[str, object], json.loads(text))


@pytest.mark.parametrize(("seconds", "words"), [
    (0.9, "0 seconds"), (59, "59 seconds"), (61, "1 minutes, 1 seconds"), (3600, "1 hours, 0 minutes, 0 seconds"),
    (90061, "1 days,1 hours, 1 minutes, 1 seconds"),
])
def test_uptime_is_in_the_words_of_the_original(seconds: float, words: str) -> None:
    assert uptime(seconds) == words


def test_uptime_and_the_time_of_day_come_every_second() -> None:
    place = Place()
    place.pass_seconds(2)
    assert place.texts("uptime") == ["1 seconds", "2 seconds"]
    assert [bool(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", text)) for text in place.texts("datetime")] == [True] * 2


def test_mqtt_broker_sys_interval() -> None:
    place = Place("mqtt.broker.sys_interval = 3s")
    place.pass_seconds(2)
    assert place.texts("version") == []
    place.pass_seconds(1)
    assert place.texts("version") == [__version__]
    place.pass_seconds(3)
    assert place.texts("sysdescr") == [DESCRIPTION] * 2
    assert [text for name, text, _, _ in place.heard if name == "$SYS/brokers"] == ["n@h"] * 2


def test_an_interval_of_0_leaves_the_heartbeat_only() -> None:
    place = Place("mqtt.broker.sys_interval = 0")
    place.pass_seconds(120)
    assert {name for name, _, _, _ in place.heard} == {ROOT + "uptime", ROOT + "datetime"}


def test_the_interval_is_live() -> None:
    place = Place("mqtt.broker.sys_interval = 0")
    place.service.reconfigure(parse("mqtt.broker.sys_interval = 1s"))
    place.pass_seconds(1)
    assert place.texts("version") == [__version__]


def test_all_metrics_and_stats_are_told_by_name() -> None:
    place = Place("mqtt.broker.sys_interval = 1s")
    place.connect("alice")
    place.pass_seconds(1)
    told = {name.removeprefix(ROOT): text for name, text, _, _ in place.heard}
    assert {f"metrics/{name}" for name in ALIASES} <= told.keys()
    assert (told["metrics/packets/connect"], told["metrics/dropped_queue_full"]) == ("1", "0")
    assert (told["stats/clients/count"], told["stats/subscriptions/max"]) == ("1", "1")
    assert len([name for name in told if name.startswith("stats/")]) == 16


def test_what_hardly_changes_is_retained_and_the_rest_is_not() -> None:
    place = Place("mqtt.broker.sys_interval = 1s")
    place.pass_seconds(1)
    place.heard.clear()
    place.service.subscribe("$SYS/#", lambda message: place.heard.append((message.topic_name, "", 0, message.retain)))
    place.settle()
    assert {name for name, _, _, retain in place.heard if retain} == {"$SYS/brokers", ROOT + "version", ROOT + "sysdescr"}


def test_whom_nobody_hears_drops_nothing() -> None:
    place = Place("mqtt.broker.sys_interval = 1s")
    service = BrokerService(place.config, place.reactor, lambda: START + place.reactor.seconds())
    service.startService()
    place.pass_seconds(2)
    assert service.broker.metrics.drops["no_subscribers"] == 0


def test_clients_that_come_and_go_are_told() -> None:
    place = Place()
    alice = place.connect("alice")
    place.settle()
    event = place.event("clients/alice/connected")
    assert isinstance(event.pop("ts"), int)
    assert event == {"clientid": "alice", "username": "undefined", "ipaddress": "127.0.0.1", "clean_sess": True,
                     "protocol": 5, "connack": 0}
    alice.hang_up()
    place.settle()
    event = place.event("clients/alice/disconnected")
    assert isinstance(event.pop("ts"), int)
    assert event == {"clientid": "alice", "username": "undefined", "reason": "connection_lost"}
    assert {qos for name, _, qos, _ in place.heard if "/clients/" in name} == {1}


def test_who_is_taken_over_goes_before_the_other_comes() -> None:
    place = Place()
    place.connect("alice")
    place.connect("alice")
    place.settle()
    assert [name.rpartition("/")[2] for name, _, _, _ in place.heard] == ["connected", "disconnected", "connected"]
    assert place.event("clients/alice/disconnected")["reason"] == "session_taken_over"


def test_who_was_never_accepted_is_not_told() -> None:
    place = Place("mqtt.allow_anonymous = off")
    place.connect("alice").hang_up()
    place.settle()
    assert place.heard == []


def test_a_client_that_leaves_is_not_told_of_it_after_its_end() -> None:
    place = Place()
    alice = place.connect("alice")
    alice.send(Subscribe(1, [(b"$SYS/#", 1)]))
    alice.received()
    place.service.broker.shut_down()
    place.settle()
    assert [packet for packet in alice.received() if isinstance(packet, Publish)] == []


@pytest.mark.parametrize(("name", "topic"), [("a/b", "a/b"), ("a+#", "a%2B%23")])
def test_a_client_identifier_becomes_part_of_a_topic(name: str, topic: str) -> None:
    assert quoted(name) == topic
    place = Place()
    place.connect(name)
    place.settle()
    assert place.event(f"clients/{topic}/connected")["clientid"] == name


def test_what_cannot_be_a_topic_is_not_told_and_harms_nobody() -> None:
    place = Place("mqtt.max_topic_levels = 10")
    place.connect("/" * 20)
    place.connect("alice")
    place.settle()
    assert [name for name, _, _, _ in place.heard] == [ROOT + "clients/alice/connected"]


def test_a_filling_queue_is_an_alarm_until_it_is_empty() -> None:
    place = Place("mqtt.mqueue.max_length = 10")
    broker = place.service.broker
    broker.observer.queue_filling("alice", 7)
    broker.observer.queue_filling("alice", 8)
    place.settle()
    event = place.event("alarms/queue_high_watermark/alice/alert")
    assert isinstance(event.pop("ts"), int)
    assert event == {"id": "queue_high_watermark/alice", "severity": "warning", "title": "the queue of alice is filling",
                     "summary": "7 messages wait for alice, above the high watermark"}
    assert list(broker.alarms.active) == ["queue_high_watermark/alice"]
    broker.observer.queue_relieved("alice", 1)
    place.settle()
    assert place.event("alarms/queue_high_watermark/alice/clear")["id"] == "queue_high_watermark/alice"
    assert not broker.alarms.active


def test_hash_does_not_reach_what_the_broker_tells() -> None:
    place = Place("mqtt.broker.sys_interval = 1s")
    heard: list[str] = []
    for topic_filter in ("#", "+/brokers/#"):
        place.service.subscribe(topic_filter, lambda message: heard.append(message.topic_name))
    place.connect("alice")
    place.pass_seconds(2)
    assert heard == []


def test_the_hooks_of_the_service_are_those_of_its_broker() -> None:
    place = Place()
    seen: list[str] = []
    place.service.hooks.add("client.connected", lambda client: seen.append(client.client_id))
    place.connect("alice")
    assert seen == ["alice"]


# The part that tells it.

def test_an_event_that_fails_costs_the_part_and_not_those_behind_it(
        monkeypatch: pytest.MonkeyPatch, logged_failures: list[Failure]) -> None:
    place = Place()
    whole = place.service.systopics._publish

    def broken(*arguments: object) -> None:
        monkeypatch.setattr(place.service.systopics, "_publish", whole)
        raise ZeroDivisionError

    monkeypatch.setattr(place.service.systopics, "_publish", broken)
    for client_id in ("a", "b", "c"):
        place.connect(client_id)
    place.settle()
    assert [name for name, _, _, _ in place.heard if name.endswith("/connected")] == [
        f"{ROOT}clients/b/connected", f"{ROOT}clients/c/connected"]
    row = place.service.root.find("systopics")
    assert (row.state, row.restarts) == ("running", 1)
    assert logged_failures.pop().type is ZeroDivisionError


def test_what_happens_while_the_part_is_down_is_told_when_it_is_back(logged_failures: list[Failure]) -> None:
    place = Place()
    for _ in range(2):
        place.service.root.kill("systopics")
    assert place.service.root.find("systopics").state == "waiting"
    place.connect("a")
    place.settle()
    assert place.texts("clients/a/connected") == []
    place.pass_seconds(1)
    place.settle()
    assert len(place.texts("clients/a/connected")) == 1


def test_what_nobody_listened_to_is_not_told_to_who_comes_later() -> None:
    place = Place()
    place.service.broker.unsubscribe(place.callback)
    place.connect("a")
    place.settle()
    place.listen()
    place.connect("b")
    place.settle()
    assert [name for name, _, _, _ in place.heard] == [f"{ROOT}clients/b/connected"]


def test_one_that_was_stopped_tells_nothing_of_what_came_up_while_it_told() -> None:
    place = Place()
    alarms = place.service.broker.alarms
    place.service.subscribe(ROOT + "alarms/+/alert", lambda message: alarms.raise_("second", "error", "", ""))
    alarms.raise_("first", "error", "", "")
    place.service.systopics.tell_events()
    place.service.root.stop("systopics")
    place.settle()
    assert (len(place.texts("alarms/first/alert")), place.texts("alarms/second/alert")) == (1, [])
    place.service.root.restart("systopics")
    place.settle()
    assert len(place.texts("alarms/second/alert")) == 1
