"""[module.slow_subs], sessions slow: each number is that of the traffic and the time which the test made."""
import json
from typing import cast

import pytest

from emqtwist.core.hooks import ROWS
from emqtwist.ctl.registry import Refused
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Connack, Connect, Puback, Pubcomp, Publish, Pubrec, Pubrel, Subscribe
from tests.desks import WALL, Desk
from tests.wires import Caller

ON = "module.slow_subs.enable = on"


def ranked(desk: Desk, *count: str) -> list[tuple[str, int, str, int, int]]:
    """Client, milliseconds, topic, messages, and the second of the test's clock."""
    return [(row["client_id"], row["delay"], row["topic"], row["messages"], row["last_at"] - int(WALL))
            for row in json.loads(desk.ask("sessions", "slow", *count, form="json"))]


def subscriber(desk: Desk, client_id: str, qos: int = 1, topic_filter: bytes = b"t/#", clean_start: bool = True,
               version: int = c.MQTT_5_0) -> Caller:
    caller = desk.client(client_id, version, clean_start)
    caller.send(Subscribe(1, [(topic_filter, qos)]))
    caller.received()
    return caller


def publish(desk: Desk, topic: str = "t/1", qos: int = 1) -> None:
    desk.service.publish(topic, b"x", qos)
    desk.reactor.advance(0)


def acknowledge(caller: Caller) -> None:
    """What has come, at QoS 1 or 2."""
    for packet in caller.received():
        if not isinstance(packet, Publish):
            assert isinstance(packet, Connack)
        elif packet.qos == 1:
            caller.send(Puback(packet.packet_id))
        elif packet.qos == 2:
            caller.send(Pubrec(packet.packet_id))
            caller.one(Pubrel)
            caller.send(Pubcomp(packet.packet_id))


@pytest.mark.parametrize("qos", [1, 2])
def test_who_acknowledges_late_is_ranked_above_who_does_it_less_late(qos: int) -> None:
    desk = Desk(ON)
    slow, slower, swift = [subscriber(desk, name, qos) for name in ("slow", "slower", "swift")]
    publish(desk, qos=qos)
    acknowledge(swift)
    desk.reactor.advance(0.75)
    acknowledge(slow)
    desk.reactor.advance(0.5)
    acknowledge(slower)
    assert ranked(desk) == [("slower", 1250, "t/1", 1, 1), ("slow", 750, "t/1", 1, 0)]
    publish(desk, "t/2", qos)
    desk.reactor.advance(1.0)
    for each in (slow, slower, swift):
        acknowledge(each)
    assert ranked(desk) == [("slower", 1250, "t/1", 2, 2), ("slow", 1000, "t/2", 2, 2), ("swift", 1000, "t/2", 1, 2)]
    assert ranked(desk, "1") == [("slower", 1250, "t/1", 2, 2)]
    assert desk.lines("sessions", "slow", "1") == [f"Slow(slower, delay=1250, topic=t/1, messages=2, last_at={int(WALL) + 2})"]


def test_who_has_not_acknowledged_is_ranked_while_it_waits() -> None:
    desk = Desk(ON)
    mute = subscriber(desk, "mute")
    publish(desk)
    desk.reactor.advance(2.0)
    assert ranked(desk) == [("mute", 2000, "t/1", 0, 2)]
    desk.reactor.advance(1.0)
    acknowledge(mute)
    assert ranked(desk) == [("mute", 3000, "t/1", 1, 3)]


def test_what_waits_for_room_in_the_window_is_slow() -> None:
    desk = Desk(ON, "mqtt.session.max_inflight = 1")
    mute = subscriber(desk, "mute")
    publish(desk)
    acknowledge(mute)
    publish(desk, "t/2")
    desk.reactor.advance(1.0)
    publish(desk, "t/3")
    acknowledge(mute)
    desk.reactor.advance(3.0)
    acknowledge(mute)
    assert ranked(desk) == [("mute", 3000, "t/3", 2, 4)]


def test_who_reads_slowly_is_ranked_at_qos_0_too() -> None:
    desk = Desk(ON, "mqtt.client.max_unsent = 64KB")
    reader = subscriber(desk, "reader", 0)
    desk.service.publish("t/large", bytes(100_000))
    desk.reactor.advance(0)
    publish(desk, "t/2")
    desk.reactor.advance(4.0)
    assert ranked(desk) == [("reader", 4000, "t/2", 0, 4)]
    reader.received()
    desk.reactor.advance(0)
    assert ranked(desk) == [("reader", 4000, "t/2", 1, 4)]


def test_a_member_of_a_group_is_ranked_as_any_other() -> None:
    desk = Desk(ON)
    member = subscriber(desk, "member", topic_filter=b"$share/g/t/#")
    publish(desk)
    desk.reactor.advance(1.0)
    acknowledge(member)
    assert ranked(desk) == [("member", 1000, "t/1", 1, 1)]


def test_the_time_that_a_client_is_away_does_not_count_nor_how_old_a_retained_message_is() -> None:
    desk = Desk(ON)
    away = subscriber(desk, "away", clean_start=False, version=c.MQTT_3_1_1)
    away.hang_up()
    publish(desk)
    desk.service.publish("r/1", b"x", retain=True)
    desk.reactor.advance(100.0)
    assert ranked(desk) == []
    back = Caller(desk.service.listeners["default"].factory, desk.reactor, version=c.MQTT_3_1_1)
    back.send(Connect(c.MQTT_3_1_1, "away", False))
    subscriber(desk, "late", topic_filter=b"r/1")
    assert ranked(desk) == []
    desk.reactor.advance(1.0)
    acknowledge(back)
    assert ranked(desk) == [("away", 1000, "t/1", 1, 101)]


def test_nothing_is_kept_of_a_session_that_has_ended() -> None:
    desk = Desk(ON)
    gone = subscriber(desk, "gone")
    publish(desk)
    desk.reactor.advance(1.0)
    acknowledge(gone)
    gone.hang_up()
    assert desk.service.slowness.table == {}
    assert ranked(desk) == []


def test_module_slow_subs_enable() -> None:
    desk = Desk()
    mute = subscriber(desk, "mute")
    assert isinstance(desk.error("sessions", "slow"), Refused)
    before = [desk.service.hooks.at[row.name] for row in ROWS]
    desk.ask("modules", "load", "slow_subs")
    publish(desk)
    desk.reactor.advance(1.0)
    assert len(ranked(desk)) == 1
    desk.ask("modules", "unload", "slow_subs")
    assert desk.service.slowness.table == {}
    assert [desk.service.hooks.at[row.name] for row in ROWS] == before
    assert not desk.service.broker.circle.taps
    assert desk.service.broker.plain_qos == 2
    acknowledge(mute)
    publish(desk)
    desk.reactor.advance(1.0)
    desk.ask("modules", "load", "slow_subs")
    assert ranked(desk) == []  # published while nobody wanted to know when


def test_module_slow_subs_threshold() -> None:
    desk = Desk(ON, "module.slow_subs.threshold = 2s")
    client = subscriber(desk, "client")
    for seconds in (1.5, 2.0):
        publish(desk)
        desk.reactor.advance(seconds)
        acknowledge(client)
    assert ranked(desk) == [("client", 2000, "t/1", 1, 3)]


def test_module_slow_subs_top_k_num() -> None:
    desk = Desk(ON, "module.slow_subs.top_k_num = 2")
    clients = [subscriber(desk, name) for name in "abcd"]
    publish(desk)
    for client in (clients[0], clients[2], clients[1], clients[3]):
        desk.reactor.advance(1.0)
        acknowledge(client)
        assert len(desk.service.slowness.table) <= 2
    assert [row[:2] for row in ranked(desk)] == [("d", 4000), ("b", 3000)]
    publish(desk)
    desk.reactor.advance(1.0)
    acknowledge(clients[0])
    assert [row[:2] for row in ranked(desk)] == [("d", 4000), ("b", 3000)]  # slower than it
    desk.service.slowness.configure(type(desk.service.config.module.slow_subs)(top_k_num=1))
    assert [slow.client_id for slow in desk.service.slowness.table.values()] == ["d"]


def test_module_slow_subs_expire_interval() -> None:
    desk = Desk(ON, "module.slow_subs.expire_interval = 10s", "module.slow_subs.top_k_num = 1")
    client, other = subscriber(desk, "client"), subscriber(desk, "other", topic_filter=b"o")
    publish(desk)
    desk.reactor.advance(5.0)
    acknowledge(client)
    desk.reactor.advance(9.0)
    assert [row[0] for row in ranked(desk)] == ["client"]
    publish(desk, "o")
    desk.reactor.advance(1.0)
    acknowledge(other)
    assert ranked(desk) == [("other", 1000, "o", 1, 15)]
    desk.reactor.advance(10.0)
    assert ranked(desk) == []


def test_module_slow_subs_stats_type() -> None:
    desk = Desk(ON, "module.slow_subs.stats_type = internal", "mqtt.session.max_inflight = 1")
    mute = subscriber(desk, "mute")
    publish(desk)
    desk.reactor.advance(5.0)
    assert ranked(desk) == []
    publish(desk, "t/2")
    desk.reactor.advance(1.0)
    assert ranked(desk) == [("mute", 1000, "t/2", 0, 6)]
    acknowledge(mute)
    desk.reactor.advance(5.0)
    acknowledge(mute)
    assert ranked(desk) == [("mute", 1000, "t/2", 1, 6)]


@pytest.mark.parametrize("count", ["0", "1001", "many"])
def test_a_count_that_is_none_is_refused(count: str) -> None:
    assert "Count should be" in str(cast(Refused, Desk(ON).error("sessions", "slow", count)))
