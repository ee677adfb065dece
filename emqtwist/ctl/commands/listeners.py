"""listeners: where clients connect."""
from collections.abc import Iterator, Mapping

from emqtwist.config import Address
from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Registry, Words, pair


def listed(context: Context, words: Words) -> Iterator[Line]:
    for name, listener in context.service.listeners.items():
        address = str(Address(listener.section.bind.host, listener.port))
        ends = listener.factory.ends
        columns: dict[str, object] = {"name": name, "protocol": "mqtt:tcp", "address": address,
                                      "max_clients": listener.section.max_connections,
                                      "current_clients": len(listener.factory.protocols), "shutdown_count": dict(ends),
                                      "refused_count": dict(listener.admission.refused)}
        yield f"listener on mqtt:tcp:{address}", columns
        for key, value in (("acceptors", 1), ("max_clients", listener.section.max_connections or "infinity"),
                           ("current_clients", len(listener.factory.protocols)), ("shutdown_count", counted(ends)),
                           ("refused_count", counted(listener.admission.refused))):
            yield pair(key, value, 16, "  ")[0], {}


def counted(by_cause: Mapping[str, int]) -> str:
    """As emqttd prints counts."""
    return "[" + ",".join(f"{{{cause},{count}}}" for cause, count in sorted(by_cause.items())) + "]"


def add(registry: Registry) -> None:
    prints = "`listener on mqtt:tcp:<ip:port>`, and below it `acceptors`, `max_clients`, `current_clients`, `shutdown_count`, " \
             "`refused_count`"
    registry.add("listeners", "", "List the listeners", listed, prints)
    registry.add("listeners list", "", "The same", listed, prints)
