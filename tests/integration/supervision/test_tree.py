"""Each part of the tree dies in the midst of its work, under traffic: it comes back, and no client notices."""
import errno
import gc
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, Final, cast

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, gatherResults
from twisted.internet.error import ConnectError, ConnectionLost
from twisted.python.failure import Failure

from emqtwist import BrokerService
from emqtwist.access import passwords
from emqtwist.access.hashes import Hash
from emqtwist.access.hashes import make as make_hash
from emqtwist.access.hashes import parse as parse_hash
from emqtwist.config import parse
from emqtwist.core.access import Client, Ok, Verdict
from emqtwist.core.broker import Broker
from emqtwist.core.journal import Journal
from emqtwist.core.pool import Key
from emqtwist.mqtt.packets import Connack, Puback, Publish, Pubrec, Will
from emqtwist.mqtt.properties import Properties
from emqtwist.net.websocket.factory import WebSocketFactory
from emqtwist.services import supervisor, systopics
from emqtwist.services.collector import Collector
from emqtwist.services.keeper import Keeper
from emqtwist.services.part import Killed
from emqtwist.services.pools import PoolWorker
from emqtwist.services.supervisor import Child, Exhausted, Supervisor
from emqtwist.storage.errors import StoreError
from emqtwist.storage.sqlite.client import SQLiteStore
from tests.authorities import Authority
from tests.integration.program import run
from tests.integration.supervision.traffic import PATIENCE, Talker, Traffic, WebSocketTalker, join, until
from tests.jobs import Failed, Trial
from tests.oracles import Oracle, Sibyl
from tests.transports import IO

HERE: Final = "here@127.0.0.1"
CLUSTER: Final = "cluster.bind = 127.0.0.1:0\ncluster.cookie = a cookie for tests\n"
LISTENERS: Final = ("tcp.default", "unix.local", "ssl.external", "ws.browsers", "wss.pages")


class Planted(Exception):
    """What a part meets in its work."""


@pytest.fixture(autouse=True)
def deaths(logged_failures: list[Failure]) -> Iterator[None]:
    """The planted deaths are logged, and nothing else."""
    yield
    expected = (Planted, Killed, Failed, Exhausted, ConnectionLost, StoreError, OSError)
    logged_failures[:] = [each for each in logged_failures if each.check(*expected) is None]


class Place:
    """A broker with a store, under traffic."""

    def __init__(self, folder: Path) -> None:
        certificate = Authority(folder).server().lines
        self.service = BrokerService(parse(
            f"node.io = {IO}\nnode.data_dir = {folder / 'data'}\nstore.type = sqlite\nlistener.tcp.default.bind = 127.0.0.1:0\n"
            f"listener.unix.local.bind = {folder / 's'}\n"
            "module.subscription.enable = on\nmodule.subscription.topics = given/%c=1\n"
            "module.rewrite.enable = on\nmodule.rewrite.rule.1 = old/# ^old/(.+)$ new/$1\nmodule.delayed.enable = on\n"
            f"module.slow_subs.enable = on\nnode.name = {HERE}\n{CLUSTER}"
            f"[listener.ssl.external]\nbind = 127.0.0.1:0\n{certificate}"
            f"[listener.wss.pages]\nbind = 127.0.0.1:0\n{certificate}"
            "[listener.ws.browsers]\nbind = 127.0.0.1:0\nhandshake_timeout = 1s\n"), reactor)
        self.ports: dict[str, int] = {}
        self.path = str(folder / "s")
        self.service.root.add(Child("collector", lambda: Collector(cast(Any, reactor))))
        self.traffic = Traffic(0)

    async def start(self) -> None:
        self.service.startService()
        await self.service.when_ready()
        self.traffic.port = self.service.port()
        self.ports = {name: listener.port for name, listener in self.service.listeners.items()}
        await self.traffic.start()
        await self.traffic.flow()

    @property
    def root(self) -> Supervisor:
        return self.service.root

    def where(self, listener: str) -> int | str:
        """What it listens at, from its first start on."""
        return self.ports[listener] or self.path

    async def visitor(self, listener: str, client_id: str) -> Talker:
        """A client that has come in at a listener."""
        talker = WebSocketTalker() if listener.startswith("ws") else Talker()
        await join(talker, self.where(listener), is_over_tls(listener))
        await talker.enter(client_id)
        return talker

    async def until_restarted(self, path: str, times: int = 1) -> None:
        await until(lambda: self.root.find(path).restarts >= times)

    async def break_once(self, owner: object, name: str) -> None:
        """The next call of a function of a class or module raises, and is the last one that does; waits for it."""
        whole = getattr(owner, name)

        def broken(*arguments: object) -> None:
            setattr(owner, name, whole)
            raise Planted

        setattr(owner, name, broken)
        await until(lambda: getattr(owner, name) is whole)


def delayed(seconds: int) -> Properties:
    properties = Properties()
    properties.will_delay_interval = seconds
    return properties


@asynccontextmanager
async def place_at(folder: Path) -> AsyncIterator[Place]:
    place = Place(folder)
    try:
        await place.start()
        yield place
        await place.traffic.finish()
    finally:
        await place.service.stopService()


# How each is killed: by what it meets while others wait for it.

async def kill_store(place: Place) -> None:
    """With a group under way, and clients that wait for it."""
    await until(lambda: place.service.work.group)
    store = place.service.store
    assert isinstance(store, SQLiteStore)
    pid = store.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await until(lambda: store.pid not in (None, pid))


async def kill_storage(place: Place) -> None:
    """The whole row, with a group under way."""
    await until(lambda: place.service.work.group)
    place.root.kill("store")


async def kill_keeper(place: Place) -> None:
    """As it hands a group to the store, as it hears that another is stored, and in its tick: clients wait, others behind them."""
    for restarts, owner, name in ((1, SQLiteStore, "commit"), (2, Journal, "committed"), (3, Keeper, "tick")):
        await place.break_once(owner, name)
        await place.until_restarted("keeper", restarts)
        await place.traffic.flow()
    assert place.root.find("ticker").restarts == 0


async def kill_ticker(place: Place) -> None:
    """With a Will due, that another tick publishes."""
    heir, mortal = Talker(), Talker()
    for talker, client_id in ((heir, "heir"), (mortal, "mortal")):
        await join(talker, place.service.port())
        await talker.enter(client_id, Will(b"will", b"", properties=delayed(1)) if talker is mortal else None)
    await heir.subscribe(b"will", 0)
    mortal.abort()
    await place.break_once(Broker, "tick")
    assert isinstance(await heir.next(), Publish)
    heir.abort()


async def kill_systopics(place: Place) -> None:
    """In the midst of what it tells."""
    listener = Talker()
    await join(listener, place.service.port())
    await listener.enter("listener")
    await listener.subscribe(b"$SYS/brokers/+/uptime", 0)
    await place.break_once(systopics, "uptime")  # of a heartbeat: others publish by the same way
    assert isinstance(await listener.next(), Publish)
    listener.abort()


async def kill_listeners(place: Place) -> None:
    cast(Supervisor, place.root.find("listeners").service).kill()
    for name in LISTENERS:
        await comes_back(place, name)


async def kill_listener(place: Place, name: str) -> None:
    """As it accepts; others wait to be accepted."""
    guests = [await place.visitor(each, f"guest at {each}") for each in LISTENERS]
    port = cast(Any, place.service.listeners[name])._port
    if IO == "engine":
        port.socket = Deaf(port.socket)
    waiting = [Talker() for _ in range(5)]
    for talker in waiting:
        with suppress(ConnectError):
            await join(talker, place.where(name), is_over_tls(name))
    if IO != "engine":
        port.connectionLost(Failure(Planted()))  # as the reactor does when it cannot read
    await comes_back(place, name)
    for guest in guests:  # at this listener, too
        assert await guest.subscribe(b"a", 1) == [1]
    for talker in [*waiting, *guests]:
        talker.abort()


def is_over_tls(listener: str) -> bool:
    return listener.startswith(("ssl.", "wss."))


class Deaf:
    """A listening socket that the system has closed."""

    def __init__(self, whole: Any) -> None:
        self._whole = whole

    def _accept(self) -> None:
        raise OSError(errno.EBADF, "planted")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)


async def comes_back(place: Place, name: str) -> None:
    """The listener has its port again, and a client may come."""
    listener = place.service.listeners[name]
    await until(lambda: place.root.find(f"listeners/{name}").restarts or place.root.find("listeners").restarts)
    await until(lambda: listener.is_bound)
    assert listener.port == place.ports[name]
    (await place.visitor(name, "late")).abort()


class Neighbour:
    """Another node; `heard` has the payloads of what crossed to it."""

    def __init__(self, place: Place, name: str) -> None:
        self.place = place
        self.name = f"{name}@127.0.0.1"
        assert place.service.node is not None
        self.links = place.service.node.links
        self.service = BrokerService(parse(
            f"node.name = {self.name}\nlistener.tcp.default.bind = 127.0.0.1:0\n{CLUSTER}"
            f"cluster.discovery = static\ncluster.seeds = {self.links.terms.address}\n"), reactor)
        self.heard: list[bytes] = []
        self.came: list[bytes] = []  # to the other node, of what was published at this one

    async def start(self) -> None:
        self.service.startService()
        await self.service.when_ready()
        self.service.subscribe("far", lambda message: self.heard.append(message.payload))
        await self.until_linked()

    async def until_linked(self) -> None:
        node = self.service.node
        assert node is not None
        await until(lambda: self.name in self.links.up and HERE in node.links.up)

    async def hears(self, payload: bytes) -> None:
        """What is published here comes there, once."""
        peer = self.links.cluster.peers[self.name]
        await until(lambda: peer in [each.subscriber for each in self.place.service.broker.router.route(b"far")])
        self.place.service.publish("far", payload, 1)
        await until(lambda: payload in self.heard)
        assert self.heard.count(payload) == 1

    async def is_told(self, topic: str) -> None:
        """What is subscribed to there from now on is known here: what is published here comes."""
        assert self.service.node is not None
        peer = self.service.node.cluster.peers[HERE]
        self.place.service.subscribe(topic, lambda message: self.came.append(message.payload))
        await until(lambda: peer in [each.subscriber for each in self.service.broker.router.route(topic.encode())])
        self.service.publish(topic, topic.encode(), 1)
        await until(lambda: topic.encode() in self.came)

    async def is_down(self) -> None:
        """There is an alarm of it."""
        await until(lambda: f"cluster_down/{self.name}" in self.place.service.broker.alarms.active)


@asynccontextmanager
async def neighbour(place: Place, name: str) -> AsyncIterator[Neighbour]:
    made = Neighbour(place, name)
    try:
        await made.start()
        yield made
    finally:
        await made.service.stopService()


async def kill_cluster(place: Place, path: str) -> None:
    """With a node that is linked, one that comes then, and messages that cross before and after."""
    async with neighbour(place, "first") as first:
        await first.hears(b"before")
        link = first.links.up[first.name]
        if path == "cluster/links":
            await place.break_once(first.links.dialer, "look")  # of this node, not of the other
        elif path in ("cluster/membership", "cluster/router"):
            await place.break_once(place.root.find(path).service, "_begin")
        elif path == "cluster/port":
            port = cast(Any, place.service.node).port._port
            port.connectionLost(Failure(Planted()))  # as the reactor does when it cannot accept
        else:
            place.root.kill(path)
        await place.until_restarted(path)
        await until(lambda: place.root.find("cluster/links").state == "running")
        await first.until_linked()
        assert path == "cluster" or first.links.up[first.name] is link
        await first.hears(b"after")
        await first.is_told("new")
        async with neighbour(place, "second") as second:
            await second.hears(b"both")
            await until(lambda: first.heard == [b"before", b"after", b"both"])
            assert place.service.nodes is not None
            assert place.service.nodes.members.running() == sorted([HERE, first.name, second.name])
        if path == "cluster/membership":
            await second.is_down()


async def kill_worker(place: Place, path: str) -> None:
    """In the midst of a job, with another behind it that waits, and clients whose requests wait behind both."""
    worker = cast(PoolWorker, place.root.find(path).service).worker
    keys = (f"client{number}" for number in range(1000))
    pool = next(pool for pool in place.service.broker.pools.all() if worker in pool.workers)
    if pool.name == "pubsub":
        key: Key = next(key.encode() for key in keys if pool.worker(key.encode()) is worker)
    else:
        key = next(key for key in keys if pool.worker(key) is worker)
    diary: list[str] = []
    jobs = [Trial(key, name, diary, 1) for name in "ab"]
    talker = Talker()
    await join(talker, place.traffic.port)
    if pool.name == "sm":
        pool.submit(jobs[0])
        pool.submit(jobs[1])
        waiting: Deferred[object] = Deferred.fromCoroutine(talker.enter(str(key)))
    else:
        await talker.enter(str(key))
        pool.submit(jobs[0])
        pool.submit(jobs[1])
        waiting = Deferred.fromCoroutine(talker.subscribe(key if isinstance(key, bytes) else b"own", 1))
    await until(lambda: worker.queued == 3)
    await place.traffic.flow()
    jobs[0].decide(fails=True)
    await place.until_restarted(path)
    await until(lambda: diary == ["+a", "!a", "+b"])
    assert not waiting.called
    await place.traffic.flow()
    jobs[1].decide()
    answer = await waiting
    assert diary[-1] == "-b"
    assert answer == [1] or isinstance(answer, Connack)
    assert (worker.up, worker.queued) == (True, 0)
    talker.abort()


async def kill_pool(place: Place, path: str) -> None:
    """All its workers, in the midst of a job with a client behind it."""
    supervisor = cast(Supervisor, place.root.find(path).service)
    pool = next(pool for pool in place.service.broker.pools.all() if pool.name == path)
    key: Key = b"own" if path == "pubsub" else "late"
    job = Trial(key, "a", [], 1)
    talker = Talker()
    await join(talker, place.traffic.port)
    if path == "sm":
        pool.submit(job)
    waiting: Deferred[object] = Deferred.fromCoroutine(talker.enter("late"))
    if path != "sm":
        await waiting
        pool.submit(job)
        waiting = Deferred.fromCoroutine(talker.subscribe(b"own", 1))
    await until(lambda: pool.worker(key).queued == 2)
    supervisor.kill()
    await place.until_restarted(path)
    assert not waiting.called
    await place.traffic.flow()
    job.decide()
    answer = await waiting
    assert answer == [1] or isinstance(answer, Connack)
    talker.abort()


async def kill_module(place: Place, path: str) -> None:
    """In the midst of what it does, with others that use it before and after: nobody passes by it."""
    watcher = Talker()
    await join(watcher, place.service.port())
    await watcher.enter("watcher")
    await watcher.subscribe(b"old/+", 1)
    await watcher.subscribe(b"$SYS/brokers/+/clients/+/+", 0)
    for number in range(3):
        client = Talker()
        await join(client, place.service.port())
        await client.enter(f"client{number}")
        client.send(Publish(b"old/topic", b"", 0))
        await until(lambda: place.root.find(path).state == "running")
        assert [await seen(watcher) for _ in range(2)] == [b"connected", b"topic"]
        place.root.kill(path)
        client.abort()
        assert await seen(watcher) == b"disconnected"
        assert b"given/client%d" % number in place.service.broker.sessions.by_id[f"client{number}"].subscriptions
    watcher.abort()


async def seen(talker: Talker) -> bytes:
    """The last level of what is published next."""
    packet = await talker.next()
    assert isinstance(packet, Publish)
    return packet.topic_name.rpartition(b"/")[2]


async def kill_asking(place: Place, path: str) -> None:
    """In the midst of a question, with others behind it, and clients who wait for the answers."""
    oracle = Oracle()
    place.service.access.configure(replace(place.service.config.auth, concurrency=2), [], {}, None)
    place.service.register_auth_mod("oracle", oracle)
    talkers = [Talker() for _ in range(4)]
    for talker in talkers:
        await join(talker, place.traffic.port)
    waiting = [Deferred.fromCoroutine(talker.enter(f"late{number}")) for number, talker in enumerate(talkers)]
    await until(lambda: len(place.service.access.running) == 4)
    assert len(oracle.waiting) == 2
    await place.traffic.flow()
    place.root.kill(path)
    await place.until_restarted(path)
    assert oracle.cancelled == 2
    for deferred in waiting:
        await until(lambda: oracle.waiting)
        assert not deferred.called
        oracle.answer(Ok())
        connack = await deferred
        assert connack.reason_code == 0
    place.service.unregister_auth_mod("oracle")
    for talker in talkers:
        talker.abort()


class Choosy(Sibyl):
    """Lets clients wait whose name begins so, and has no say about others."""

    async def authorize(self, client: Client, action: str, topic: str) -> Verdict:
        return await super().authorize(client, action, topic) if client.client_id.startswith("late") else Verdict("ignore")


async def kill_authorizing(place: Place) -> None:
    """In the midst of questions what clients may do, with others behind them: QoS 1 and 2 wait, and are asked about again."""
    sibyl = Choosy()
    place.service.register_acl_mod("sibyl", sibyl)
    talkers = [Talker() for _ in range(4)]
    for number, talker in enumerate(talkers):
        await join(talker, place.traffic.port)
        await talker.enter(f"late{number}")
        talker.send(Publish(b"late", b"", 1 + number % 2, packet_id=1))
    await until(lambda: len(sibyl.waiting) == 4)
    await place.traffic.flow()
    place.root.kill("access_control/authorizing")
    await place.until_restarted("access_control/authorizing")
    assert sibyl.cancelled == 4
    await until(lambda: len(sibyl.waiting) == 4)
    assert not any(talker.packets for talker in talkers)
    for _ in talkers:
        sibyl.answer(Verdict("allow"))
    for number, talker in enumerate(talkers):
        assert isinstance(await talker.next(), Pubrec if number % 2 else Puback)
        talker.abort()
    place.service.unregister_acl_mod("sibyl")


async def kill_hashing(place: Place) -> None:
    """By a job, with the passwords of clients behind it."""
    hashing = place.service.hashing
    free = Event()
    known: Hash = parse_hash(make_hash(b"pencil", bytes(16)))
    authenticator = passwords.Passwords(passwords.client_id, {"late": known}.get, (), hashing.submit)
    place.service.register_auth_mod("passwords", authenticator)
    held = [hashing.submit(free.wait, PATIENCE) for _ in range(hashing.section.size)]
    dead = hashing.submit(raise_killed)
    talker = Talker()
    await join(talker, place.traffic.port)
    waiting = Deferred.fromCoroutine(talker.enter("late", password=b"pencil"))
    await until(lambda: len(hashing.waiting) == 2)
    await place.traffic.flow()
    assert not waiting.called
    free.set()
    with pytest.raises(Killed):
        await dead
    connack = await waiting
    assert connack.reason_code == 0
    await gatherResults(held)
    await place.until_restarted("access_control/hashing")
    place.service.unregister_auth_mod("passwords")
    talker.abort()


def raise_killed() -> None:
    raise Killed("planted")


async def kill_websocket(place: Place) -> None:
    """As it looks at a handshake that takes too long, which the next one ends; who is connected stays."""
    guest, shy = await place.visitor("ws.browsers", "guest"), WebSocketTalker(shy=True)
    await join(shy, place.where("ws.browsers"))
    await place.break_once(WebSocketFactory, "tick")
    assert not shy.lost
    await until(lambda: shy.lost)
    assert await guest.subscribe(b"a", 1) == [1]
    guest.abort()


async def kill_collector(place: Place) -> None:
    await place.break_once(gc, "freeze")


KILLS: Final[dict[str, Callable[[Place], Awaitable[None]]]] = {
    "store": kill_storage, "store/process": kill_store, "keeper": kill_keeper, "ticker": kill_ticker, "systopics": kill_systopics,
    "websocket": kill_websocket, "listeners": kill_listeners, "collector": kill_collector,
    **{path: partial(kill_cluster, path=path) for path in (
        "cluster", "cluster/membership", "cluster/router", "cluster/port", "cluster/links")},
    "access_control": partial(kill_asking, path="access_control"), "access_control/hashing": kill_hashing,
    "access_control/asking": partial(kill_asking, path="access_control/asking"), "access_control/authorizing": kill_authorizing,
    **{f"listeners/{name}": partial(kill_listener, name=name) for name in LISTENERS},
    **{path: partial(kill_module, path=path) for path in (
        "modules", "modules/presence", "modules/retainer", "modules/subscription", "modules/rewrite",
        "modules/delayed", "modules/slow_subs")},
    **{path: partial(kill_pool, path=path) for path in ("sm", "server", "pubsub")},
    **{path: partial(kill_worker, path=path) for path in ("sm/0", "server/0", "pubsub/0")},  # the others are as these
}

# Killed under traffic on a clock, in tests/adapters/test_parts_killed.py: by which test.
ON_A_CLOCK: Final = {
    "pooler": "test_a_job_that_kills_the_pooler_costs_nobody_but_who_asked_for_it",
    "certificates": "test_the_part_that_looks_after_certificates_dies_and_is_followed",
    "trace": "test_traces_go_on_when_what_sees_to_them_was_killed",
    "sysmon": "test_the_whole_monitor_that_was_killed_comes_back",
    "bridges": "test_a_bridge_goes_on_with_its_queue_when_its_part_was_killed",  # with the part of each
    **dict.fromkeys(("sysmon/loop", "sysmon/gc", "sysmon/levels", "sysmon/consumers"),
                    "test_a_part_that_dies_in_its_midst_is_started_again_and_no_client_notices"),
}


@pytest.mark.parametrize("path", KILLS)
async def test_a_part_dies_in_its_work_and_no_client_notices(path: str, tmp_path: Path) -> None:
    async with place_at(tmp_path) as place:
        part = place.root.find(path).service
        await KILLS[path](place)
        await until(lambda: place.root.find(path).service is not part and place.root.find(path).state == "running")
        assert place.root.find(path).restarts >= 1
        assert all(row.state == "running" for _, row in place.root.walk())
        await place.traffic.flow()


def test_each_part_of_the_tree_is_killed_here(tmp_path: Path, checkout: Path) -> None:
    paths = [path for path, _ in Place(tmp_path).root.walk()]
    assert {re.sub(r"/\d+$", "/0", path) for path in paths} == {*KILLS, *ON_A_CLOCK}
    text = (checkout / "tests" / "adapters" / "test_parts_killed.py").read_text()
    assert [name for name in ON_A_CLOCK.values() if f"def {name}(" not in text] == []
    assert len([path for path in paths if re.search(r"/\d+$", path)]) == 24


async def test_a_store_that_cannot_be_opened_for_long_costs_nobody_the_connection(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(supervisor, "LONGEST_PAUSE", 0.01)
    async with place_at(tmp_path) as place:
        whole, failures = SQLiteStore.start, iter(range(30))

        def start(store: SQLiteStore) -> object:
            return fail(StoreError("planted")) if next(failures, None) is not None else whole(store)

        monkeypatch.setattr(SQLiteStore, "start", start)
        await kill_store(place)
        assert next(failures, None) is None
        await place.traffic.flow()


def test_twistd_ends_with_a_status_when_the_broker_gives_up(tmp_path: Path) -> None:
    ended = run(sys.executable, "-m", "tests.integration.supervision.failing", "-n", "--pidfile=", "emqtt", "--port", "0",
                cwd=tmp_path)
    output = (ended.stdout + ended.stderr).decode()
    assert ended.returncode == 1, output
    assert "ticker of emqtwist died" in output
    assert "emqtwist gives up: its parts died 11 times within 60.0 s" in output
