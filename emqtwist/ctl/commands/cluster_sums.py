"""cluster stats, metrics: the numbers of all nodes together."""
from collections.abc import Callable, Iterator
from typing import Final

from emqtwist.ctl.across import Questions
from emqtwist.ctl.commands.node import metrics, stats
from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Listing, Registry, Step, Words, pair

COUNT: Final = "/count"
OF_ALL: Final = ("retained/count", "routes/count", "topics/count")  # that each node knows of all


def _sum(name: str, here: Callable[[Context, Words], Iterator[Line]], width: int) -> Listing:
    def listing(context: Context, words: Words) -> Iterator[Step]:
        totals: dict[str, int] = {}
        questions = Questions(context, (name,))
        try:
            questions.ask()
            for _, columns in here(context, ()):
                if name == "metrics" or str(columns["key"]).endswith(COUNT):
                    totals[str(columns["key"])] = int(str(columns["value"]))
            for asked in questions.asked:
                for step in questions.lines(asked):
                    if isinstance(step, tuple):
                        key = str(step[1]["key"])
                        if key in totals and key not in OF_ALL:
                            totals[key] += int(str(step[1]["value"]))
                    else:
                        yield step
            for key, total in totals.items():
                yield pair(key, total, width)
            yield from questions.silent()
        finally:
            questions.stop()
    return listing


def add(registry: Registry) -> None:
    registry.add("cluster stats", "", "Show the gauges of all nodes together", _sum("stats", stats, 20),
                 f"as `clients/count       : 7`; {', '.join(f'`{name}`' for name in OF_ALL)} are those of this node, as each "
                 "knows all of them")
    registry.add("cluster metrics", "", "Show the counters of all nodes together", _sum("metrics", metrics, 24),
                 "as `connect_received        : 7`")
