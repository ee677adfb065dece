"""Plug-ins: loaded from Python and from installed packages, unloaded live and at the end."""
import sys
from pathlib import Path

import pytest
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from emqtwist import BrokerService
from emqtwist.app import Options
from emqtwist.app.plugins import GROUP
from emqtwist.config import Config, ConfigError, parse

MODULE = """
events = []

class One:
    name = "one"
    def load(self, broker):
        broker.hooks
        events.append(("load", self.name))
    def unload(self):
        events.append(("unload", self.name))

class Two(One):
    name = "two"

def broken():
    raise ZeroDivisionError("why")
"""
NAMES = {"one": "One", "two": "Two", "broken": "broken"}


class Plain:
    """Notes what happens to it."""

    def __init__(self, fails: bool = False) -> None:
        self.events: list[str] = []
        self.fails = fails

    def load(self, broker: BrokerService) -> None:
        if self.fails:
            raise ZeroDivisionError("load")
        self.events.append("load")

    def unload(self) -> None:
        self.events.append("unload")
        if self.fails:
            raise ZeroDivisionError("unload")


def service(config: Config | None = None) -> BrokerService:
    return BrokerService(config, MemoryReactorClock())


@pytest.fixture
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """An installed package with plug-ins; what happens to them."""
    (tmp_path / "some_plugins.py").write_text(MODULE)
    info = tmp_path / "some_plugins-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-plugins\nVersion: 1.0\n")
    points = [f"{name} = some_plugins:{thing}" for name, thing in NAMES.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *points]))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "some_plugins", raising=False)
    import some_plugins  # type: ignore[import-not-found]
    found: list[tuple[str, str]] = some_plugins.events
    return found



def test_node_plugins(events: list[tuple[str, str]]) -> None:
    broker = service(parse("node.plugins = two, one"))
    assert list(broker.plugins.loaded) == ["two", "one"]
    assert events == [("load", "two"), ("load", "one")]
    broker.startService()
    broker.stopService()
    assert events[2:] == [("unload", "one"), ("unload", "two")]


def test_a_plugin_that_is_not_there_is_a_mistake_of_the_configuration(events: list[tuple[str, str]]) -> None:
    with pytest.raises(ConfigError, match=r"\[node\] plugins: there is no plug-in three; allowed: broken, one, two"):
        service(parse("node.plugins = one three"))
    assert events == []


def test_a_plugin_that_cannot_be_made_is_a_mistake_too(events: list[tuple[str, str]]) -> None:
    with pytest.raises(ConfigError, match=r"the plug-in broken cannot be made: ZeroDivisionError\('why'\)"):
        service(parse("node.plugins = broken"))


def test_a_plugin_is_loaded_and_unloaded_live() -> None:
    plugins, plugin = service().plugins, Plain()
    plugins.load("plain", plugin)
    with pytest.raises(ValueError, match="a plug-in plain is loaded already"):
        plugins.load("plain", Plain())
    plugins.unload("plain")
    assert (plugin.events, plugins.loaded) == (["load", "unload"], {})
    with pytest.raises(KeyError):
        plugins.unload("plain")


def test_a_plugin_that_fails_to_load_is_not_loaded() -> None:
    plugins = service().plugins
    with pytest.raises(ZeroDivisionError):
        plugins.load("plain", Plain(fails=True))
    assert plugins.loaded == {}


def test_a_plugin_that_fails_to_unload_keeps_no_other_from_its_end(logged_failures: list[Failure]) -> None:
    plugins, first, second = service().plugins, Plain(), Plain()
    plugins.load("first", first)
    plugins.load("second", second)
    second.fails = True
    plugins.unload_all()
    assert first.events == second.events == ["load", "unload"]
    assert [failure.type for failure in logged_failures] == [ZeroDivisionError]
    logged_failures.clear()


def test_the_command_names_a_plugin_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "broker.ini"
    path.write_text("[node]\nplugins = nowhere\n")
    with pytest.raises(SystemExit, match="there is no plug-in nowhere"):
        Options().parseOptions(["--config", str(path), "--check"])
