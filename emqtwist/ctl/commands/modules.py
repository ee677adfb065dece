"""modules: what the broker does beside its work."""
from collections.abc import Iterator

from emqtwist.ctl.commands.clients import word
from emqtwist.ctl.commands.config import change
from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Refused, Registry, Words, plain
from emqtwist.services.modules import Module


def listed(context: Context, words: Words) -> Iterator[Line]:
    for name, module in context.service.modules.known.items():
        columns: dict[str, object] = {"name": name, "description": module.description, "active": module.active}
        yield f"Module({name}, description={module.description}, active={word(module.active)})", columns


def _module(context: Context, verb: str, name: str) -> Module:
    module = context.service.modules.known.get(name)
    if module is None:
        raise Refused(f"{verb} module error: not_found")
    return module


def load(context: Context, words: Words) -> list[Line]:
    if _module(context, "load", words[0]).active:
        raise Refused("load module error: already_started")
    change(context, f"module.{words[0]}.enable", "on")
    return [plain(f"Module {words[0]} loaded successfully.")]


def unload(context: Context, words: Words) -> list[Line]:
    if not _module(context, "unload", words[0]).active:
        raise Refused("unload module error: not_started")
    change(context, f"module.{words[0]}.enable", "off")
    return [plain(f"Module {words[0]} unloaded successfully.")]


def add(registry: Registry) -> None:
    registry.add("modules list", "", "List the modules", listed, "`Module(<name>, description=<text>, active=<bool>)`")
    registry.add("modules load", "<Module>", "Load a module, until a reload or the end", load,
                 "`Module <name> loaded successfully.`, or `load module error: <why>`")
    registry.add("modules unload", "<Module>", "Unload a module, until a reload or the end", unload,
                 "`Module <name> unloaded successfully.`, or `unload module error: <why>`")
