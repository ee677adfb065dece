"""How it is warned: the same not twice within a second, an alarm once, in the words of the original."""
from twisted.logger import LogLevel, capturedLogs, formatEvent

from emqtwist.services.sysmon.reports import LONG_GC, OPEN_FILES
from tests.monitors import Post


def test_a_warning_is_a_line_in_the_log_a_message_and_an_alarm() -> None:
    post = Post()
    with capturedLogs() as events:
        post.reports.event(LONG_GC, "broker", "120 ms")
    text = "long_gc warning: pid = broker, info: 120 ms"
    assert [(event["log_level"], formatEvent(event), event["kind"]) for event in events if "kind" in event] == [
        (LogLevel.warn, text, "long_gc")]
    assert post.told == [("sysmon/long_gc", text)]
    assert post.heard() == ["+long_gc"]


def test_the_same_is_told_once_in_a_second() -> None:
    post = Post()
    for _ in range(4):
        post.reports.event(LONG_GC, "broker", "120 ms")
        post.clock.advance(0.3)
    assert (len(post.told), post.reports.suppressed) == (1, 3)
    post.reports.event(LONG_GC, "broker", "130 ms")
    assert len(post.told) == 2


def test_another_is_told_within_the_second() -> None:
    post = Post()
    post.reports.event(LONG_GC, "one", "120 ms")
    post.reports.event(LONG_GC, "two", "120 ms")
    assert (len(post.told), post.reports.suppressed) == (2, 0)


def test_what_is_told_no_more_is_forgotten() -> None:
    post = Post()
    for number in range(100):
        post.reports.event(LONG_GC, str(number), "120 ms")
    post.clock.advance(1.0)
    post.reports.settle()
    assert post.reports._told == {}


def test_a_level_has_an_alarm_from_its_threshold_until_it_is_well_below() -> None:
    post = Post()
    for value in (100, 101, 110, 90, 81):
        post.reports.level(OPEN_FILES, value, 100, f"{value} open")
    assert post.told == [("sysmon/open_files", "open_files warning: pid = broker, info: 101 open")]
    assert post.heard() == ["+open_files"]
    post.reports.level(OPEN_FILES, 79, 100, "79 open")
    assert post.heard() == ["-open_files"]
    post.clock.advance(1.0)
    post.reports.level(OPEN_FILES, 101, 100, "101 open")
    assert (post.heard(), len(post.told)) == (["+open_files"], 2)


def test_a_level_without_a_threshold_is_good() -> None:
    post = Post()
    post.reports.level(OPEN_FILES, 101, 100, "101 open")
    post.reports.level(OPEN_FILES, 101, 0, "101 open")
    assert post.heard() == ["+open_files", "-open_files"]


def test_braces_in_what_is_told_are_just_braces() -> None:
    post = Post()
    post.reports.busy_port("{client}", "{peer}", "{words}")
    assert post.told == [("sysmon/busy_port", "busy_port warning: suspid = {client}, port = {peer}, info: {words}")]
