"""listeners: where clients connect."""
from collections.abc import Iterator

from emqtwist.config import Address
from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Registry, Words, pair


def listed(context: Context, words: Words) -> Iterator[Line]:
    for name, listener in context.service.listeners.items():
        address = str(Address(listener.section.bind.host, listener.port))
        ends = listener.factory.ends
        columns: dict[str, object] = {"name": name, "protocol": "mqtt:tcp", "address": address,
                                      "current_clients": len(listener.factory.protocols), "shutdown_count": dict(ends)}
        yield f"listener on mqtt:tcp:{address}", columns
        counts = ",".join(f"{{{cause},{count}}}" for cause, count in sorted(ends.items()))
        for key, value in (("acceptors", 1), ("max_clients", "infinity"),
                           ("current_clients", len(listener.factory.protocols)), ("shutdown_count", f"[{counts}]")):
            yield pair(key, value, 16, "  ")[0], {}


def add(registry: Registry) -> None:
    prints = "`listener on mqtt:tcp:<ip:port>`, and below it `acceptors`, `max_clients`, `current_clients`, `shutdown_count`"
    registry.add("listeners", "", "List the listeners", listed, prints)
    registry.add("listeners list", "", "The same", listed, prints)
