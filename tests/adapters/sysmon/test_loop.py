"""How it is noticed that the reactor is late, and what is said of it."""
import threading
import time
from collections.abc import Callable, Sequence

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from emqtwist.services.sysmon import loop
from emqtwist.services.sysmon.loop import BEATS, STUCK, LoopWatch
from tests.monitors import Post, kinds

BEAT = 0.24 / BEATS


class Heart:
    """A LoopWatch whose broker is held up by advancing the time without a beat; `place` is where its thread is then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, runs: bool = True) -> None:
        self.post = Post()
        self.now = 0.0
        self.place = "plugin:work:3"
        self.looks = 0
        self.watch = LoopWatch(self.post.reports, self.post.clock, lambda: self.now, threaded=False)
        monkeypatch.setattr(loop, "blame", self._blame)
        self.watch.startService()
        if runs:
            self.post.clock.advance(0)

    def _blame(self, frame: object) -> str:
        self.looks += 1
        return self.place

    def run(self, seconds: float) -> None:
        """All is well."""
        until = self.now + seconds
        while self.now < until:
            self.now += BEAT / 2
            self.post.clock.advance(BEAT / 2)
            self.watch.look()

    def hold_up(self, seconds: float, *places: str) -> None:
        """Nothing is called for a while; the thread looks meanwhile, as often as it wants to."""
        left = list(places)
        until = self.now + seconds
        while (pause := self.watch.look()) and self.now + pause < until:
            self.now += pause
            self.place = left.pop(0) if left else self.place
        self.now = until
        self.post.clock.advance(seconds)


@pytest.fixture
def heart(monkeypatch: pytest.MonkeyPatch) -> Heart:
    return Heart(monkeypatch)


def test_as_long_as_all_comes_in_time_nothing_is_looked_at(heart: Heart) -> None:
    heart.run(10.0)
    assert heart.looks == 0
    assert heart.post.told == []


def test_what_held_the_broker_up_is_told(heart: Heart) -> None:
    heart.run(1.0)
    heart.hold_up(0.3)
    [(topic, text)] = heart.post.told
    assert topic == "sysmon/long_schedule"
    assert text.startswith("long_schedule warning: pid = plugin:work:3, info: ")
    assert text.endswith(f"seen there {heart.looks} times of {heart.looks}")
    assert heart.looks >= 3
    assert heart.post.heard() == ["+long_schedule"]
    assert heart.post.alarms.active["long_schedule"].summary.startswith("plugin:work:3: ")


def test_the_place_where_it_was_most_often_is_told(heart: Heart) -> None:
    heart.hold_up(1.0, "", "a:short:1", "b:long:2", "b:long:2", "b:long:2", "c:short:3", "b:long:2", "b:long:2", "b:long:2")
    assert "pid = b:long:2, info: " in heart.post.told[0][1]


def test_our_own_function_in_which_anothers_call_was_is_told_behind_it(heart: Heart) -> None:
    heart.place = "plugin:work:3, in emqtwist.core.pubsub:fan_out:7"
    heart.hold_up(0.5)
    text = heart.post.told[0][1]
    assert "pid = plugin:work:3, info: 460 ms late" in text
    assert text.endswith("in emqtwist.core.pubsub:fan_out:7")


def test_where_nothing_was_called_nothing_is_named(heart: Heart) -> None:
    heart.place = ""
    heart.hold_up(0.5)
    assert "pid = unknown, info: 460 ms late; nothing was called" in heart.post.told[0][1]


def test_what_was_seen_of_one_beat_is_not_told_of_the_next(heart: Heart) -> None:
    heart.place = "early:one:1"
    heart.hold_up(0.2)  # not too late, but looked at
    before = heart.looks
    assert before > 0
    heart.place = "late:one:1"
    heart.hold_up(0.5)
    assert "late:one:1" in heart.post.told[0][1]
    assert heart.post.told[0][1].endswith(f"{heart.looks - before} times of {heart.looks - before}")


def test_a_hold_up_of_the_time_and_one_beat_is_never_missed(heart: Heart) -> None:
    for part in range(10):
        heart.run(2.0)
        heart.now += BEAT * part / 10
        heart.post.clock.advance(BEAT * part / 10)
        heart.hold_up(0.24 + BEAT * 1.01)
        assert len(heart.post.told) == part + 1


def test_a_broker_that_stands_still_is_told_of_once_though_it_tells_nothing_itself(heart: Heart) -> None:
    with capturedLogs() as events:
        heart.now += STUCK
        heart.watch.look()
        assert events == []
        heart.now += 2 * BEAT
        heart.watch.look()
        heart.watch.look()
    assert [(event["seconds"], event["place"]) for event in events] == [(5, "plugin:work:3")]
    assert heart.post.told == []


def test_before_the_reactor_runs_nothing_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    heart = Heart(monkeypatch, runs=False)
    heart.now = 100.0
    assert heart.watch.look() <= 1.0
    heart.run(1.0)
    assert (heart.looks, heart.post.told) == (0, [])


def test_a_stopped_watch_beats_no_more(heart: Heart) -> None:
    heart.watch.stopService()
    heart.now = 100.0
    assert heart.post.clock.getDelayedCalls() == []
    assert heart.watch.look() == 1.0
    assert heart.looks == 0


# In a real reactor.

def threads(others: Sequence[threading.Thread] = ()) -> list[threading.Thread]:
    """Those of watches, but for `others`."""
    return [thread for thread in threading.enumerate() if thread.name == "sysmon" and thread not in others]


async def until(condition: Callable[[], object]) -> None:
    """Let the reactor run; the test's own limit bounds it."""
    while not condition():
        await deferLater(reactor, 0.005, lambda: None)


async def test_a_call_that_blocks_the_reactor_is_named() -> None:
    others = threads()
    post = Post(long_schedule=0.05)
    watch = LoopWatch(post.reports, reactor, time.monotonic)
    watch.startService()
    await until(lambda: threads(others))
    name = f"pid = {__name__}:test_a_call_that_blocks_the_reactor_is_named:"
    while not any(name in text for _, text in post.told):  # a busy machine holds it up as well, and may be told of instead
        time.sleep(0.5)
        before = len(post.told) + post.reports.suppressed
        await until(lambda before=before: len(post.told) + post.reports.suppressed > before)  # type: ignore[misc]
    watch.stopService()
    await until(lambda: not threads(others))


async def test_a_failure_in_its_thread_ends_the_part(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(frame: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(loop, "blame", broken)
    others = threads()
    watch = LoopWatch(Post(long_schedule=0.05).reports, reactor, time.monotonic)
    watch.startService()
    died: list[Failure] = []
    ended: Deferred[None] = watch.ended
    ended.addErrback(died.append)
    await until(lambda: threads(others))
    time.sleep(0.3)
    await until(lambda: died)
    assert kinds(died) == [ZeroDivisionError]
    watch.stopService()
    await until(lambda: not threads(others))
