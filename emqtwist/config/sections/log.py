"""[log] and [log.level]: what twistd writes down, and where. An embedded broker leaves logging to its host."""
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from pkgutil import iter_modules
from typing import Final, Literal

from emqtwist.config.rows import free, row
from emqtwist.config.values import FLAG, INTEGER, SIZE, TEXT, Choice, Text

Level = Literal["debug", "info", "warn", "error", "critical"]
Format = Literal["text", "json"]

EFFECTS: Final = "tests/adapters/test_logs.py"
LEVELS: Final = Choice[Level]("debug", "info", "warn", "error", "critical", aliases={"warning": "warn"})
FACILITIES: Final = Choice("auth", "authpriv", "cron", "daemon", "lpr", "mail", "news", "syslog", "user", "uucp",
                           "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7")


@cache
def parts() -> list[str]:
    """The broker's modules as a logger names them, without `emqtwist.`; none is imported for it."""
    return list(_modules(Path(__file__).parents[2], ""))


def _modules(folder: Path, prefix: str) -> Iterator[str]:
    for module in iter_modules([str(folder)]):
        yield prefix + module.name
        if module.ispkg:
            yield from _modules(folder / module.name, f"{prefix}{module.name}.")


@dataclass(frozen=True, kw_only=True)
class LogSection:
    """What is logged under twistd, how, and where to; an embedded broker leaves this to its host."""

    level: Level = row(
        "info", LEVELS, live=True, test=EFFECTS,
        meaning="Least level that is logged, of every part that `[log.level]` does not name.")
    format: Format = row(
        "text", Choice[Format]("text", "json"), test=EFFECTS,
        meaning="`text` for people; `json` is one object a line: time, level, part, node, message, the event's fields.")
    file: str = row(
        "", TEXT, test=EFFECTS,
        meaning="File to log to; a relative path starts where twistd was started. Empty: twistd's own log, which is "
                "standard output with `-n` and `twistd.log` without. twistd's `--logfile`, `--syslog` and `--logger` "
                "go before it.")
    file_size: int = row(
        "10MB", SIZE, minimum="4KB", test=EFFECTS,
        meaning="Size at which `file` is put aside as `file.1` and a new one begun. SIGUSR1 does the same at once.")
    file_count: int = row(
        "5", INTEGER, minimum="1", maximum="1000", test=EFFECTS,
        meaning="Files put aside that are kept; older ones are deleted.")
    syslog: bool = row(
        "off", FLAG, test=EFFECTS,
        meaning="Log to the system's syslog as well.")
    syslog_prefix: str = row(
        "emqtwist", Text("a word", r"[!-~]+"), test=EFFECTS,
        meaning="Name that syslog puts before each line.")
    syslog_facility: str = row(
        "daemon", FACILITIES, test=EFFECTS,
        meaning="Facility that syslog files the lines under.")
    levels: tuple[tuple[str, Level], ...] = free(
        "level", LEVELS, names=parts, title="part", live=True, test=EFFECTS,
        meaning="Least level of one part of the broker: a module without `emqtwist.`, as `net.protocol`, or a package "
                "with all below it, as `net`. The longest name that fits decides.")
