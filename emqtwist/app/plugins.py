"""Plug-ins: what others add to a broker, loaded and unloaded while it runs."""
from collections.abc import Iterable
from importlib.metadata import entry_points
from typing import Generic, Protocol, TypeVar

from twisted.logger import Logger

from emqtwist.config import Config, ConfigError, Problem

GROUP = "emqtwist.plugins"  # of entry points
S = TypeVar("S", contravariant=True)
B = TypeVar("B")


class Plugin(Protocol[S]):
    """What is loaded into a BrokerService."""

    def load(self, broker: S) -> None:
        """Add hooks, subscriptions, services."""

    def unload(self) -> None:
        """Take away what `load` has added."""


def names_of(config: Config) -> list[str]:
    """The plug-ins that the configuration names."""
    return config.node.plugins.replace(",", " ").split()


def find(name: str) -> "Plugin[object]":
    """A plug-in that an installed package offers: its entry point is called. ConfigError when there is none, or it fails."""
    found = entry_points(group=GROUP, name=name)
    if not found:
        known = ", ".join(sorted(each.name for each in entry_points(group=GROUP))) or "none"
        raise ConfigError([Problem(f"there is no plug-in {name}", section="node", key="plugins", allowed=known)])
    try:
        plugin: Plugin[object] = next(iter(found)).load()()
    except Exception as error:
        raise ConfigError([Problem(f"the plug-in {name} cannot be made: {error!r}", section="node", key="plugins")]) from error
    return plugin


class Plugins(Generic[B]):
    """`loaded` maps names to plug-ins, in the order they were loaded."""

    log = Logger()

    def __init__(self, broker: B) -> None:
        self.loaded: dict[str, Plugin[B]] = {}
        self._broker = broker

    def load(self, name: str, plugin: Plugin[B]) -> None:
        """ValueError when one of this name is loaded. What the plug-in raises comes out, and it is not loaded then."""
        if name in self.loaded:
            raise ValueError(f"a plug-in {name} is loaded already")
        plugin.load(self._broker)
        self.loaded[name] = plugin
        self.log.info("plug-in {plugin} loaded", plugin=name)

    def unload(self, name: str) -> None:
        """KeyError when none of this name is loaded. What the plug-in raises comes out, and it counts as unloaded."""
        plugin = self.loaded.pop(name)
        plugin.unload()
        self.log.info("plug-in {plugin} unloaded", plugin=name)

    def installed(self) -> dict[str, tuple[str, str]]:
        """Version and description of what installed packages offer, by name."""
        found: dict[str, tuple[str, str]] = {}
        for entry in entry_points(group=GROUP):
            package = entry.dist
            found[entry.name] = ("", "") if package is None else (package.version, package.metadata["Summary"] or "")
        return found

    def load_installed(self, names: Iterable[str]) -> None:
        """Those of installed packages; ConfigError when one is not there or cannot be made."""
        plugins = {name: find(name) for name in names}
        for name, plugin in plugins.items():
            self.load(name, plugin)

    def unload_all(self) -> None:
        """The last one first; what one raises is logged, and keeps no other from its end."""
        for name in reversed(list(self.loaded)):
            try:
                self.unload(name)
            except Exception:
                self.log.failure("plug-in {plugin} failed to unload", plugin=name)
