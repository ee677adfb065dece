"""Walking through tables of any size in steps of bounded work."""
from collections.abc import Iterator
from heapq import merge
from typing import AnyStr, Final

RUN: Final = 100  # names that are sorted in one step


def in_order(names: list[AnyStr]) -> Iterator[AnyStr | None]:
    """The names in order, None for each step that has brought none yet.

    `names` is the caller's copy: what has come or gone since is for the caller to see.
    """
    runs: list[list[AnyStr]] = []
    for start in range(0, len(names), RUN):
        runs.append(sorted(names[start:start + RUN]))
        yield None
    names.clear()
    yield from merge(*runs)
