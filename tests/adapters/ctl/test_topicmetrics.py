"""topics metrics: each number is that of the traffic which the test made."""
import json

import pytest

from emqtwist.core.hooks import ROWS
from emqtwist.ctl.registry import Refused
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Connect, Publish, Subscribe
from emqtwist.services import topicmetrics
from tests.desks import Desk
from tests.wires import Caller


def counted(desk: Desk) -> dict[str, dict[str, int]]:
    found = {}
    for row in json.loads(desk.ask("topics", "metrics", "list", form="json")):
        found[row.pop("filter")] = row
    return found


def numbers(received: tuple[int, int, int], size: int, sent: int, dropped: int) -> dict[str, int]:
    return {"messages/received": sum(received), **{f"messages/qos{qos}/received": received[qos] for qos in range(3)},
            "bytes/received": size, "messages/sent": sent, "messages/dropped": dropped}


def test_what_is_published_delivered_and_dropped_is_counted_for_each_filter() -> None:
    desk = Desk("mqtt.mqueue.store_qos0 = off")
    for topic_filter in ("t/#", "t/1", "other"):
        assert desk.lines("topics", "metrics", "add", topic_filter) == ["ok"]
    for name in ("x", "y"):
        desk.client(name).send(Subscribe(1, [(b"t/1", 2)]))
    away = desk.client("away", c.MQTT_3_1_1, clean_start=False)
    away.send(Subscribe(1, [(b"t/2", 0)]))
    away.hang_up()
    alice = desk.client("alice")
    alice.send(Publish(b"t/1", b"four"), Publish(b"t/1", b"x", 1, packet_id=1), Publish(b"t/1", b"", 2, packet_id=2),
               Publish(b"t/2", b"away"), Publish(b"t/3", b"nobody"), Publish(b"elsewhere", b"x"))
    desk.service.publish("t/1", b"host", 1)
    expected = {"t/#": numbers((3, 2, 1), 4 + 1 + 4 + 6 + 4, 8, 2), "t/1": numbers((1, 2, 1), 4 + 1 + 4, 8, 0),
                "other": numbers((0, 0, 0), 0, 0, 0)}
    assert counted(desk) == expected
    lines = desk.lines("topics", "metrics", "list")
    assert lines[:3] == ["t/#:", "  messages/received       : 6", "  messages/qos0/received  : 3"]


def test_a_message_counts_once_for_each_client_that_gets_it_and_not_when_its_session_ends_first() -> None:
    desk = Desk()
    desk.ask("topics", "metrics", "add", "t")
    for name in ("x", "y"):
        desk.client(name).send(Subscribe(1, [(b"$share/g/t", 1)]))
    away = desk.client("away", c.MQTT_3_1_1, clean_start=False)
    away.send(Subscribe(1, [(b"t", 1)]))
    away.hang_up()
    alice = desk.client("alice")
    alice.send(Publish(b"t", b"one", 1, packet_id=1))
    assert counted(desk)["t"] == numbers((0, 1, 0), 3, 1, 0)
    for _ in range(2):  # the second time it is sent again
        back = Caller(desk.service.listeners["default"].factory, desk.reactor, version=c.MQTT_3_1_1)
        back.send(Connect(c.MQTT_3_1_1, "away", False))
        assert counted(desk)["t"] == numbers((0, 1, 0), 3, 2, 0)
        back.hang_up()
    alice.send(Publish(b"t", b"one", 1, packet_id=2))
    desk.client("away")
    assert counted(desk)["t"] == numbers((0, 2, 0), 6, 3, 0)
    assert desk.service.broker.metrics.drops["session_ended"] == 2


def test_a_message_counts_where_it_goes_and_not_where_it_was_sent() -> None:
    desk = Desk("module.rewrite.enable = on", "module.rewrite.rule.1 = old/# ^old/(.+)$ new/$1")
    for topic_filter in ("old/#", "new/#"):
        desk.ask("topics", "metrics", "add", topic_filter)
    desk.client("a").send(Publish(b"old/t", b"x"))
    assert {name: row["messages/received"] for name, row in counted(desk).items()} == {"old/#": 0, "new/#": 1}


def test_a_filter_that_comes_or_goes_counts_from_then_on_and_what_is_counted_no_more_costs_nothing() -> None:
    desk = Desk()
    alice = desk.client("alice")
    desk.ask("topics", "metrics", "add", "t")
    assert desk.service.broker.plain_qos == -1
    alice.send(Publish(b"t", b"x"))
    desk.ask("topics", "metrics", "add", "+")
    alice.send(Publish(b"t", b"x"))
    assert desk.lines("topics", "metrics", "del", "t") == ["ok"]
    alice.send(Publish(b"t", b"x"))
    assert counted(desk) == {"+": numbers((2, 0, 0), 2, 0, 2)}
    desk.ask("topics", "metrics", "del", "+")
    assert [row.name for row in ROWS if desk.service.hooks.at[row.name]] == []
    assert desk.service.broker.plain_qos == 2
    assert not desk.service.broker.circle.taps


def test_topics_that_are_made_up_take_no_memory_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topicmetrics, "MOST_REMEMBERED", 10)
    desk = Desk()
    desk.ask("topics", "metrics", "add", "#")
    alice = desk.client("alice")
    for number in range(25):
        alice.send(Publish(b"t/%d" % number, b""))
    alice.send(Publish(b"l" * 300, b""))
    assert len(desk.service.topic_metrics._known) == 5
    assert counted(desk)["#"]["messages/received"] == 26


def test_what_cannot_be_counted_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topicmetrics, "MOST", 2)
    desk = Desk()
    for topic_filter in ("a", "b"):
        desk.ask("topics", "metrics", "add", topic_filter)
    assert "filters already" in str(desk.error("topics", "metrics", "add", "c"))
    assert str(desk.error("topics", "metrics", "add", "a")) == "Error: it is counted already"
    for words in (("add", "a/#/b"), ("del", "c")):
        assert isinstance(desk.error("topics", "metrics", *words), Refused)
