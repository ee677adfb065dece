"""What a reload may change while the broker runs, and what waits for a restart."""
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from emqtwist.config.rows import Named, contents
from emqtwist.config.table import Table, values_of
from emqtwist.config.tree import Config

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

D = TypeVar("D", bound="DataclassInstance")


def live_changes(old: Config, new: Config) -> tuple[list[str], list[str]]:
    """The dotted keys that differ: those that can be applied now, and those that need a restart.

    A named section that is new or gone stands there whole, as `listener.tcp.external`.
    """
    table, before, after = Table(Config), values_of(old), values_of(new)
    live: dict[str, None] = {}
    restart: dict[str, None] = {}
    for key in [*before, *(key for key in after if key not in before)]:
        row, (section, _) = table.row(key), table.split(key)
        if (key in before) != (key in after) and table.is_named(section):
            (live if section.rpartition(".")[0] in table.live else restart)[section] = None
        elif key not in before or key not in after or before[key] != after[key]:
            (live if row is not None and row.live else restart)[key] = None
    for path in table.live:
        if _order(path, before, after) != _order(path, after, before):
            live[path] = None
    return list(live), list(restart)


def _order(path: str, values: dict[str, object], others: dict[str, object]) -> list[str]:
    """The keys below `path` that are in both, in the order of `values`."""
    return [key for key in values if key.startswith(f"{path}.") and key in others]


def apply_live(old: D, new: D) -> D:
    """`old` with the new values of the rows that are live."""
    changes: dict[str, object] = {}
    for name, said in contents(old):
        before, after = getattr(old, name), getattr(new, name)
        if isinstance(said, Named) and said.live:
            changes[name] = after
        elif isinstance(said, Named):
            by_name = {each.name: each for each in after}
            changes[name] = tuple(apply_live(each, by_name.get(each.name, each)) for each in before)
        elif isinstance(said, type):
            changes[name] = apply_live(before, after)
        elif said.live:
            changes[name] = after
    return replace(old, **changes)
