"""The three pools of a broker: who waits while a worker is busy or down, and who pays when a job fails."""
import pytest

from emqtwist.core.session import Session
from emqtwist.core.sessions import AGAIN
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import QuotaExceeded
from emqtwist.mqtt.packets import Connack, Connect, Disconnect, Puback, Publish, Suback, Subscribe, Unsuback, Unsubscribe
from tests.jobs import Poisoned, neighbour
from tests.peers import Peer, World, before_5

KEPT = {"clean_start": False, "session_expiry_interval": 100}


class Scene:
    """A broker whose workers stay down when a job fails, and one client that receives all it publishes, at QoS 1 and 2."""

    def __init__(self, *lines: str) -> None:
        self.world = World(*lines)
        self.deaths = self.world.bear()
        self.broker = self.world.broker
        self.pools = self.broker.pools
        self.busy = self.world.connect("busy")
        self.busy.subscribe("traffic", qos=2)
        self.sent = 0

    def traffic(self) -> None:
        """Nobody else notices anything."""
        for qos in (1, 2):
            self.sent += 1
            self.busy.publish("traffic", b"%d" % self.sent, qos)
        came = [packet for packet in self.busy.received() if isinstance(packet, Publish)]
        assert [packet.payload for packet in came] == [b"%d" % (self.sent - 1), b"%d" % self.sent]
        self.busy.acknowledge(*came)
        self.busy.received()

    def stop(self) -> None:
        for pool in self.pools.all():
            for worker in pool.workers:
                worker.stop()

    def start(self) -> None:
        for pool in self.pools.all():
            for worker in pool.workers:
                worker.start()
        self.world.settle()

    def down(self) -> list[str]:
        return [worker.name for pool in self.pools.all() for worker in pool.workers if not worker.up]

    def poison_routes(self, *filters: bytes) -> None:
        self.broker.router._exact = Poisoned(self.broker.router._exact, filters)

    def connecting(self, client_id: str, version: int = 5, clean_start: bool = True) -> Peer:
        """A CONNECT that may have to wait."""
        peer = self.world.peer()
        peer.send(Connect(version, client_id, clean_start, 0, None, None, None, False, None))
        return peer


def test_connect_waits_for_the_worker_of_its_client_and_keeps_what_follows() -> None:
    scene = Scene()
    scene.stop()
    peer = scene.world.peer()
    peer.send(Connect(5, "a", True, 0, None, None, None, False, None),
              Subscribe(1, [(b"a", 1)]), Publish(b"a", b"x", 1, packet_id=7))
    scene.traffic()
    assert peer.received() == []
    assert "a" not in scene.broker.sessions.by_id
    scene.start()
    assert [type(packet) for packet in peer.received()] == [Connack, Suback, Publish, Puback]
    assert scene.broker.sessions.by_id["a"].opener is peer.connection


def test_a_client_that_goes_before_its_session_is_opened_leaves_nothing() -> None:
    scene = Scene()
    scene.stop()
    peer = scene.connecting("a")
    peer.drop()
    scene.start()
    assert list(scene.broker.sessions.by_id) == ["busy"]


def test_clients_with_one_identifier_are_served_in_their_order() -> None:
    scene = Scene()
    scene.stop()
    first, second = scene.connecting("a"), scene.connecting("a")
    scene.start()
    assert [packet.reason_code for packet in first.all(Connack)] == [c.SERVER_BUSY]
    assert second.one(Connack).reason_code == c.SUCCESS


@before_5
def test_an_older_client_whose_session_cannot_be_opened_is_told(version: int) -> None:
    scene = Scene()
    scene.broker.sessions.by_id = Poisoned(scene.broker.sessions.by_id, ["a"])
    assert scene.connecting("a", version).one(Connack).reason_code == c.REFUSED_SERVER_UNAVAILABLE


def test_a_session_that_cannot_be_opened_costs_who_asked_for_it() -> None:
    scene = Scene()
    other = neighbour(scene.pools.sm, "a")
    scene.broker.sessions.by_id = Poisoned(scene.broker.sessions.by_id, ["a"])
    peer = scene.connecting("a")
    assert (peer.one(Connack).reason_code, peer.closed) == (c.UNSPECIFIED_ERROR, True)
    assert scene.world.ends == {"unspecified_error": 1}
    assert scene.down() == [scene.pools.sm.worker("a").name]
    assert [name for name, _ in scene.deaths] == scene.down()
    waiting, again = scene.connecting(other), scene.connecting("a")
    scene.traffic()
    assert (waiting.received(), again.received()) == ([], [])
    scene.start()
    assert waiting.one(Connack).reason_code == again.one(Connack).reason_code == c.SUCCESS


def test_a_session_that_could_not_be_resumed_waits_for_its_client_again() -> None:
    scene = Scene()
    scene.world.connect("a", **KEPT).drop()
    scene.broker.wills._wills = Poisoned({}, ["a"])
    peer = scene.connecting("a", clean_start=False)
    assert peer.one(Connack).reason_code == c.UNSPECIFIED_ERROR
    scene.start()
    scene.world.advance(1)
    again = scene.world.connect("a", clean_start=False)
    assert again.connack is not None
    assert again.connack.session_present


def test_a_session_that_cannot_be_ended_is_over_all_the_same_and_is_ended_later() -> None:
    scene = Scene()
    peer = scene.world.connect("a")
    peer.subscribe("x", "y", qos=1)
    scene.poison_routes(b"x")
    peer.disconnect()
    assert [name for name, _ in scene.deaths] == [scene.pools.pubsub.worker(b"x").name]
    assert list(scene.broker.alarms.active) == ["session_not_ended/a"]
    scene.start()
    scene.traffic()
    again = scene.world.connect("a", clean_start=False)
    assert again.connack is not None
    assert not again.connack.session_present
    assert scene.broker.alarms.active == {}
    assert scene.broker.router.filters() == [b"traffic"]


def test_so_it_is_with_a_session_that_has_nothing() -> None:
    scene = Scene()
    peer = scene.world.connect("a")
    session = scene.broker.sessions.by_id["a"]
    scene.broker.subscriptions.groups._joined = Poisoned({}, [session])
    peer.disconnect()
    assert [name for name, _ in scene.deaths] == scene.down() == [scene.pools.sm.worker("a").name]
    assert list(scene.broker.alarms.active) == ["session_not_ended/a"]
    scene.start()
    scene.traffic()
    scene.world.advance(AGAIN)
    assert (list(scene.broker.sessions.by_id), scene.broker.alarms.active) == (["busy"], {})


def test_a_session_ends_behind_what_its_worker_has_to_do() -> None:
    scene = Scene()
    peer = scene.world.connect("a")
    scene.pools.sm.worker("a").stop()
    peer.disconnect()
    assert "a" in scene.broker.sessions.by_id
    scene.start()
    assert list(scene.broker.sessions.by_id) == ["busy"]


def test_the_end_is_tried_again_when_nobody_comes() -> None:
    scene = Scene()
    peer = scene.world.connect("a")
    peer.subscribe("x", "y", qos=1)
    scene.poison_routes(b"x", b"x")
    peer.disconnect()
    for ended in (False, True):
        scene.start()
        scene.world.advance(9.9)
        assert "a" in scene.broker.sessions.by_id
        scene.world.advance(0.2)
        assert ("a" not in scene.broker.sessions.by_id) == ended
    assert (scene.broker.alarms.active, scene.broker.router.filters()) == ({}, [b"traffic"])


def test_an_expired_session_whose_client_was_before_its_end_goes_on() -> None:
    scene = Scene()
    scene.world.connect("a", **KEPT).drop()
    scene.stop()
    scene.world.turn.now += 99
    peer = scene.connecting("a", clean_start=False)
    scene.world.advance(2)
    scene.start()
    assert peer.one(Connack).session_present
    assert scene.broker.sessions.by_id["a"].opener is peer.connection


def test_an_expired_session_is_not_resumed_by_who_comes_after_its_end() -> None:
    scene = Scene()
    first = scene.world.connect("a", **KEPT)
    first.subscribe("x")
    first.drop()
    scene.stop()
    scene.world.advance(101)
    peer = scene.connecting("a", clean_start=False)
    scene.start()
    assert not peer.one(Connack).session_present
    assert scene.broker.router.filters() == [b"traffic"]


@pytest.mark.parametrize("kept", [False, True])
def test_a_takeover_waits_until_the_old_session_has_left_the_tables(kept: bool) -> None:
    scene = Scene()
    old = scene.world.connect("a", session_expiry_interval=100 if kept else 0)
    old.subscribe("x", qos=1)
    scene.pools.pubsub.worker(b"x").stop()
    new = scene.connecting("a")
    assert old.one(Disconnect).reason_code == c.SESSION_TAKEN_OVER
    assert new.received() == []
    scene.traffic()
    scene.start()
    assert not new.one(Connack).session_present
    assert new.subscribe("x") == [0]
    assert len(scene.broker.router.route(b"x")) == 1


def test_who_goes_while_the_old_session_ends_opens_none() -> None:
    scene = Scene()
    scene.world.connect("a").subscribe("x")
    scene.pools.pubsub.worker(b"x").stop()
    scene.connecting("a").drop()
    scene.start()
    assert list(scene.broker.sessions.by_id) == ["busy"]
    assert scene.broker.router.filters() == [b"traffic"]


def test_a_filter_whose_job_fails_is_refused_alone() -> None:
    scene = Scene()
    peer = scene.world.connect("a")
    scene.poison_routes(b"y")
    peer.send(Subscribe(1, [(b"x", 1), (b"y", 1), (b"z", 2)]), Publish(b"x", b"1"))
    suback = peer.received()
    if not suback:  # z has the worker of y
        scene.start()
        suback = peer.received()
    assert [packet.reason_codes for packet in suback if isinstance(packet, Suback)] == [[1, c.UNSPECIFIED_ERROR, 2]]
    scene.start()
    assert sorted(scene.broker.router.filters()) == [b"traffic", b"x", b"z"]
    assert list(scene.world.session("a").subscriptions) == [b"x", b"z"]
    assert peer.subscribe("y", qos=1) == [1]
    scene.traffic()


def test_a_subscription_that_could_not_be_replaced_is_as_it_was() -> None:
    scene = Scene()
    peer = scene.world.connect("a")
    peer.subscribe("y", qos=1)
    scene.poison_routes(b"y")
    assert peer.subscribe("y", qos=2) == [c.UNSPECIFIED_ERROR]
    scene.start()
    scene.busy.publish("y", b"1", 2)
    assert peer.one(Publish).qos == 1


def test_a_filter_that_cannot_be_unsubscribed_stays() -> None:
    scene = Scene()
    peer = scene.world.connect("a")
    peer.subscribe("x", "y", qos=1)
    scene.poison_routes(b"x")
    assert peer.unsubscribe("x") == [c.UNSPECIFIED_ERROR]
    scene.start()
    scene.busy.publish("x", b"1", 1)
    assert peer.one(Publish).payload == b"1"
    assert peer.unsubscribe("x", "y") == [0, 0]
    assert scene.broker.router.filters() == [b"traffic"]


def test_a_subscription_that_could_not_be_ended_does_not_outlive_its_session() -> None:
    scene = Scene()
    alice = scene.world.connect("a")
    alice.subscribe("t")
    scene.poison_routes(b"t")
    scene.pools.pubsub.worker(b"t").stop()
    alice.send(Unsubscribe(9, [b"t"]))
    alice.drop()
    scene.start()
    assert len(scene.deaths) == 1
    scene.start()
    assert list(scene.broker.sessions.by_id) == ["busy"]
    assert not scene.broker.router.holds(b"t")


def test_a_subscriber_whose_own_table_fails_is_told_and_stays_connected() -> None:
    scene = Scene()
    peer = scene.world.connect("a")
    session: Session = scene.world.session("a")
    session.subscriptions = Poisoned(session.subscriptions, [b"y"])
    assert peer.subscribe("x", "y", "z", qos=1) == [1, c.UNSPECIFIED_ERROR, c.UNSPECIFIED_ERROR]
    assert scene.down() == [scene.pools.server.worker("a").name]
    peer.send(Unsubscribe(9, [b"x"]))
    scene.traffic()
    assert peer.received() == []
    scene.start()
    assert peer.one(Unsuback).reason_codes == [0]
    assert not peer.closed
    assert scene.broker.router.filters() == [b"traffic"]


def test_subscribe_waits_for_the_workers_of_its_filters_and_what_follows_waits_with_it() -> None:
    scene = Scene()
    peer, other = scene.world.connect("a"), scene.world.connect("b")
    scene.pools.pubsub.worker(b"x").stop()
    peer.send(Subscribe(1, [(b"x", 1)]), Publish(b"x", b"1", 1, packet_id=5))
    other.send(Subscribe(1, [(b"x", 2)]))
    scene.traffic()
    assert (peer.received(), other.received()) == ([], [])
    scene.start()
    assert [type(packet) for packet in peer.received()] == [Suback, Publish, Puback]
    assert {type(packet) for packet in other.received()} == {Suback, Publish}  # it may come before SUBACK


def test_exclusive_subscriptions_that_queue_exclude_each_other() -> None:
    scene = Scene()
    peer, other = scene.world.connect("a"), scene.world.connect("b")
    scene.pools.pubsub.worker(b"x").stop()
    for each in (peer, other):
        each.send(Subscribe(1, [(b"$exclusive/x", 1)]))
    scene.start()
    assert peer.one(Suback).reason_codes == [1]
    assert other.one(Suback).reason_codes == [c.QUOTA_EXCEEDED]
    assert (scene.deaths, scene.down()) == ([], [])
    assert len(scene.broker.router.route(b"x")) == 1


def test_a_function_of_this_process_subscribes_when_the_worker_is_back() -> None:
    scene = Scene()
    came: list[bytes] = []
    scene.busy.publish("x", b"kept", retain=True)
    scene.pools.pubsub.worker(b"x").stop()
    callback = scene.broker.subscribe("x", lambda message: came.append(message.payload), 2)
    gone = scene.broker.subscribe("$share/g/x", print, 2)
    assert scene.broker.unsubscribe(gone)
    scene.busy.publish("x", b"missed")
    scene.start()
    scene.busy.publish("x", b"1")
    assert came == [b"kept", b"1"]
    assert scene.broker.unsubscribe(callback)
    assert scene.broker.router.filters() == [b"traffic"]
    assert scene.broker.subscriptions.groups._joined == {}


def test_a_function_whose_subscription_fails_is_told() -> None:
    scene = Scene()
    scene.poison_routes(b"x", b"y")
    with pytest.raises(RuntimeError):
        scene.broker.subscribe("x", print, 2)
    scene.stop()
    late = scene.broker.subscribe("y", print, 2)
    scene.start()
    assert [told[0] for told in scene.world.witness.told("callback_failed")] == [b"x", b"y"]
    assert late.subscription is None


def test_a_function_that_subscribed_exclusively_too_late_is_told() -> None:
    scene = Scene()
    peer = scene.world.connect("a")
    scene.pools.pubsub.worker(b"x").stop()
    peer.send(Subscribe(1, [(b"$exclusive/x", 1)]))
    late = scene.broker.subscribe("$exclusive/x", print, 2)
    scene.start()
    assert late.subscription is None
    (_, error), = scene.world.witness.told("callback_failed")
    assert isinstance(error, QuotaExceeded)


def test_a_worker_that_nobody_supervises_goes_on_and_its_failure_is_told() -> None:
    scene = Scene()
    broker = scene.broker
    for worker in broker.pools.sm.workers:
        worker.on_failure = broker._job_failed
    broker.sessions.by_id = Poisoned(broker.sessions.by_id, ["a"])
    assert scene.connecting("a").one(Connack).reason_code == c.UNSPECIFIED_ERROR
    assert [told[0] for told in scene.world.witness.told("job_failed")] == [broker.pools.sm.worker("a").name]
    assert scene.connecting("a").one(Connack).reason_code == c.SUCCESS


def test_an_expired_session_that_could_not_be_ended_is_not_resumed() -> None:
    scene = Scene()
    peer = scene.world.connect("a", **KEPT)
    peer.subscribe("x")
    peer.drop()
    scene.poison_routes(b"x")
    scene.world.advance(101)
    scene.start()
    assert scene.connecting("a", clean_start=False).one(Connack).session_present is False


def test_what_was_half_entered_is_taken_out() -> None:
    scene = Scene()
    peer = scene.world.connect("a")
    scene.broker.router.cache = Poisoned({}, [b"y"])
    assert peer.subscribe("y") == [c.UNSPECIFIED_ERROR]
    scene.start()
    assert scene.broker.router.filters() == [b"traffic"]


def test_a_group_that_could_not_be_made_can_be_made_later() -> None:
    scene = Scene()
    peer = scene.world.connect("a")
    scene.poison_routes(b"y")
    assert peer.subscribe("$share/g/y", qos=1) == [c.UNSPECIFIED_ERROR]
    scene.start()
    assert len(scene.deaths) == 1
    assert peer.subscribe("$share/g/y", qos=1) == [1]
    scene.busy.publish("y", b"1", 1)
    assert peer.one(Publish).payload == b"1"
