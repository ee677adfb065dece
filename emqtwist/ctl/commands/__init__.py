"""All commands, in the order of `help`."""
from collections.abc import Iterable

from emqtwist.ctl.commands import (
    acl,
    alarms,
    banned,
    bridges,
    clients,
    cluster,
    cluster_sums,
    cluster_view,
    config,
    delayed,
    explain,
    explain_auth,
    hooks,
    listeners,
    modules,
    node,
    plugins,
    retainer,
    routes,
    sessions,
    store,
    subscriptions,
    supervisor,
    topicmetrics,
    trace,
    users,
    vm,
)
from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Registry, Words, plain

GROUPS = (node, cluster, cluster_view, cluster_sums, clients, users, banned, sessions, routes, topicmetrics, subscriptions,
          hooks, plugins, bridges, modules, retainer, delayed, acl, explain, explain_auth, trace, alarms, listeners, supervisor,
          vm, config, store)


def all_commands() -> Registry:
    """A table with every command; plug-ins add theirs to it."""
    registry = Registry()

    def usage(context: Context, words: Words) -> Iterable[Line]:
        return map(plain, registry.usage())

    registry.add("help", "", "Show what commands there are", usage, "the usage lines of all commands")
    for group in GROUPS:
        group.add(registry)
    return registry
