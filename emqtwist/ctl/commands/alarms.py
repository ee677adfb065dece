"""alarms: what is wrong now, and what was."""
from collections.abc import Iterator

from emqtwist.core.alarm import Alarm
from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Refused, Registry, Words, plain


def _line(context: Context, alarm: Alarm) -> Line:
    columns: dict[str, object] = {"id": alarm.identifier, "severity": alarm.severity, "title": alarm.title,
                                  "summary": alarm.summary, "raised_at": context.unix(alarm.raised_at)}
    if alarm.cleared_at is not None:
        columns["cleared_at"] = context.unix(alarm.cleared_at)
    rest = ", ".join(f"{key}={value}" for key, value in list(columns.items())[1:])
    return f"Alarm({alarm.identifier}, {rest})", columns


def active(context: Context, words: Words) -> Iterator[Line]:
    for alarm in list(context.broker.alarms.active.values()):
        yield _line(context, alarm)


def history(context: Context, words: Words) -> Iterator[Line]:
    for alarm in list(context.broker.alarms.history):
        yield _line(context, alarm)


def clear(context: Context, words: Words) -> list[Line]:
    if not context.broker.alarms.clear(words[0]):
        raise Refused("Not Found.")
    return [plain("ok")]


def add(registry: Registry) -> None:
    registry.add("alarms list", "", "List what is wrong now", active,
                 "`Alarm(<id>, severity=<severity>, title=<title>, summary=<text>, raised_at=<unix seconds>)`")
    registry.add("alarms history", "", "List what was wrong, the oldest first", history, "the same with `cleared_at`")
    registry.add("alarms clear", "<AlarmId>", "Clear an alarm by hand; it is raised when it is noticed anew", clear,
                 "`ok` or `Not Found.`")
