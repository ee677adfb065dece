"""The workers of the pools under their supervisors: killed within a job, with others behind it and clients waiting on each."""
from collections.abc import Callable

import pytest
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from emqtwist.core.pool import Key, Pool
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Connack, Connect, Packet, Publish, Suback, Subscribe
from emqtwist.services.pools import PoolSupervisor, PoolWorker, pool_children
from emqtwist.services.supervisor import Supervisor
from tests.jobs import Failed, Poisoned, Trial, neighbour, stranger
from tests.peers import Peer, World


class Scene:
    """A broker whose pools are supervised, and one client with traffic at QoS 1 and 2."""

    def __init__(self) -> None:
        self.world = World()
        self.clock = Clock()
        self.broker = self.world.broker
        self.root = Supervisor("root", pool_children(self.broker.pools, self.clock), self.clock)
        self.root.privilegedStartService()
        started: list[object] = []
        self.root.startService().addBoth(started.append)
        assert started == [None]
        self.busy = self.world.connect("busy")
        self.busy.subscribe("traffic", qos=2)
        self.published: list[bytes] = []
        self.came: list[bytes] = []
        self.diary: list[str] = []

    def traffic(self) -> None:
        """One message of each QoS, taken at once: nobody but who waits notices anything."""
        for qos in (1, 2):
            self.published.append(b"%d" % len(self.published))
            self.busy.publish("traffic", self.published[-1], qos)
        came = [packet for packet in self.busy.received() if isinstance(packet, Publish)]
        self.came += [packet.payload for packet in came]
        self.busy.acknowledge(*came)
        self.busy.received()

    def pool(self, name: str) -> Pool:
        pools = self.broker.pools
        return {"sm": pools.sm, "server": pools.server, "pubsub": pools.pubsub}[name]

    def part(self, pool: Pool, key: Key) -> str:
        return pool.worker(key).name

    def restarts(self) -> dict[str, int]:
        return {path: row.restarts for path, row in self.root.walk() if row.restarts}

    def whole(self) -> None:
        """Nothing is left over, nothing was lost or doubled, nobody was disconnected."""
        assert self.came == self.published
        assert not self.busy.closed
        assert all(worker.up and not worker.lines for pool in self.broker.pools.all() for worker in pool.workers)
        assert [row.state for _, row in self.root.walk()] == ["running"] * 27


class Waiting:
    """Clients whose requests come to one worker of a pool, some under the key of a job that is being done."""

    def __init__(self, scene: Scene, name: str) -> None:
        self.scene = scene
        self.pool = scene.pool(name)
        self.key: Key = b"news" if name == "pubsub" else "alice"
        self.other = neighbour(self.pool, self.key)
        self.make: Callable[[str], Peer] = {"sm": self._connect, "server": self._subscribe, "pubsub": self._subscribe_to}[name]

    def under_key(self) -> Peer:
        return self.make(self.key if isinstance(self.key, str) else self.key.decode())

    def under_other(self) -> Peer:
        return self.make(self.other)

    def _connect(self, key: str) -> Peer:
        peer = self.scene.world.peer()
        peer.send(Connect(5, key, True, 0, None, None, None, False, None), Subscribe(1, [(b"own", 1)]))
        return peer

    def _subscribe(self, key: str) -> Peer:
        peer = self.scene.world.connect(key)
        peer.send(Subscribe(1, [(b"one", 1)]), Subscribe(2, [(b"two", 1)]))
        return peer

    def _subscribe_to(self, key: str) -> Peer:
        peer = self.scene.world.connect(f"subscriber of {key} {len(self.scene.broker.links)}")
        peer.send(Subscribe(1, [(key.encode(), 1)]))
        return peer


def accepted(packets: list[Packet]) -> bool:
    """Whether these are answers, and all say yes."""
    assert all(isinstance(packet, Connack | Suback) for packet in packets)
    codes = [code for packet in packets for code in (packet.reason_codes if isinstance(packet, Suback) else [0])]
    return bool(packets) and max(codes) <= 2


@pytest.mark.parametrize("name", ["sm", "server", "pubsub"])
def test_a_worker_that_dies_within_a_job_comes_back_and_does_the_others(name: str, logged_failures: list[Failure]) -> None:
    scene = Scene()
    waiting = Waiting(scene, name)
    part = scene.part(waiting.pool, waiting.key)
    trials = [Trial(waiting.key, str(number), scene.diary, 1) for number in range(3)]
    waiting.pool.submit(trials[0])
    waiting.pool.submit(trials[1])
    first = waiting.under_key()
    waiting.pool.submit(trials[2])
    second = waiting.under_key() if name == "pubsub" else None
    scene.traffic()
    assert accepted(waiting.under_other().received())  # another key of the same worker waits for nobody
    assert first.received() == []
    trials[0].decide(fails=True)
    scene.world.settle()
    assert logged_failures.pop().type is Failed
    assert scene.restarts() == {part: 1}
    scene.traffic()
    trials[1].decide(fails=True)
    scene.world.settle()
    assert logged_failures.pop().type is Failed
    waiting.other = neighbour(waiting.pool, waiting.key, "later{}")
    third = waiting.under_other()
    scene.traffic()
    assert scene.restarts() == {part: 2}
    assert accepted(first.received())
    assert accepted(third.received())
    if second is not None:
        assert second.received() == []  # it comes after the third job, which waits
    trials[2].decide()
    scene.world.settle()
    if second is not None:
        assert accepted(second.received())
        assert [subscription.subscriber.client_id for subscription in scene.broker.router.route(b"news")] == [
            session.client_id for peer in (first, second) if (session := peer.connection.session) is not None]
    assert scene.diary == ["+0", "!0", "+1", "!1", "+2", "-2"]
    assert [str(trial.error) for trial in trials] == ["0 fails", "1 fails", "None"]
    assert not any(peer is not None and peer.closed for peer in (first, second, third))
    scene.whole()


@pytest.mark.parametrize("name", ["sm", "server", "pubsub"])
def test_a_defect_within_a_request_costs_who_asked(name: str, logged_failures: list[Failure]) -> None:
    scene = Scene()
    waiting = Waiting(scene, name)
    part = scene.part(waiting.pool, waiting.key)
    if name == "sm":
        scene.broker.sessions.by_id = Poisoned(scene.broker.sessions.by_id, ["alice"])
    elif name == "server":
        scene.broker.pools.server.worker("alice").stop()
        asked = waiting.under_key()
        session = scene.world.session("alice")
        session.subscriptions = Poisoned(session.subscriptions, [b"one"])
        scene.broker.pools.server.worker("alice").start()
    else:
        scene.broker.router._exact = Poisoned(scene.broker.router._exact, [b"news"])
    gate = Trial(waiting.other.encode() if name == "pubsub" else waiting.other, "gate", scene.diary, 1)
    waiting.pool.submit(gate)
    behind = waiting.under_other()
    if name == "sm":
        asked = waiting.under_key()
        assert asked.one(Connack).reason_code == c.UNSPECIFIED_ERROR
    elif name == "server":
        scene.world.settle()
        assert [packet.reason_codes for packet in asked.all(Suback)] == [[c.UNSPECIFIED_ERROR], [1]]
    else:
        asked = waiting.under_key()
        assert asked.one(Suback).reason_codes == [c.UNSPECIFIED_ERROR]
    assert asked.closed == (name == "sm")
    assert logged_failures.pop().type is RuntimeError
    assert scene.restarts() == {part: 1}
    assert behind.received() == []
    scene.traffic()
    gate.decide()
    scene.world.settle()
    assert accepted(behind.received())
    if name == "sm":
        assert accepted(waiting.under_key().received())
    else:
        assert asked.subscribe("one", "news", qos=1) == [1, 1]
    scene.whole()


def test_a_part_that_is_killed_is_replaced_and_what_waits_goes_on_waiting() -> None:
    scene = Scene()
    row = dict(scene.root.walk())[scene.part(scene.broker.pools.sm, "alice")]
    gate = Trial("alice", "gate", scene.diary, 1)
    scene.broker.pools.sm.submit(gate)
    peer = Waiting(scene, "sm").under_key()
    part = row.service
    assert isinstance(part, PoolWorker)
    part.kill()
    assert row.service is not part
    assert row.restarts == 1
    scene.traffic()
    assert peer.received() == []
    gate.decide()
    scene.world.settle()
    assert accepted(peer.received())
    scene.whole()


def test_clients_that_provoke_defects_do_not_end_the_supervisor(logged_failures: list[Failure]) -> None:
    scene = Scene()
    pool = scene.broker.pools.sm
    for _ in range(20):
        for key in range(20):
            pool.submit(Trial(f"k{key}", "x", scene.diary, 0, True))
        scene.world.settle()
    assert {failure.type for failure in logged_failures} == {Failed}
    assert len(logged_failures) == 400 == sum(scene.restarts().values())
    logged_failures.clear()
    assert accepted(Waiting(scene, "sm").under_key().received())
    scene.traffic()
    scene.whole()


def test_a_worker_that_died_as_its_part_was_stopped_goes_on_without_supervisor(logged_failures: list[Failure]) -> None:
    scene = Scene()
    pool = scene.broker.pools.sm
    supervisor = dict(scene.root.walk())["sm"].service
    assert isinstance(supervisor, PoolSupervisor)
    supervisor.running = 0  # the deaths come as it is being stopped
    killed = supervisor.find(pool.worker(stranger(pool, "alice")).name.partition("/")[2]).service
    assert isinstance(killed, PoolWorker)
    killed.kill()
    assert not killed.worker.up
    pool.submit(Trial("alice", "x", scene.diary, 0, True))
    pool.submit(job := Trial("alice", "y", scene.diary))
    assert not job.over
    scene.root.stopService()
    scene.world.settle()
    assert job.over
    scene.busy.disconnect()
    assert scene.broker.sessions.by_id == {}
    with pytest.raises(Failed):  # it comes to whom it came before there were supervisors
        pool.submit(Trial("alice", "z", scene.diary, 0, True))
    assert pool.worker("alice").up
    assert logged_failures == []
