"""The pooler, the system monitor and others die while messages are under way: no client notices, nothing is forgotten."""
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from zope.interface import implementer

from emqtwist import BrokerService
from emqtwist.config import Config, parse
from emqtwist.config.sections.auth import AuthSection
from emqtwist.config.sections.trace import TraceSection
from emqtwist.mqtt.packets import Packet, Puback, Pubcomp, Publish, Pubrec, Pubrel, Subscribe
from emqtwist.services import pooler
from emqtwist.services.certificates import INTERVAL
from emqtwist.services.part import Killed, Part
from emqtwist.services.supervisor import Row, Supervisor
from emqtwist.services.sysmon import monitor
from emqtwist.services.sysmon.loop import LoopWatch
from emqtwist.services.sysmon.pauses import GcWatch
from tests.authorities import Authority
from tests.desks import TEST
from tests.monitors import FakeMachine, kinds
from tests.threads import HeldThreads
from tests.wires import Caller

T = TypeVar("T")
PARTS = ["loop", "gc", "levels", "consumers"]


@implementer(IReactorFromThreads)
class Reactor(MemoryReactorClock):
    """It can be called from threads."""

    def callFromThread(self, callable: Callable[..., object], *arguments: Any, **named: Any) -> None:
        self.callLater(0, callable, *arguments, **named)


class Place:
    """A started service, whose time is `offset` later than its reactor's, with alice publishing to bob."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, config: Config | None = None) -> None:
        self.reactor = Reactor()
        self.offset = 1000.0
        self.threads: list[HeldThreads] = []
        monkeypatch.setattr(pooler, "_Daemons", self._threads)
        self.machine = FakeMachine()
        monkeypatch.setattr(monitor, "Machine", lambda: self.machine)
        self.service = BrokerService(config, self.reactor, lambda: self.offset + self.reactor.seconds())
        parts = self.service.root.rows["sysmon"].service
        assert isinstance(parts, Supervisor)
        self.parts = parts
        self.service.startService()
        self.reactor.advance(0)
        factory = self.service.listeners["default"].factory
        self.alice, self.bob = Caller(factory, self.reactor), Caller(factory, self.reactor)
        for each, name in ((self.alice, "alice"), (self.bob, "bob")):
            each.connect(name)
        self.bob.send(Subscribe(1, [(b"t", 2)]))
        self.bob.received()
        self.sent = 0
        self.heard: list[bytes] = []
        self.answers: list[Packet] = []

    def _threads(self, size: int) -> HeldThreads:
        made = HeldThreads(size)
        if size != AuthSection().hash_threads:  # those of passwords have nothing to do here
            self.threads.append(made)
        return made

    def row(self, name: str) -> Row:
        return self.parts.rows[name]

    def publish(self) -> None:
        """One message at QoS 1 and one at QoS 2; what is under way from before goes on."""
        for qos in (1, 2):
            self.sent += 1
            self.alice.send(Publish(b"t", b"%d" % self.sent, qos, packet_id=self.sent))
        self.go_on()

    def go_on(self) -> None:
        """Each end answers once what it has got."""
        for end in (self.alice, self.bob):
            for packet in end.received():
                self._answer(end, packet)

    def _answer(self, end: Caller, packet: Packet) -> None:
        if isinstance(packet, Publish):
            self.heard.append(packet.payload)
            end.send(Puback(packet.packet_id) if packet.qos == 1 else Pubrec(packet.packet_id))
        elif isinstance(packet, Pubrec):
            end.send(Pubrel(packet.packet_id))
        elif isinstance(packet, Pubrel):
            end.send(Pubcomp(packet.packet_id))
        else:
            self.answers.append(packet)

    def started(self, work: "Coroutine[Deferred[Any], Any, T]") -> "Deferred[T]":
        """What comes of work that a thread has a part in."""
        done = Deferred.fromCoroutine(work)
        self.finish_writing()
        return done

    def finish_writing(self) -> None:
        """All that threads have to do is done, and what follows from it."""
        for _ in range(5):
            for threads in self.threads:
                threads.run_all()
            self.reactor.advance(0.2)

    def check(self) -> None:
        """All that was sent has come once, is acknowledged, and nobody was disconnected."""
        for _ in range(5):
            self.go_on()
        assert self.heard == [b"%d" % number for number in range(1, self.sent + 1)]
        assert sorted(type(packet).__name__ for packet in self.answers) == ["Puback"] * (self.sent // 2) + [
            "Pubcomp"] * (self.sent // 2)
        assert not self.alice.closing
        assert not self.bob.closing


class Once:
    """Raises when it is called for the first time, and then does what `function` does."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.called = 0

    def __call__(self, *arguments: Any) -> Any:
        self.called += 1
        if self.called == 1:
            raise Killed("inside")
        return self.function(*arguments)


def stop(place: Place) -> None:
    place.alice.hang_up()
    place.bob.hang_up()
    place.service.stopService()
    place.reactor.pump([1.0] * 10)


def break_loop(place: Place) -> None:
    place.service.monitor.reports._publish = Once(lambda topic, text: None)
    place.offset += 1.0


def break_gc(place: Place) -> None:
    place.service.monitor.reports._publish = Once(lambda topic, text: None)
    watch = place.row("gc").service
    assert isinstance(watch, GcWatch)
    watch._longest = 1.0


def break_levels(place: Place) -> None:
    place.machine.breaks = Killed("inside")


def break_consumers(place: Place) -> None:
    unsent = Once(lambda: [])
    place.service.monitor._unsent = unsent
    place.row("consumers").service._unsent = unsent  # type: ignore[attr-defined]


@pytest.mark.parametrize(("name", "breaks"), [
    ("loop", break_loop), ("gc", break_gc), ("levels", break_levels), ("consumers", break_consumers)])
def test_a_part_that_dies_in_its_midst_is_started_again_and_no_client_notices(
        name: str, breaks: Callable[[Place], None], monkeypatch: pytest.MonkeyPatch, logged_failures: list[Failure]) -> None:
    place = Place(monkeypatch)
    before = place.row(name).service
    place.publish()
    breaks(place)
    place.reactor.pump([0.25] * 2)
    place.publish()
    place.reactor.pump([0.25] * 6)
    place.publish()
    place.check()
    assert kinds(logged_failures) == [Killed]
    assert place.row(name).service is not before
    assert (place.row(name).state, place.row(name).restarts) == ("running", 1)
    assert [place.row(other).restarts for other in PARTS if other != name] == [0, 0, 0]
    stop(place)


@pytest.mark.parametrize("name", PARTS)
def test_a_killed_part_of_the_monitor_comes_back(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(monkeypatch)
    place.publish()
    part = place.row(name).service
    assert isinstance(part, Part)
    part.kill()
    place.publish()
    place.check()
    assert (place.row(name).state, place.row(name).restarts) == ("running", 1)
    stop(place)


def test_an_alarm_of_a_part_that_died_is_cleared_by_the_next(monkeypatch: pytest.MonkeyPatch,
                                                             logged_failures: list[Failure]) -> None:
    place = Place(monkeypatch, parse("sysmon.long_schedule = off"))
    alarms = place.service.broker.alarms
    place.machine.resident = 2000
    place.reactor.pump([1.0])
    assert list(alarms.active) == ["large_heap"]
    break_levels(place)
    place.reactor.pump([1.0])
    assert list(alarms.active) == ["large_heap"]
    place.machine.resident = 100
    place.reactor.pump([1.0] * 2)
    assert list(alarms.active) == []
    assert kinds(logged_failures) == [Killed]
    stop(place)


def test_a_loop_watch_that_was_killed_watches_again(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(monkeypatch)
    part = place.row("loop").service
    assert isinstance(part, LoopWatch)
    part.kill()
    place.reactor.advance(0)
    place.offset += 1.0
    place.reactor.pump([0.25])
    assert list(place.service.broker.alarms.active) == ["long_schedule"]
    stop(place)


def test_the_whole_monitor_that_was_killed_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(monkeypatch)
    place.publish()
    place.parts.kill()
    place.publish()
    place.check()
    row = place.service.root.rows["sysmon"]
    assert (row.state, row.restarts) == ("running", 1)
    stop(place)


def raises(error: BaseException) -> None:
    raise error


def test_a_job_that_kills_the_pooler_costs_nobody_but_who_asked_for_it(monkeypatch: pytest.MonkeyPatch,
                                                                       logged_failures: list[Failure]) -> None:
    place = Place(monkeypatch, parse("pooler.size = 1"))
    outcomes: list[list[Any]] = [[] for _ in range(4)]
    place.publish()
    place.service.pool.submit(raises, Killed("inside")).addErrback(outcomes[0].append)
    for number in range(1, 4):
        place.service.pool.submit(abs, -number).addBoth(outcomes[number].append)
    place.threads[-1].run_one()
    place.publish()
    place.reactor.advance(0)
    assert len(place.threads) == 2
    place.publish()
    for _ in range(3):
        place.threads[-1].run_one()
        place.reactor.advance(0)
    place.check()
    assert kinds(outcomes.pop(0)) == [Killed]
    assert outcomes == [[1], [2], [3]]
    assert kinds(logged_failures) == [Killed]
    stop(place)


def test_the_part_that_looks_after_certificates_dies_and_is_followed(
        monkeypatch: pytest.MonkeyPatch, logged_failures: list[Failure], tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.server(days=3.5)
    place = Place(monkeypatch, parse(f"listener.tcp.default.bind = 127.0.0.1:1883\n"
                                     f"[listener.ssl.a]\nbind = 127.0.0.1:8883\n{pair.lines}"))
    certificates, alarms = place.service.certificates, place.service.broker.alarms
    assert list(alarms.active) == ["tls_expiring/ssl.a"]
    place.publish()
    authority.server(number=1)  # in its place
    monkeypatch.setattr(certificates, "reload", Once(certificates.reload))
    place.reactor.pump([INTERVAL] * 2)
    place.publish()
    place.check()
    row = place.service.root.rows["certificates"]
    assert (row.state, row.restarts) == ("running", 1)
    assert "tls_expiring/ssl.a" not in alarms.active  # the next one has loaded what it died of
    assert kinds(logged_failures) == [Killed]
    stop(place)


def test_a_stopped_broker_lets_go_of_who_waits_for_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(monkeypatch, parse("pooler.size = 1"))
    heard: list[Any] = []
    place.service.pool.submit(abs, -1).addErrback(heard.append)
    place.service.pool.submit(abs, -2).addErrback(heard.append)
    stop(place)
    assert kinds(heard) == [pooler.Abandoned, pooler.Abandoned]


def test_a_reload_changes_what_is_warned_of_and_how_many_jobs_run(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(monkeypatch, parse("pooler.size = 1\nsysmon.long_schedule = off"))
    place.machine.resident = 2 << 20
    place.service.reconfigure(parse("pooler.size = 3\nsysmon.long_schedule = off\nsysmon.large_heap = 4MB"))
    place.reactor.pump([1.0])
    assert not place.service.broker.alarms.active
    for number in range(4):
        place.service.pool.async_submit(abs, number)
    assert len(place.threads[-1].held) == 3
    place.service.reconfigure(parse("sysmon.long_schedule = off\nsysmon.large_heap = 1MB"))
    place.reactor.pump([1.0])
    assert list(place.service.broker.alarms.active) == ["large_heap"]
    place.threads[-1].run_all()
    stop(place)


@pytest.mark.parametrize("path", ["trace", "trace/1"])
@pytest.mark.parametrize("busy", [False, True], ids=["lines wait", "a thread writes"])
def test_traces_go_on_when_what_sees_to_them_was_killed(
        path: str, busy: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, logged_failures: list[Failure]) -> None:
    place = Place(monkeypatch, Config(trace=TraceSection(dir=str(tmp_path))))
    traces, root = place.service.traces, place.service.root
    to_file = TEST.successResultOf(place.started(traces.begin("client", "bob", "bob.log", traces.bounds(60))))
    read = traces.watch("topic", "t", traces.bounds(60))
    lines = [text for text, _ in read.take()]
    for _ in range(4):
        place.publish()
        if busy:
            place.reactor.advance(0.2)
            assert any(threads.held for threads in place.threads)
        root.kill(path)
        place.publish()
        place.reactor.advance(10)  # after some deaths in a row there is a pause
        lines += [text for text, _ in read.take()]
        assert root.find(path).state == "running"
    assert root.find(path).restarts == 4
    place.check()
    place.finish_writing()
    lines += [text for text, _ in read.take()]
    assert not to_file.over
    for number in range(1, place.sent + 1):
        sent = f" sent PUBLISH dup=0 qos={2 - number % 2} retain=0 packet_id={number} "
        assert len([line for line in lines if " bob " in line and sent in line]) == 1
    content = (tmp_path / "bob.log").read_text()
    assert content.count(" sent PUBLISH ") == place.sent
    assert content.count(" received PUBACK ") == content.count(" received PUBCOMP ") == place.sent // 2
    place.reactor.advance(60)
    place.finish_writing()
    assert (tmp_path / "bob.log").read_text().endswith("# the trace is over: its time is over\n")
    assert traces.running == {}
    assert all(each.check(Killed) for each in logged_failures)
    logged_failures.clear()


BRIDGE = "node.name = a@x\nbridge.north.node = b@127.0.0.1\nbridge.north.topic = t\nbridge.north.cookie = a cookie for tests\n"


@pytest.mark.parametrize("path", ["bridges", "bridges/north"])
def test_a_bridge_goes_on_with_its_queue_when_its_part_was_killed(
        path: str, monkeypatch: pytest.MonkeyPatch, logged_failures: list[Failure]) -> None:
    place = Place(monkeypatch, parse(BRIDGE))
    root, dialled = place.service.root, place.reactor.tcpClients
    [bridge] = place.service.bridges.bridges.known.values()
    place.publish()
    assert len(dialled) == 1
    for times in (2, 3):
        root.kill(path)
        place.publish()
        place.reactor.advance(0.5)
        assert len(dialled) == times
        assert root.find("bridges/north").state == "running"
        assert len(bridge.outbox) == place.sent
    protocol = dialled[-1][2].buildProtocol(None)
    assert protocol is not None
    place.check()
    assert all(each.check(Killed) for each in logged_failures)
    logged_failures.clear()
