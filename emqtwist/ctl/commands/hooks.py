"""hooks: functions of others that the broker calls."""
from collections.abc import Iterator

from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Registry, Words


def listed(context: Context, words: Words) -> Iterator[Line]:
    for name, hooks in context.broker.hooks.at.items():
        for hook in hooks:
            columns: dict[str, object] = {"hook": name, "function": hook.label, "priority": hook.priority,
                                          "failures": hook.failures}
            yield f"{name} -> {hook.label}, priority={hook.priority}, failures={hook.failures}", columns


def add(registry: Registry) -> None:
    registry.add("hooks list", "", "List the functions at hooks, in the order of their calls", listed,
                 "`<hook> -> <function>, priority=<n>, failures=<n>`: the function with its module, and with `(2)` if another of "
                 "that name is there; the failures are those in a row")
