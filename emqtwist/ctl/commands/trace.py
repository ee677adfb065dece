"""trace: what goes over connections, in a file or as it goes."""
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, Final

from twisted.internet.defer import Deferred

from emqtwist.config.values import DURATION, INTEGER, SIZE, Unit
from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Refused, Registry, Step, Words, plain
from emqtwist.services.trace import ADDRESS, CLIENT, TOPIC, Bounds, NotTraced, Traces
from emqtwist.services.trace.trace import Kind, Trace

OFF: Final = "off"
LIVE: Final = "live"
OPTIONS: Final[dict[str, tuple[str, Unit[Any]]]] = {
    "for": ("seconds", DURATION), "size": ("size", SIZE), "lines": ("lines", INTEGER), "payload": ("payload", SIZE)}


def listed(context: Context, words: Words) -> Iterator[Line]:
    now = context.broker.turn.now
    for trace in list(context.service.traces.running.values()):
        columns: dict[str, object] = {
            "kind": trace.kind, "name": trace.name, "file": trace.target, "lines": trace.lines, "bytes": trace.size,
            "seconds_left": max(0, int(trace.until - now)), "payload": trace.bounds.payload}
        yield f"trace {trace.kind} {trace.name} -> {trace.target}", columns


def bounds(traces: Traces, options: Words) -> Bounds:
    """What options as `for=30s` say; Refused when one is not good."""
    wanted: dict[str, Any] = {}
    for option in options:
        name, _, text = option.partition("=")
        if name not in OPTIONS:
            raise Refused(f"{option}: the options are {', '.join(f'{each}=' for each in OPTIONS)}")
        field, unit = OPTIONS[name]
        try:
            wanted[field] = unit.read(text)
        except ValueError:
            raise Refused(f"{option}: not {unit.form}") from None
    return traces.bounds(**wanted)


def followed(context: Context, kind: Kind, name: str, within: Bounds) -> Iterator[Step]:
    """The lines of a trace that ends with whoever reads it."""
    traces = context.service.traces
    try:
        trace = traces.watch(kind, name, within)
    except NotTraced as error:
        raise Refused(f"trace {kind} {name} error: {error}") from None
    try:
        yield from _lines(trace)
    finally:
        trace.end("nobody reads it any more")


def _lines(trace: Trace) -> Iterator[Step]:
    while True:
        over = trace.over
        lines = trace.take()
        yield from lines
        if over:
            return
        if not lines:
            yield trace.more()


async def _begun(context: Context, kind: Kind, name: str, file: str, within: Bounds) -> list[Line]:
    try:
        await context.service.traces.begin(kind, name, file, within)
    except NotTraced as error:
        raise Refused(f"trace {kind} {name} error: {error}") from None
    return [plain(f"trace {kind} {name} successfully.")]


def _stopped(context: Context, kind: Kind, name: str) -> list[Line]:
    if not context.service.traces.stop(kind, name):
        raise Refused(f"stop tracing {kind} {name} error: not_found.")
    return [plain(f"stop tracing {kind} {name} successfully.")]


def tracer(kind: Kind) -> "Callable[[Context, Words], Coroutine[Deferred[Any], Any, Iterable[Step]]]":
    """The command for traces of one kind."""

    async def trace(context: Context, words: Words) -> Iterable[Step]:
        name, target, *options = words
        if target == OFF and not options:
            return _stopped(context, kind, name)
        within = bounds(context.service.traces, options)
        if target == LIVE:
            return followed(context, kind, name, within)
        return await _begun(context, kind, name, target, within)

    return trace


def add(registry: Registry) -> None:
    registry.add("trace list", "", "List the traces that go on", listed,
                 "`trace <client/topic/address> <name> -> <file>`, or `-> live`")
    kinds: tuple[tuple[Kind, str, str], ...] = ((CLIENT, "<ClientId>", "a client"), (TOPIC, "<Topic>", "the topics of a filter"),
                                                (ADDRESS, "<Address>", "an address, or a network as 10.1.0.0/16"))
    for kind, name, whom in kinds:
        registry.add_waiting(f"trace {kind}", f"{name} <LogFile> [<Option>=<Value>]...",
                             f"Trace {whom} into a file; live: show it as it goes; off: no more", tracer(kind),
                             f"`trace {kind} <name> successfully.`, or `trace {kind} <name> error: <why>`; with `live` the "
                             f"lines; with `off` `stop tracing {kind} <name> successfully.`, or `... error: not_found.`")
