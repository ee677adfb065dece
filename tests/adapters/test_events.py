"""The broker's events as log lines."""
from twisted.logger import LogEvent, LogLevel, capturedLogs, formatEvent
from twisted.python.failure import Failure

from emqtwist.core import causes
from emqtwist.core.alarm import Alarm
from emqtwist.core.hooks import CLIENT_AUTHENTICATE
from emqtwist.services.events import LogObserver


def logged(method: str, *arguments: object) -> LogEvent:
    """The one event that this call leaves in the log."""
    with capturedLogs() as events:
        getattr(LogObserver(), method)(*arguments)
    [event] = events
    return event


def test_clients_that_come_are_for_debugging() -> None:
    event = logged("connected", "alice", None, "10.0.0.1:5", 4, False, True)
    assert event["log_level"] == LogLevel.debug
    assert formatEvent(event) == "alice connected from 10.0.0.1:5, protocol level 4, session present: True"
    assert (event["client_id"], event["peer"], event["version"]) == ("alice", "10.0.0.1:5", 4)


def test_everyday_ends_are_for_debugging() -> None:
    for cause in (causes.NORMAL, causes.CONNECTION_LOST, causes.DISCONNECT_WITH_WILL):
        event = logged("disconnected", "alice", "10.0.0.1:5", cause, "words")
        assert event["log_level"] == LogLevel.debug
        assert formatEvent(event) == f"alice from 10.0.0.1:5 ended: {cause}: words"


def test_other_ends_are_warnings() -> None:
    event = logged("disconnected", "alice", "10.0.0.1:5", "malformed_packet", "PUBLISH: byte 3")
    assert event["log_level"] == LogLevel.warn
    assert formatEvent(event) == "alice from 10.0.0.1:5 ended: malformed_packet: PUBLISH: byte 3"
    assert (event["cause"], event["reason"]) == ("malformed_packet", "PUBLISH: byte 3")


def test_a_refusal_is_a_warning_with_cause_and_listener() -> None:
    event = logged("refused", "alice", "10.0.0.1:5", "tcp.default", "not_authorized", "nobody knows alice")
    assert event["log_level"] == LogLevel.warn
    assert formatEvent(event) == "tcp.default refuses alice from 10.0.0.1:5: not_authorized: nobody knows alice"
    assert (event["listener"], event["cause"]) == ("tcp.default", "not_authorized")
    event = logged("refused", "", "10.0.0.1:5", "tcp.default", causes.CONNECT_TIMEOUT, "words")
    assert formatEvent(event).startswith("tcp.default refuses (no client) from 10.0.0.1:5: ")


def test_nodes_that_do_not_know_of_a_subscription_yet_are_a_warning() -> None:
    event = logged("unannounced", "alice", 2, "b@host, c@host")
    assert event["log_level"] == LogLevel.warn
    assert formatEvent(event) == ("alice has subscribed to 2 topic filters that were not told to b@host, c@host in time: what is "
                                  "published there comes once there is a link again")
    assert (event["client_id"], event["count"], event["nodes"]) == ("alice", 2, "b@host, c@host")


def test_of_many_refusals_there_is_a_line_for_each_listener_cause_and_second() -> None:
    observer = LogObserver()

    seen = 0

    def told() -> list[tuple[str, str, int]]:
        """Of what is new: listener, cause, and how many more, 0 for the line that names a client."""
        nonlocal seen
        seen, start = len(events), seen
        return [(event["listener"], event["cause"], event.get("count", 0)) for event in events[start:]]

    with capturedLogs() as events:
        for listener in ("tcp.a", "ws.b"):
            for cause in ("not_authorized", "banned"):
                for number in range(100 if listener == "tcp.a" else 1):
                    observer.refused(f"c{number}", "10.0.0.1:5", listener, cause, "words")
        first = [("tcp.a", "not_authorized", 0), ("tcp.a", "banned", 0), ("ws.b", "not_authorized", 0), ("ws.b", "banned", 0)]
        assert told() == first
        observer.tell()
        assert told() == [("tcp.a", "not_authorized", 99), ("tcp.a", "banned", 99)]
        observer.tell()  # nothing more has happened
        assert told() == []
        observer.refused("c", "10.0.0.1:5", "tcp.a", "banned", "words")
        assert told() == [("tcp.a", "banned", 0)]


def test_a_connection_without_client_has_a_name_too() -> None:
    event = logged("disconnected", "", "10.0.0.1:5", causes.CONNECT_TIMEOUT, "words")
    assert formatEvent(event).startswith("(no client) from 10.0.0.1:5")


def test_alarms_are_told_as_severe_as_they_are() -> None:
    for severity, level in (("warning", LogLevel.warn), ("error", LogLevel.error), ("critical", LogLevel.critical)):
        event = logged("alarm_raised", Alarm("disk", severity, "title", "it is full", 1.0))
        assert (event["log_level"], formatEvent(event)) == (level, "alarm disk: it is full")
    event = logged("alarm_cleared", Alarm("disk", "error", "title", "it is full", 1.0))
    assert (event["log_level"], formatEvent(event)) == (LogLevel.info, "alarm disk is over")


def test_failures_come_with_their_traceback(logged_failures: list[Failure]) -> None:
    for method, subject, field in (("callback_failed", b"a/+", "topic_filter"), ("delivery_failed", "alice", "client_id")):
        event = logged(method, subject, ZeroDivisionError("why"))
        assert event["log_level"] == LogLevel.critical
        assert event["log_failure"].check(ZeroDivisionError)
        assert event[field] == subject
    logged_failures.clear()


def test_a_function_at_a_hook_that_failed_comes_with_its_traceback(logged_failures: list[Failure]) -> None:
    event = logged("hook_failed", "client.connected", "greet", ZeroDivisionError("why"))
    assert event["log_failure"].check(ZeroDivisionError)
    assert (event["hook"], event["function"]) == ("client.connected", "greet")
    assert formatEvent(event) == "greet at client.connected failed"
    logged_failures.clear()


def test_what_is_for_debugging_need_not_be_said() -> None:
    observer = LogObserver()
    observer.debugging = False
    with capturedLogs() as events:
        observer.connected("alice", None, "10.0.0.1:5", 4, False, True)
        observer.disconnected("alice", "10.0.0.1:5", causes.NORMAL, "words")
        observer.disconnected("alice", "10.0.0.1:5", "malformed_packet", "words")
    assert [event["cause"] for event in events] == ["malformed_packet"]


def test_of_what_a_function_raises_that_saw_a_password_there_is_no_message() -> None:
    try:
        raise ValueError("pencil")
    except ValueError as error:
        event = logged("hook_failed", CLIENT_AUTHENTICATE, "plugin.function", error)
    assert "log_failure" not in event
    told = formatEvent(event)
    assert told.startswith(f"plugin.function at client.authenticate failed: ValueError at {__file__}:")
    assert "pencil" not in told
