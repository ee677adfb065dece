"""[overload]: when the broker counts as overloaded, what it does then, and that it ends."""
from twisted.internet.testing import MemoryReactorClock

from emqtwist import BrokerService
from emqtwist.config import OverloadSection, parse
from emqtwist.core import causes, overload
from emqtwist.core.overload import ALARM
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Connack, Connect, Pingreq, Pingresp, Puback, Publish, Suback, Subscribe
from emqtwist.mqtt.properties import Properties
from emqtwist.services.overload import Overload
from emqtwist.services.sysmon.loop import LoopWatch
from tests.adapters.test_protocol import Hall, payloads
from tests.monitors import Post
from tests.wires import Caller


class Watched:
    """An Overload, whose heart beats as a test says."""

    def __init__(self, **rows: float) -> None:
        self.hall = Hall()
        self.now = 0.0
        self.held: list[bool] = []
        self.overload = Overload(OverloadSection(**{"lag": 1.0, **rows}), self.hall.broker, self.hall.turns.begin,
                                 lambda: self.now, self.held.append)

    def beat(self, late: float, seconds: float) -> None:
        """Beats that come that late, for so long."""
        until = self.now + seconds
        while self.now < until:
            self.now += 0.5
            self.overload.beat(late)

    @property
    def is_on(self) -> bool:
        return self.hall.broker.circle.overloaded


def test_overload_lag() -> None:
    watched = Watched(lag=1.0)
    watched.beat(0.99, 100)
    assert not watched.is_on
    watched.beat(1.0, 3)
    assert (watched.is_on, watched.held) == (True, [True])
    off = Watched(lag=0.0)
    off.beat(50, 100)
    assert not off.is_on


def test_overload_time() -> None:
    watched = Watched(time=10.0)
    watched.beat(2.0, 10)
    assert not watched.is_on
    watched.beat(2.0, 0.5)
    assert watched.is_on


def test_overload_calm() -> None:
    watched = Watched(calm=10.0)
    watched.beat(2.0, 3)
    watched.beat(0.0, 9)
    watched.beat(0.5, 100)  # better, but not good
    watched.beat(0.0, 10)
    assert watched.is_on
    watched.beat(0.0, 0.5)
    assert (watched.is_on, watched.held) == (False, [True, False])


def test_once_too_late_is_no_overload_however_late() -> None:
    watched = Watched()
    watched.beat(60.0, 0.5)
    watched.beat(0.0, 0.5)
    watched.beat(60.0, 0.5)
    assert not watched.is_on


def test_there_is_an_alarm_while_it_lasts_and_a_count_of_how_often() -> None:
    watched = Watched()
    watched.beat(1.5, 3)
    alarm = watched.hall.broker.alarms.active[ALARM]
    assert (alarm.severity, alarm.summary) == ("critical", "up to 1500 ms late for 2 s")
    watched.beat(0.0, 6)
    assert ALARM not in watched.hall.broker.alarms.active
    assert watched.hall.broker.metrics.counters()["overloads"] == 1


def test_it_ends_at_once_when_it_is_switched_off() -> None:
    watched = Watched()
    watched.beat(1.5, 3)
    watched.overload.section = OverloadSection()
    watched.beat(1.5, 0.5)
    assert not watched.is_on


def test_the_heart_of_the_reactor_is_what_beats() -> None:
    post = Post()
    beats: list[float] = []
    post.reports.beat = beats.append
    watch = LoopWatch(post.reports, post.clock, post.clock.seconds, threaded=False)
    watch.startService()
    post.clock.advance(0)
    post.clock.advance(3.0)
    assert len(beats) == 1
    assert 2.9 < beats[0] < 3.0
    watch.stopService()


# What an overloaded broker does.


def test_nobody_comes_in() -> None:
    hall = Hall()
    overload.begin(hall.broker, "a test")
    for version, code in ((c.MQTT_5_0, c.QUOTA_EXCEEDED), (c.MQTT_3_1_1, c.REFUSED_SERVER_UNAVAILABLE)):
        caller = hall.call(version=version)
        assert caller.connect("alice").reason_code == code
        assert caller.closing
    overload.end(hall.broker)
    hall.connect("alice")


def test_who_comes_is_told_of_another_server_where_there_is_one() -> None:
    hall = Hall("mqtt.server_reference = other:1883")
    overload.begin(hall.broker, "a test")
    caller = hall.call()
    caller.send(Connect(c.MQTT_5_0, "alice"))
    connack = caller.one(Connack)
    assert connack.reason_code == c.USE_ANOTHER_SERVER
    assert connack.properties is not None
    assert connack.properties.server_reference == "other:1883"


def test_qos_0_is_dropped_and_all_else_is_passed_on() -> None:
    hall = Hall()
    bob, alice = hall.connect("bob"), hall.connect("alice")
    bob.send(Subscribe(1, [(b"#", 2)]))
    bob.one(Suback)
    overload.begin(hall.broker, "a test")
    alice.send(Publish(b"a", b"shed"), Publish(b"a", b"kept", 1, packet_id=1), Publish(b"a", b"retained", retain=True))
    assert payloads(bob.received()) == [b"kept", b"retained"]
    assert alice.one(Puback).reason_code == c.SUCCESS
    assert hall.broker.metrics.drops[causes.OVERLOAD] == 1
    overload.end(hall.broker)
    hall.clock.advance(1.0)
    alice.send(Publish(b"a", b"late"))
    assert payloads(bob.received()) == [b"late"]


def test_the_topic_alias_of_what_is_dropped_counts() -> None:
    hall = Hall()
    bob, alice = hall.connect("bob"), hall.connect("alice")
    bob.send(Subscribe(1, [(b"#", 0)]))
    bob.one(Suback)
    overload.begin(hall.broker, "a test")
    alias = Properties()
    alias.topic_alias = 3
    alice.send(Publish(b"a", b"shed", properties=alias))
    overload.end(hall.broker)
    hall.clock.advance(1.0)
    alice.send(Publish(b"", b"late", properties=alias))
    [publish] = bob.received()
    assert isinstance(publish, Publish)
    assert (publish.topic_name, publish.payload) == (b"a", b"late")


def test_a_publisher_takes_a_breath_after_each_read_and_others_do_not() -> None:
    hall = Hall()
    bob, alice = hall.connect("bob"), hall.connect("alice")
    overload.begin(hall.broker, "a test")
    for caller in (bob, alice):
        caller.send(Pingreq())
        caller.one(Pingresp)
    alice.send(Publish(b"a", b"x", 1, packet_id=1))
    assert (reads(alice), reads(bob)) == (False, True)
    hall.clock.advance(1.0)
    assert reads(alice)


def reads(caller: Caller) -> bool:
    return caller.wire.producerState == "producing"


class Port:
    """Remembers whether it accepts."""

    def __init__(self) -> None:
        self.states: list[str] = []

    def stopReading(self) -> None:
        self.states.append("held")

    def startReading(self) -> None:
        self.states.append("open")


def test_listeners_hold_who_connects_until_it_is_over() -> None:
    reactor = MemoryReactorClock()
    service = BrokerService(parse("overload.lag = 1s"), reactor, reactor.seconds)
    service.startService()
    listener = service.listeners["default"]
    port = Port()
    listener._port = port  # type: ignore[assignment]
    for _ in range(5):
        reactor.advance(1)
        service.overload.beat(2.0)
    assert port.states == ["held"]
    for _ in range(8):
        reactor.advance(1)
        service.overload.beat(0.0)
    assert port.states == ["held", "open"]


def test_a_listener_is_open_when_nothing_holds_it_any_more() -> None:
    reactor = MemoryReactorClock()
    listener = BrokerService(parse(""), reactor, reactor.seconds).listeners["default"]
    port = Port()
    listener._port = port  # type: ignore[assignment]
    listener.hold("one")
    listener.hold("other")
    listener.release("one")
    listener.release("unknown")
    assert port.states == ["held"]
    listener.release("other")
    assert port.states == ["held", "open"]
