"""What twistd writes down: events of twisted.logger, filtered by part, as text or JSON, to a file, a stream or syslog.

Nothing here touches logging by itself. `install` gives twistd's application an observer, which twistd takes in place of
its own; an embedded broker never calls it, and its events go wherever its host sends them.
"""
import json
import signal
import sys
import syslog
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from math import isfinite
from typing import Final, Protocol

from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    LogPublisher,
    formatEvent,
    formatEventAsClassicLogText,
)
from twisted.python.components import Componentized
from twisted.python.failure import Failure
from twisted.python.logfile import LogFile
from zope.interface import implementer

from emqtwist.config import LogSection

Formatter = Callable[[LogEvent], str]

PACKAGE: Final = "emqtwist."
WORDY: Final = "twisted.protocols.amp"  # says twice of each connection that it is there and that it is gone
LEGACY: Final = frozenset(("message", "time", "system", "format", "isError", "why", "failure"))  # of twisted.python.log
PLAIN: Final = (str, bytes, int, float, type(None))
CONTROLS: Final = {code: f"\\x{code:02x}" for code in [*range(32), *range(127, 160)] if chr(code) not in "\n\t"}
PRIORITIES: Final = {
    LogLevel.debug: syslog.LOG_DEBUG, LogLevel.info: syslog.LOG_INFO, LogLevel.warn: syslog.LOG_WARNING,
    LogLevel.error: syslog.LOG_ERR, LogLevel.critical: syslog.LOG_CRIT,
}


class Stream(Protocol):
    """Where lines go: standard output, or a LogFile."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...


def printable(text: str, encoding: str = "utf-8") -> str:
    """`text` that can be encoded, and that no client can use to steer a terminal or to forge a line."""
    return text.translate(CONTROLS).encode(encoding, "backslashreplace").decode(encoding)


def text_line(event: LogEvent) -> str:
    """The event as twistd writes it: `time [namespace#level] message`; further lines are indented."""
    return formatEventAsClassicLogText(event) or ""


def json_line(event: LogEvent, node: str = "") -> str:
    """The event as one flat JSON object: time, level, part, node, message, its plain fields, and a traceback."""
    line: dict[str, object] = {
        "time": datetime.fromtimestamp(event["log_time"], UTC).isoformat(timespec="microseconds"),
        "level": event["log_level"].name,
        "part": part_of(event["log_namespace"]),
        "node": node,
        "message": formatEvent(event),
    }
    failure = event.get("log_failure")
    if isinstance(failure, Failure):
        line["traceback"] = failure.getTraceback()
    for name, value in event.items():
        if not name.startswith("log_") and name not in LEGACY and name not in line and isinstance(value, PLAIN):
            line[name] = _for_json(value)
    return json.dumps(line) + "\n"


def part_of(namespace: str) -> str:
    """The module that logs, as `[log.level]` calls it: without the package's name and the class's."""
    modules = [name for name in namespace.removeprefix(PACKAGE).split(".") if not name[:1].isupper()]
    return ".".join(modules)


def _for_json(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value) if isinstance(value, float) and not isfinite(value) else value


@implementer(ILogObserver)
class StreamLog:
    """Writes lines to a stream."""

    def __init__(self, stream: Stream, line: Formatter) -> None:
        self._stream = stream
        self._line = line
        self._encoding = getattr(stream, "encoding", None) or "utf-8"

    def __call__(self, event: LogEvent) -> None:
        text = self._line(event)
        if text:
            self._stream.write(printable(text, self._encoding))
            self._stream.flush()


@implementer(ILogObserver)
class Syslog:
    """Sends lines to the system's syslog, each with the priority of its level."""

    def __init__(self, prefix: str, facility: str, line: Formatter) -> None:
        self._line = line
        syslog.openlog(prefix, syslog.LOG_PID | syslog.LOG_NDELAY, getattr(syslog, f"LOG_{facility.upper()}"))

    def __call__(self, event: LogEvent) -> None:
        priority = PRIORITIES[event["log_level"]]
        for line in printable(self._line(event)).splitlines():
            syslog.syslog(priority, line)


def syslog_line(event: LogEvent) -> str:
    """`[part#level] message`: syslog puts the time before it."""
    return text_line({**event, "log_time": None}).removeprefix("- ")


@implementer(ILogObserver)
class LogWriter:
    """Gives each event that is of its part's level to all outputs; `file` is the file it writes, if it does."""

    def __init__(self, section: LogSection, outputs: list[ILogObserver], file: LogFile | None = None) -> None:
        self.file = file
        self._levels = LogLevelFilterPredicate()
        self._write = FilteringLogObserver(LogPublisher(*outputs), [self._levels])
        self.set_levels(section)

    def __call__(self, event: LogEvent) -> None:
        self._write(event)

    def takes_debugging(self, namespace: str) -> bool:
        """Whether what is for debugging is written when a logger of this name has it."""
        return bool(self._levels.logLevelForNamespace(namespace) <= LogLevel.debug)

    def set_levels(self, section: LogSection) -> None:
        """Filter by these levels from now on."""
        self._levels.defaultLogLevel = LogLevel.lookupByName(section.level)
        self._levels.clearLogLevels()
        self._levels.setLogLevelForNamespace(WORDY, LogLevel.warn)
        for part, level in section.levels:
            self._levels.setLogLevelForNamespace(PACKAGE + part, LogLevel.lookupByName(level))


def observer(section: LogSection, stdout: Stream | None, node: str = "") -> LogWriter:
    """What `[log]` describes; `stdout` is written to where it names no file. OSError if the file cannot be opened."""

    def as_json(event: LogEvent) -> str:
        return json_line(event, node)

    is_json = section.format == "json"
    outputs: list[ILogObserver] = []
    stream = log_file(section.file, section.file_size, section.file_count) if section.file else stdout
    if stream is not None:
        outputs.append(StreamLog(stream, as_json if is_json else text_line))
    if section.syslog:
        outputs.append(Syslog(section.syslog_prefix, section.syslog_facility, as_json if is_json else syslog_line))
    return LogWriter(section, outputs, stream if isinstance(stream, LogFile) else None)


def log_file(path: str, size: int | None = None, count: int | None = None) -> LogFile:
    """A file put aside when it has `size` bytes, as often as twistd does it when there is no size."""
    rotation = {} if size is None else {"rotateLength": size, "maxRotatedFiles": count}
    return LogFile.fromFullPath(path, **rotation)  # type: ignore[no-any-return]


def install(application: object, section: LogSection, options: Mapping[str, object], reactor: IReactorFromThreads,
            node: str = "") -> LogWriter | None:
    """Let twistd log as `section` says; for `setServiceParent`, which twistd calls before it begins to log.

    `application` is the parent that twistd gives, `options` are twistd's own, the parent of the subcommand's. None,
    with nothing changed, when this is not twistd or its `--logger` is in charge. OSError if the file cannot be opened.
    """
    if not isinstance(application, Componentized) or "nodaemon" not in options or options.get("logger"):
        return None
    section, stdout = as_told(section, options)
    writer = observer(section, stdout, node)
    application.setComponent(ILogObserver, writer)
    if writer.file is not None:
        _rotate_on_signal(writer.file, reactor)
    return writer


def as_told(section: LogSection, options: Mapping[str, object]) -> tuple[LogSection, Stream | None]:
    """The section and standard output once twistd's options have had their say: they go before the section."""
    if options.get("syslog"):
        return replace(section, file="", syslog=True, syslog_prefix=str(options["prefix"])), None
    if section.file and not options.get("logfile"):
        return section, None
    return replace(section, file=""), twistd_stream(options)


def twistd_stream(options: Mapping[str, object]) -> Stream:
    """Where twistd's options send its log: as twistd itself decides it, but for the format."""
    name = options.get("logfile")
    if options["nodaemon"] and name in (None, "", "-"):
        return sys.stdout
    if name == "-":
        raise SystemExit("Daemons cannot log to stdout, exiting!")
    return log_file(str(name or "twistd.log"))


def _rotate_on_signal(file: LogFile, reactor: IReactorFromThreads) -> None:
    """SIGUSR1 puts the log file aside, as twistd users know it, unless somebody else wants the signal."""
    if signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL:
        signal.signal(signal.SIGUSR1, lambda number, frame: reactor.callFromThread(file.rotate))
