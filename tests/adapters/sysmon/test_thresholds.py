"""The rows of [sysmon]: each is heeded, a change of it too."""
import gc
from collections.abc import Iterator
from typing import Any

import pytest

from emqtwist.config import PoolerSection
from emqtwist.config.sections.sysmon import AUTO
from emqtwist.core.broker import Broker
from emqtwist.core.connection import Connection
from emqtwist.core.door import Door, Peer
from emqtwist.core.metrics import Metrics
from emqtwist.services.pooler import Pool, Pooler
from emqtwist.services.sysmon.consumers import NAMED, Consumers, Slow
from emqtwist.services.sysmon.levels import Levels
from emqtwist.services.sysmon.loop import LoopWatch
from emqtwist.services.sysmon.pauses import GcWatch
from tests.desks import Desk
from tests.monitors import FakeMachine, Post
from tests.peers import World
from tests.threads import HeldThreads


class Place(Post):
    """All that watches, on a machine as a test says; what it warns of in a second is what `second` gives."""

    def __init__(self, **rows: Any) -> None:
        super().__init__(**rows)
        self.machine = FakeMachine()
        self.pools = {"pooler": 0, "reactor": 0}
        self.unsent: dict[Connection, int] = {}
        self.now = 0.0
        self.measured = 0.0
        self.slow: dict[Connection, Slow] = {}
        self.pauses = GcWatch(self.reports, self.clock, lambda: self.measured)
        self.threads = HeldThreads(1)
        self.pool = Pool(PoolerSection(), Metrics(self.turn))
        self.levels = Levels(self.reports, self.clock, self.clock.seconds, self.machine, self.pool,
                             {name: lambda name=name: self.pools[name] for name in self.pools})  # type: ignore[misc]
        self.consumers = Consumers(self.reports, self.clock, self.clock.seconds, self.unsent.items, self.slow)
        self.services = [self.pauses, self.levels, self.consumers, Pooler(self.pool, self.clock, lambda size: self.threads)]
        for service in self.services:
            service.startService()

    def second(self, **rows: Any) -> list[str]:
        """The alarms of a second with other rows."""
        self.set(**rows)
        self.seconds(1)
        return self.heard()

    def collect(self, took: float) -> None:
        """A run of the collector that lasts so long."""
        self.pauses._ran("start", {"generation": 2})
        self.measured += took
        self.pauses._ran("stop", {"generation": 2, "collected": 7, "uncollectable": 0})


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place()
    yield made
    made.pool.close()
    for service in made.services:
        service.stopService()


@pytest.fixture
def broker() -> Broker:
    return World().broker


def client(broker: Broker, name: str) -> Connection:
    connection = Connection(broker, Door("tcp.default"), Peer("192.0.2.1:5000", "192.0.2.1", False))
    connection.client_id = name
    return connection


def test_sysmon_long_schedule() -> None:
    post = Post()
    now = [0.0]
    watch = LoopWatch(post.reports, post.clock, lambda: now[0], threaded=False)
    watch.startService()
    post.clock.advance(0)

    def hold_up(seconds: float) -> list[str]:
        now[0] += seconds
        post.clock.advance(1.0)
        return post.heard()

    assert hold_up(0.2) == []
    assert hold_up(0.3) == ["+long_schedule"]
    post.reports.clear("long_schedule")
    post.set(long_schedule=0.5)
    hold_up(0.0)
    post.heard()
    assert hold_up(0.5) == []
    assert hold_up(0.6) == ["+long_schedule"]
    post.reports.clear("long_schedule")
    post.set(long_schedule=0.0)
    hold_up(0.0)
    post.heard()
    assert hold_up(100.0) == []


def test_sysmon_long_gc(place: Place) -> None:
    place.collect(0.09)
    assert place.second() == []
    place.collect(0.12)
    place.collect(0.11)
    assert place.second() == ["+long_gc"]
    assert place.told == [("sysmon/long_gc", "long_gc warning: pid = broker, info: 120 ms, generation 2, 7 objects freed")]
    place.collect(10.0)
    assert place.second(long_gc=0.0) == []
    assert len(place.told) == 1


def test_the_runs_of_the_collector_are_measured_while_it_is_watched(place: Place) -> None:
    place.set(long_gc=0.5)
    readings = iter(range(1000))
    place.pauses._now = lambda: float(next(readings))
    gc.collect()
    assert place.second() == ["+long_gc"]
    place.pauses.stopService()
    assert place.pauses._ran not in gc.callbacks


def test_the_runs_of_the_collector_are_measured_by_the_time_of_the_broker() -> None:
    desk = Desk()
    watch = desk.service.monitor._gc()
    watch._ran("start", {"generation": 2})
    desk.reactor.advance(1)
    watch._ran("stop", {"generation": 2, "collected": 7, "uncollectable": 0})
    watch.sample()
    assert list(desk.service.broker.alarms.active) == ["long_gc"]


def test_sysmon_large_heap(place: Place) -> None:
    place.machine.resident, place.machine.much = 1001, 1000
    assert place.second(large_heap=AUTO) == ["+large_heap"]
    assert place.told[0][1] == "large_heap warning: pid = broker, info: 1001 bytes, above 1000"
    assert place.second(large_heap=2000) == ["-large_heap"]
    place.machine.resident = 2001
    assert place.second() == ["+large_heap"]
    assert place.second(large_heap=0) == ["-large_heap"]


def test_sysmon_open_files(place: Place) -> None:
    place.machine.open, place.machine.most = 80, 100
    assert place.second() == []
    place.machine.open = 81
    assert place.second() == ["+open_files"]
    assert place.told[0][1] == "open_files warning: pid = broker, info: 81 of 100 descriptors"
    place.machine.open = 63
    assert place.second() == ["-open_files"]
    assert place.second(open_files=0.5) == ["+open_files"]
    assert place.second(open_files=0.0) == ["-open_files"]


def test_where_the_kernel_does_not_count_descriptors_they_are_listed_in_a_thread_once_a_minute(place: Place) -> None:
    place.machine.listed = 81
    place.seconds(60)
    assert place.heard() == []
    assert len(place.threads.held) == 1
    place.threads.run_all()
    assert place.heard() == ["+open_files"]
    place.seconds(60)
    assert len(place.threads.held) == 1


def test_descriptors_are_not_listed_while_the_pool_takes_no_jobs(place: Place) -> None:
    place.pool.close()
    place.machine.listed = 81
    place.seconds(2)
    assert place.threads.held == []
    assert place.levels.running


def test_sysmon_busy_cpu(place: Place) -> None:
    def minute(share: float) -> list[str]:
        for _ in range(61):
            place.machine.used += share
            place.seconds(1)
        return place.heard()

    place.machine.used += 59
    assert place.second() == []  # not before a minute is over
    assert minute(0.89) == []
    assert minute(0.95) == ["+busy_cpu"]
    assert place.told[0][1].startswith("busy_cpu warning: pid = broker, info: 9")
    assert minute(0.8) == []
    assert minute(0.7) == ["-busy_cpu"]
    place.set(busy_cpu=0.5)
    assert minute(0.7) == ["+busy_cpu"]
    assert place.second(busy_cpu=0.0) == ["-busy_cpu"]


def test_sysmon_busy_pool(place: Place) -> None:
    place.pools["pooler"] = 100
    assert place.second() == []
    place.pools["pooler"] = 101
    assert place.second() == ["+busy_pool/pooler"]
    assert place.told[0][1] == "busy_pool warning: pid = pooler, info: 101 jobs wait for a thread"
    place.pools["reactor"] = 20
    assert place.second(busy_pool=10) == ["+busy_pool/reactor"]
    assert place.second(busy_pool=0) == ["-busy_pool/pooler", "-busy_pool/reactor"]


def test_sysmon_busy_port(place: Place, broker: Broker) -> None:
    slow, other = client(broker, "slow"), client(broker, "other")
    place.unsent.update({slow: (1 << 20) + 1, other: 1 << 20})
    place.seconds(6)
    assert place.heard() == ["+busy_port/slow"]
    words = f"{(1 << 20) + 1} bytes wait, for 5 s"
    assert place.told == [("sysmon/busy_port", f"busy_port warning: suspid = slow, port = 192.0.2.1:5000, info: {words}")]
    place.set(busy_port=1 << 19)
    place.seconds(7)
    assert place.heard() == ["+busy_port/other"]
    assert place.second(busy_port=0) == ["-busy_port/slow", "-busy_port/other"]
    assert place.slow == {}


def test_sysmon_busy_port_time(place: Place, broker: Broker) -> None:
    place.set(busy_port_time=3.0)
    place.unsent[client(broker, "slow")] = 2 << 20
    place.seconds(3)
    assert place.heard() == []
    place.seconds(1)
    assert place.heard() == ["+busy_port/slow"]


def test_a_slow_client_is_good_again_when_it_has_read_a_good_part(place: Place, broker: Broker) -> None:
    slow = client(broker, "slow")
    place.unsent[slow] = 2 << 20
    place.seconds(6)
    place.unsent[slow] = int(0.9 * (1 << 20))
    assert place.second() == ["+busy_port/slow"]
    place.unsent[slow] = int(0.8 * (1 << 20))
    assert place.second() == ["-busy_port/slow"]


def test_a_slow_client_that_is_gone_is_slow_no_more(place: Place, broker: Broker) -> None:
    slow = client(broker, "slow")
    place.unsent[slow] = 2 << 20
    place.seconds(6)
    del place.unsent[slow]
    place.heard()
    assert place.second() == ["-busy_port/slow"]
    assert place.slow == {}


def test_who_reads_in_between_is_not_slow(place: Place, broker: Broker) -> None:
    quick = client(broker, "quick")
    for _ in range(10):
        place.unsent[quick] = 2 << 20
        place.seconds(3)
        place.unsent[quick] = 0
        place.seconds(1)
    assert place.heard() == []


def test_not_more_than_some_slow_clients_are_named_at_a_time(place: Place, broker: Broker) -> None:
    place.unsent.update({client(broker, f"c{number}"): 2 << 20 for number in range(NAMED + 5)})
    place.seconds(10)
    assert len(place.heard()) == NAMED
    for connection in list(place.unsent)[:3]:
        del place.unsent[connection]
    assert place.second() == [f"-busy_port/c{number}" for number in range(3)] + [
        f"+busy_port/c{NAMED + number}" for number in range(3)]


def test_sysmon_alarm_time(place: Place) -> None:
    place.set(alarm_time=3.0)
    place.collect(0.2)
    assert place.second() == ["+long_gc"]
    place.seconds(1)
    place.collect(0.2)  # once more, and it lasts on
    place.seconds(3)
    assert place.heard() == []
    place.seconds(1)
    assert place.heard() == ["-long_gc"]
