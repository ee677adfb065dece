"""status, broker, metrics, stats: the broker as a whole."""
import time
from collections.abc import Iterator

from emqtwist._version import __version__
from emqtwist.core.metrics import ALIASES
from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Registry, Words, pair, plain
from emqtwist.services.supervisor import Row, Supervisor
from emqtwist.services.systopics import DESCRIPTION, uptime


def status(context: Context, words: Words) -> Iterator[Line]:
    """Also what has not started yet, or not again: the whole broker waits for the first, or clients for what it does."""
    state = context.service.state
    yield plain(f"Node '{context.node}' is {state}")
    yield plain(f"emqtwist {__version__} is running" if state == "started" else "emqtwist is not running")
    for path, row in list(context.root.walk()):
        if row.state in ("starting", "waiting") and not isinstance(row.service, Supervisor):
            yield plain(_waits(path, row, context.clock.seconds()))


def _waits(path: str, row: Row, now: float) -> str:
    failure = f"; last failure: {row.failure.getErrorMessage()}" if row.failure is not None else ""
    if row.state == "waiting":
        return f"{path} is to be started again{failure}"
    what = f", {row.child.takes}" if row.child.takes else ""
    return f"waiting for {path} to start, for {int(now - row.since)} s{what}{failure}"


def broker(context: Context, words: Words) -> Iterator[Line]:
    yield pair("sysdescr", DESCRIPTION, 10)
    yield pair("version", __version__, 10)
    yield pair("uptime", uptime(context.uptime), 10)
    yield pair("datetime", time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(context.wall())), 10)


def stats(context: Context, words: Words) -> Iterator[Line]:
    for name, value in sorted(context.broker.count().gauges().items()):
        yield pair(name, value, 20)


def broker_metrics(context: Context, words: Words) -> Iterator[Line]:
    metrics = context.broker.metrics
    known = set(ALIASES.values())
    values = metrics.by_alias(len(context.broker.retained))
    values |= {name: value for name, value in metrics.counters().items() if name not in known}
    for name, value in sorted(values.items()):
        yield pair(name, value, 24)


def pubsub(context: Context, words: Words) -> Iterator[Line]:
    """Of each worker that writes the tables; emqttd's sizes of Erlang processes have no like here."""
    for worker in context.broker.pools.pubsub.workers:
        columns: dict[str, object] = {"worker": worker.name, "status": "running" if worker.up else "down",
                                      "message_queue_len": worker.queued}
        yield f"pubsub: {worker.name}", columns
        for name in ("status", "message_queue_len"):
            yield f"  {name:<18}: {columns[name]}", {}


def metrics(context: Context, words: Words) -> Iterator[Line]:
    for name, value in context.broker.metrics.counters().items():
        yield pair(name, value, 24)


def add(registry: Registry) -> None:
    registry.add("status", "", "Show whether the broker runs", status,
                 "`Node '<node>' is started`, `emqtwist <version> is running`; below, for each part that has not started yet, "
                 "`waiting for store/process to start, for 12 s`, and what it does")
    registry.add("broker", "", "Show version, uptime and time", broker, "a line each, as `version   : 1.0`")
    registry.add("broker stats", "", "Show the gauges and their maxima", stats, "as `clients/count       : 7`")
    registry.add("broker metrics", "", "Show the counters, under emqttd's names where it has them", broker_metrics,
                 "as `packets/connect         : 7`")
    registry.add("broker pubsub", "", "Show the workers that write the tables of subscriptions", pubsub,
                 "`pubsub: <worker>`, and below each its status and how many jobs wait, as `  status            : running`")
    registry.add("metrics", "", "Show the counters under the broker's own names", metrics, "as `connect_received        : 7`",
                 metrics)
    registry.add("stats", "", "Show the gauges and their maxima", stats, "as `broker stats`", stats)
