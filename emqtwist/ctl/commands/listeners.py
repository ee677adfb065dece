"""listeners: where clients connect."""
from collections.abc import Iterator, Mapping
from typing import Final

from twisted.internet.error import CannotListenError

from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Refused, Registry, Words, pair, plain
from emqtwist.net.listeners import Listener

BELOW: Final = ("acceptors", "max_clients", "current_clients", "shutdown_count", "refused_count", "name", "state")

def listed(context: Context, words: Words) -> Iterator[Line]:
    for name, listener in context.service.listeners.items():
        protocol, section = f"mqtt:{listener.section.kind}", listener.section
        ends, refused = dict(listener.factory.ends), dict(listener.admission.refused)
        columns: dict[str, object] = {
            "name": name, "protocol": protocol, "address": listener.address, "acceptors": int(listener.is_bound),
            "max_clients": section.max_connections, "current_clients": len(listener.factory.protocols), "shutdown_count": ends,
            "refused_count": refused, "state": "running" if listener.is_bound else "stopped"}
        yield f"listener on {protocol}:{listener.address}", columns
        shown = {**columns, "max_clients": section.max_connections or "infinity", "shutdown_count": counted(ends),
                 "refused_count": counted(refused)}
        for key in BELOW:
            yield pair(key, shown[key], 16, "  ")[0], {}


def counted(by_cause: Mapping[str, int]) -> str:
    """As emqttd prints counts."""
    return "[" + ",".join(f"{{{cause},{count}}}" for cause, count in sorted(by_cause.items())) + "]"


def _found(context: Context, words: Words) -> Listener:
    """By name, `tcp.default` or `default` alone for one of TCP; or as emqttd names it, by type and address."""
    listeners = context.service.listeners
    if len(words) == 2:
        kind = words[0].removeprefix("mqtt:")
        for listener in listeners.values():
            if listener.section.kind == kind and words[1] in (listener.address, str(listener.port or "")):
                return listener
        raise Refused("Not Found.")
    try:
        return listeners[words[0]]
    except KeyError:
        raise Refused("Not Found.") from None


def _done(verb: str, listener: Listener) -> list[Line]:
    return [plain(f"{verb} mqtt:{listener.section.kind} listener on {listener.address} successfully.")]


async def _begin(context: Context, listener: Listener, verb: str) -> list[Line]:
    try:
        await context.root.restart(f"listeners/{listener.name}")
    except CannotListenError as error:
        raise Refused(f"Failed to {verb.lower()} mqtt:{listener.section.kind} listener on {listener.address}: "
                      f"{error.socketError.strerror}") from None
    return _done(verb, listener)


async def start(context: Context, words: Words) -> list[Line]:
    listener = _found(context, words)
    if listener.is_bound:
        raise Refused(f"{listener.name} runs already")
    return await _begin(context, listener, "Start")


async def restart(context: Context, words: Words) -> list[Line]:
    return await _begin(context, _found(context, words), "Restart")


async def stop(context: Context, words: Words) -> list[Line]:
    """Who is connected stays."""
    listener = _found(context, words)
    await context.root.stop(f"listeners/{listener.name}")
    return _done("Stop", listener)


def reload_certificates(context: Context, words: Words) -> list[Line]:
    """Of one listener, of the cluster or a bridge, or of all with TLS. Who is connected stays."""
    certificates = context.service.certificates
    labels = list(certificates.credentials)
    if words:
        labels = [words[0] if words[0] in certificates.credentials else _found(context, words).name]
    if not set(labels) <= set(certificates.credentials):
        raise Refused(f"{labels[0]} has no certificates")
    problems = {label: certificates.reload(label) for label in labels}
    lines = [f"{label} keeps the certificates that it has: {problem}" if problem else f"{label} has loaded its certificates"
             for label, problem in problems.items()]
    if any(problems.values()):
        raise Refused("\n".join(lines))
    return [plain(line) for line in lines]


def add(registry: Registry) -> None:
    prints = "`listener on mqtt:<type>:<ip:port or path>`, and below it " + ", ".join(f"`{key}`" for key in BELOW)
    registry.add("listeners", "", "List the listeners", listed, prints)
    registry.add("listeners list", "", "The same", listed, prints)
    for verb, waiting, meaning in (("start", start, "Start a listener that was stopped"),
                                   ("restart", restart, "Close a listener and open it again, at the same port"),
                                   ("stop", stop, "Close a listener until it is started; who is connected stays")):
        prints = f"`{verb.capitalize()} mqtt:<type> listener on <address> successfully.`, or why not"
        registry.add_waiting(f"listeners {verb}", "<Name>", meaning, waiting, prints)
        registry.add_waiting(f"listeners {verb}", "<Type> <Port/IP:Port>", f"{meaning}, as emqttd names it", waiting, prints)
    prints = "`<Name> has loaded its certificates`, a line each, or what is wrong with a file"
    for usage, meaning in (("", "Read the files of all listeners and links with TLS again"),
                           ("<Name>", "Read those of one again, which may be `cluster` or `bridge.<name>`")):
        registry.add("listeners reload-certs", usage, meaning, reload_certificates, prints)
