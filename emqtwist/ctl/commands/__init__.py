"""All commands, in the order of `help`."""
from collections.abc import Iterable, Sequence

from emqtwist.ctl.commands import clients, node, routes, sessions, supervisor
from emqtwist.ctl.registry import Context, Line, Registry, plain


def all_commands() -> Registry:
    registry = Registry()

    def usage(context: Context, words: Sequence[str]) -> Iterable[Line]:
        return map(plain, registry.usage().splitlines())

    registry.add("help", "", "Show what there is", usage)
    for group in (node, clients, sessions, routes, supervisor):
        group.add(registry)
    return registry
