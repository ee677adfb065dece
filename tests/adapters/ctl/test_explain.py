"""explain: what commands say of routes, clients and drops is what the test made happen."""
import json
import re
from collections.abc import Callable

import pytest

from emqtwist.core import drops
from emqtwist.core.causes import DROPS
from emqtwist.core.cluster.cluster import Cluster
from emqtwist.core.cluster.link import NodeLink
from emqtwist.core.cluster.routes import HELD
from emqtwist.core.cluster.seats import value_of
from emqtwist.ctl.registry import Refused
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Connect, Publish, Subscribe
from emqtwist.services import decisions
from tests.clusters import pack
from tests.desks import WALL, Desk
from tests.peers import World
from tests.unit.core.test_causes import DROPS as SCENES
from tests.wires import Caller


def rows(desk: Desk, *words: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(desk.ask(*words, form="json"))
    return found


# route

def test_a_route_names_all_receivers_with_their_subscriptions() -> None:
    desk = Desk()
    desk.service.subscribe("a/+", print)
    desk.client("many").send(Subscribe(1, [(b"a/b", 0), (b"a/#", 2), (b"x", 1), (b"$local/a/b", 1)]))
    desk.client("own").send(Subscribe(1, [(b"+/b", 1 | c.OPTION_NO_LOCAL)]))
    for name in ("one", "two"):
        desk.client(name).send(Subscribe(1, [(b"$share/g/a/b", 1)]))
    away = desk.client("away", c.MQTT_3_1_1, clean_start=False)
    away.send(Subscribe(1, [(b"a/b", 1)]))
    away.hang_up()
    desk.client("away2", c.MQTT_3_1_1, clean_start=False).hang_up()
    desk.service.publish("a/b", b"waits", 1)
    found = {row.get("client_id", row.get("group")): row for row in rows(desk, "explain", "route", "a/b")}
    many = found.pop("many")
    assert sorted(many.pop("filters")) == ["$local/a/b", "a/#", "a/b"]  # type: ignore[call-overload]
    assert many == {"client_id": "many", "qos": 2, "no_local": False, "state": "it is connected"}
    assert found == {
        "(this process)": {"client_id": "(this process)", "filters": ["a/+"], "qos": 2, "no_local": False,
                           "state": "it is called at once"},
        "own": {"client_id": "own", "filters": ["+/b"], "qos": 1, "no_local": True, "state": "it is connected"},
        "away": {"client_id": "away", "filters": ["a/b"], "qos": 1, "no_local": False,
                 "state": "it is away, and 1 messages wait for it"},
        "$share/g/a/b": {"group": "$share/g/a/b", "here": ["one", "two"], "away": [], "strategy": "least_loaded"}}
    lines = desk.lines("explain", "route", "a/b")
    assert "own by +/b, up to QoS 1, but not what it publishes itself: it is connected" in lines
    assert "one of $share/g/a/b (least_loaded): here one, two; away nobody" in lines


def test_other_nodes_and_members_of_groups_there_are_named() -> None:
    desk = Desk()
    broker = desk.service.broker
    cluster = Cluster(broker, "a", "a-1", lambda: "token", pack, broker.settings.queue)
    near = desk.client("near")
    near.send(Subscribe(1, [(b"$share/g/t", 1)]))
    for name, connected in (("b", True), ("c", False)):
        peer = cluster.opened(name, f"{name}-1", NodeLink(broker.turn)) if connected else cluster.peer(name)
        mirror = cluster.routes.mirror(peer)
        mirror.incarnation = peer.incarnation
        mirror.delta(0, ((b"t", HELD), (b"$share/g/t", value_of(1, 1, True))))
    found = {row.get("client_id", row.get("group")): row for row in rows(desk, "explain", "route", "t")}
    state = "connected, and 0 messages are on their way to it"
    assert [found[f"(node {name})"]["state"] for name in "bc"] == ["it is " + state, "it is not " + state]
    assert found["$share/g/t"]["here"] == ["near", "(one of node b)"]
    assert found["$share/g/t"]["away"] == ["(one of node b)", "(one of node c)"]


def test_who_is_slow_is_named() -> None:
    desk = Desk()
    slow = desk.client("slow")
    slow.send(Subscribe(1, [(b"t", 1)]))
    slow.protocol.pauseProducing()
    for _ in range(3):
        desk.service.publish("t", b"x", 1)
    assert desk.lines("explain", "route", "t") == ["slow by t, up to QoS 1: it is too slow, and 3 messages wait for it"]


def test_a_topic_without_receivers_reaches_nobody_and_one_that_is_none_is_refused() -> None:
    desk = Desk()
    assert desk.lines("explain", "route", "t") == ["it reaches nobody"]
    assert desk.lines("explain", "route", "$SYS/x") == [
        "clients may not publish to it: it is the broker's own", "it reaches nobody"]
    assert isinstance(desk.error("explain", "route", "a/#"), Refused)
    assert desk.service.broker.metrics.drops["no_subscribers"] == 0


# client

def test_what_was_decided_about_a_client_is_told() -> None:
    desk = Desk()
    desk.client("a").hang_up()
    desk.reactor.advance(5)
    first = desk.client("a", c.MQTT_3_1_1, clean_start=False)
    desk.client("a", c.MQTT_5_0, clean_start=False)
    assert first.closing
    desk.client("b")
    connected, lost, again, taken, last = rows(desk, "explain", "client", "a")
    assert (connected["what"], connected["at"], connected["reason"]) == (
        "connected", int(WALL), "protocol level 5, with a new session")
    assert (lost["what"], lost["cause"]) == ("ended", "connection_lost")
    assert (again["at"], again["reason"]) == (int(WALL) + 5, "protocol level 4, with a new session")
    assert taken["cause"] == "session_taken_over"
    assert last["reason"] == "protocol level 5, its session was there"
    assert desk.lines("explain", "client", "a")[3] == (
        f"{int(WALL) + 5} ended from 127.0.0.1:50000: session_taken_over: a new connection from 127.0.0.1:50000 uses this client "
        "identifier")


def test_why_a_client_was_refused_is_told() -> None:
    desk = Desk("mqtt.allow_anonymous = off")
    caller = Caller(desk.service.listeners["default"].factory, desk.reactor)
    caller.send(Connect(c.MQTT_5_0, "a"))
    [row] = rows(desk, "explain", "client", "a")
    assert (row["what"], row["cause"], row["reason"]) == (
        "ended", "not_authorized", "anonymous clients are not allowed here (mqtt.allow_anonymous)")
    error = desk.error("explain", "client", "b")
    assert (type(error), str(error)) == (Refused, "Nothing is known of it.")


def test_what_is_noted_of_clients_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    for number in range(decisions.LAST // 2 + 10):
        desk.service.broker.observer.connected(f"c{number}" + "l" * 1000, None, "", 5, True, False)
        desk.service.broker.observer.disconnected(f"c{number}" + "l" * 1000, "", "normal", "r" * 1000)
    found = desk.service.decisions
    assert len(found.last) == decisions.LAST
    assert max(len(each[1]) + len(each[5]) for each in found.last) == 2 * decisions.LONGEST
    assert len(found.of("c509" + "l" * 1000)) == 2
    assert found.of("c0" + "l" * 1000) == []


# drop

@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_each_cause_but_the_end_of_a_session_is_noted_with_what_was_dropped(scene: Callable[[], World]) -> None:
    world = scene()
    noted = world.broker.circle.drops.by_cause[scene.__name__]
    assert len(noted) == (0 if scene.__name__ == "session_ended" else 1)


def test_what_was_dropped_is_told_by_topic_and_by_client() -> None:
    desk = Desk("mqtt.mqueue.store_qos0 = off")
    bob = desk.client("bob", c.MQTT_3_1_1, clean_start=False)
    bob.send(Subscribe(1, [(b"t/#", 0)]))
    bob.hang_up()
    desk.reactor.advance(3)
    alice = desk.client("alice")
    alice.send(Publish(b"nobody", b"x"), Publish(b"t/1", b"x"))
    desk.service.publish("nobody/2", b"x")
    at = int(WALL) + 3
    first = f"{at} no_subscribers: nobody from alice: nobody subscribes to the topic"
    second = f"{at} no_subscribers: nobody/2 from (this process): nobody subscribes to the topic"
    third = f"{at} qos0_not_stored: t/1 from alice for bob: {DROPS['qos0_not_stored']}"
    assert [line for line in desk.lines("explain", "drop") if "$SYS" not in line] == [first, second, third]
    assert desk.lines("explain", "drop", "topic", "nobody/#") == [first, second]
    assert desk.lines("explain", "drop", "client", "bob") == [third]
    assert desk.lines("explain", "drop", "client", "alice") == [first, third]
    [row] = rows(desk, "explain", "drop", "client", "bob")
    assert row == {"at": at, "cause": "qos0_not_stored", "topic": "t/1", "publisher": "alice", "client_id": "bob"}
    assert isinstance(desk.error("explain", "drop", "topic", "a/#/b"), Refused)


def test_what_is_noted_of_drops_is_bounded_for_each_cause() -> None:
    desk = Desk()
    alice = desk.client("alice" + "l" * 1000)
    for number in range(drops.LAST + 5):
        alice.send(Publish(b"t/%d/" % number + b"l" * 1000, b"x"))
    noted = desk.service.broker.circle.drops.by_cause["no_subscribers"]
    assert len(noted) == drops.LAST
    assert re.fullmatch(rb"t/5/l+", noted[0][1])
    assert {(len(topic), len(publisher)) for _, topic, publisher, _ in noted} == {(drops.LONGEST, drops.LONGEST)}
