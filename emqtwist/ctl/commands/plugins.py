"""plugins: those that installed packages offer, and those that are loaded."""
from collections.abc import Iterator

from twisted.logger import Logger

from emqtwist.ctl.commands.clients import word
from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Refused, Registry, Words, plain

log = Logger()


def listed(context: Context, words: Words) -> Iterator[Line]:
    loaded, installed = context.service.plugins.loaded, context.service.plugins.installed()
    for name in sorted({*loaded, *installed}):
        version, description = installed.get(name, ("", ""))
        active = name in loaded
        columns: dict[str, object] = {"name": name, "version": version, "description": description, "active": active}
        yield f"Plugin({name}, version={version}, description={description}, active={word(active)})", columns


def load(context: Context, words: Words) -> list[Line]:
    name, plugins = words[0], context.service.plugins
    if name in plugins.loaded:
        raise Refused("load plugin error: already_started")
    if name not in plugins.installed():
        raise Refused("load plugin error: not_found")
    try:
        plugins.load_installed([name])
    except Exception as error:
        log.failure("the plug-in {plugin} cannot be loaded", plugin=name)
        raise Refused(f"load plugin error: {{{name},{error}}}") from None
    return [plain(f"Start apps: [{name}]"), plain(f"Plugin {name} loaded successfully.")]


def unload(context: Context, words: Words) -> list[Line]:
    name, plugins = words[0], context.service.plugins
    if name not in plugins.loaded:
        raise Refused(f"unload plugin error: {'not_started' if name in plugins.installed() else 'not_found'}")
    try:
        plugins.unload(name)
    except Exception as error:  # it counts as unloaded
        log.failure("the plug-in {plugin} failed to unload", plugin=name)
        raise Refused(f"unload plugin error: {{{name},{error}}}") from None
    return [plain(f"Plugin {name} unloaded successfully.")]


def add(registry: Registry) -> None:
    registry.add("plugins list", "", "List the plug-ins", listed,
                 "`Plugin(<name>, version=<version>, description=<text>, active=<bool>)`")
    registry.add("plugins load", "<Plugin>", "Load a plug-in, until the broker stops", load,
                 "`Start apps: [<name>]` and `Plugin <name> loaded successfully.`, or `load plugin error: <why>`")
    registry.add("plugins unload", "<Plugin>", "Unload a plug-in", unload,
                 "`Plugin <name> unloaded successfully.`, or `unload plugin error: <why>`")
