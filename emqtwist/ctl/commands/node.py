"""status, broker, metrics: the broker as a whole."""
import time
from collections.abc import Iterator, Sequence

from emqtwist._version import __version__
from emqtwist.ctl.registry import Context, Line, Registry, plain


def status(context: Context, words: Sequence[str]) -> Iterator[Line]:
    yield plain(f"Node '{context.node}' is started")
    yield plain(f"emqtwist {__version__} is running")


def broker(context: Context, words: Sequence[str]) -> Iterator[Line]:
    now = time.time()
    facts = {"sysdescr": "emqtwist", "version": __version__, "uptime": f"{int(now - context.began)} seconds",
             "datetime": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))}
    for key, value in facts.items():
        yield f"{key:<10}: {value}", {"key": key, "value": value}


def metrics(context: Context, words: Sequence[str]) -> Iterator[Line]:
    counted = context.broker.metrics
    values = {"connects": counted.connects}
    values |= {f"drops/{cause}": count for cause, count in counted.drops.items()}
    values |= {f"ends/{cause}": count for cause, count in counted.ends.items()}
    for name, value in sorted(values.items()):
        yield f"{name:<24}: {value}", {"metric": name, "value": value}


def add(registry: Registry) -> None:
    registry.add("status", "", "Whether the broker runs", status)
    registry.add("broker", "", "Version, uptime and time of the broker", broker)
    registry.add("metrics", "", "What the broker counts", metrics)
