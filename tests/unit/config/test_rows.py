"""The table keeps its promises: each row names a test that shows its effect, and the reference is generated from it."""
import ast
import re
import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from emqtwist.config import Config, load, validate
from emqtwist.config.reference import text
from emqtwist.config.rows import METADATA, Free, Row
from emqtwist.config.sections.log import parts
from emqtwist.config.table import Table

TABLE = Table(Config)
ROWS = {f"{section}.{key}": row for section, rows in [*TABLE.sections.items(), *TABLE.named.items()]
        for key, row in rows.items() if not isinstance(row, Free)}
ROWS["log.level.part"] = TABLE.sections["log.level"]["config"]
ROWS["module.rewrite.rule.number"] = TABLE.sections["module.rewrite.rule"]["1"]


def functions_of(path: Path) -> set[str]:
    """The functions of a module, read from its source; none when there is no such file."""
    if not path.exists():
        return set()
    return {node.name for node in ast.walk(ast.parse(path.read_bytes()))
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


def names_of(dotted: str) -> set[str]:
    """What the test of a row may be called: listeners of several types have rows in common, for which one test may do."""
    name = f"test_{dotted.replace('.', '_')}"
    return {name, re.sub(r"^test_listener_[a-z]+_", "test_listener_", name)}


@pytest.mark.parametrize("path", sorted({row.test for row in ROWS.values()}))
def test_each_row_names_the_test_that_shows_its_effect(path: str, checkout: Path) -> None:
    functions = functions_of(checkout / path)
    assert [dotted for dotted, row in ROWS.items() if row.test == path and functions.isdisjoint(names_of(dotted))] == []


@pytest.mark.parametrize("dotted", ROWS)
def test_a_row_says_what_it_means_and_what_is_allowed(dotted: str) -> None:
    row = ROWS[dotted]
    assert row.meaning.endswith(".")
    assert row.unit.form
    assert row.unit.name
    assert all(row.holds(value) for value in row.words.values())


def test_every_field_of_a_section_is_a_row() -> None:
    def bare(section: object) -> list[str]:
        assert is_dataclass(section)
        inner = [each.default for each in fields(section) if is_dataclass(each.default)]
        plain = [each for each in fields(section) if not is_dataclass(each.default)]
        return [name for each in inner for name in bare(each)] + [
            each.name for each in plain if METADATA not in each.metadata]

    assert bare(Config()) == []


def test_the_defaults_keep_every_rule() -> None:
    validate(Config())


def test_a_dotted_key_is_a_path_of_attributes() -> None:
    for section, rows in TABLE.sections.items():
        if not isinstance(next(iter(rows.values())), Free):
            found: object = Config()
            for name in section.split("."):
                found = getattr(found, name)
            for key, row in rows.items():
                assert row.default is not None
                assert getattr(found, key) == row.read(row.default)


def test_parts_are_the_modules_there_are(checkout: Path) -> None:
    files = {path.relative_to(checkout / "emqtwist").with_suffix("") for path in (checkout / "emqtwist").rglob("*.py")}
    modules = {".".join(path.parts[:-1] if path.name == "__init__" else path.parts) for path in files}
    assert set(parts()) == modules - {""}


def test_a_row_without_a_live_mark_waits_for_a_restart() -> None:
    assert sorted(dotted for dotted, row in ROWS.items() if not row.live) == [
        "bridge.address", "bridge.ca", "bridge.certificate", "bridge.cookie", "bridge.max_queue_bytes", "bridge.max_queue_len",
        "bridge.node", "bridge.on_full", "bridge.ping_down_interval", "bridge.prefix", "bridge.private_key", "bridge.qos",
        "bridge.suffix", "bridge.topic", "cluster.address", "cluster.autoclean", "cluster.bind", "cluster.ca",
        "cluster.certificate", "cluster.cookie", "cluster.discovery", "cluster.heartbeat", "cluster.name", "cluster.orphan",
        "cluster.outbox_bytes", "cluster.outbox_length", "cluster.outbox_stored", "cluster.private_key", "cluster.seeds",
        "cluster.timeout", "cluster.window", "ctl.bind", "ctl.certificate", "ctl.private_key", "ctl.secret", "ctl.socket",
        "listener.ssl.backlog", "listener.ssl.bind", "listener.tcp.backlog", "listener.tcp.bind", "listener.unix.backlog",
        "listener.unix.bind", "listener.ws.backlog", "listener.ws.bind", "listener.wss.backlog", "listener.wss.bind",
        "log.file", "log.file_count", "log.file_size", "log.format", "log.syslog", "log.syslog_facility", "log.syslog_prefix",
        "mqtt.allow_anonymous", "mqtt.pubsub.route_cache", "node.data_dir", "node.io", "node.name", "node.plugins",
        "store.durability", "store.max_size", "store.sync_interval", "store.type"]


def test_the_reference_is_generated_from_the_rows(checkout: Path) -> None:
    assert (checkout / "docs/configuration.md").read_text() == text()


def test_the_reference_has_a_line_for_each_row() -> None:
    for row in ROWS.values():
        assert row.meaning in text()


def test_the_reference_is_printed_by_one_command(checkout: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "emqtwist.config.reference"]
    assert subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True).stdout == text()


def test_the_example_loads_and_holds_every_key_with_its_default(checkout: Path) -> None:
    path = checkout / "examples/broker.ini"
    assert load(path) == Config()
    for dotted, row in ROWS.items():
        if not isinstance(row, Free):
            assert f"\n{dotted.rpartition('.')[2]} =" in path.read_text().replace("\n# ", "\n"), dotted
            assert isinstance(row, Row)


@pytest.mark.parametrize("dotted", [
    dotted for dotted, row in ROWS.items() if row.default is not None and not isinstance(row, Free)])
def test_a_value_is_written_so_that_it_is_read_again(dotted: str) -> None:
    row = ROWS[dotted]
    for value in (row.read(row.default or ""), *row.words.values()):
        assert row.secret or row.read(row.write(value)) == value


@pytest.mark.parametrize(("dotted", "text", "written"), [
    ("mqtt.mqueue.priority", "a=1,b=2", "a=1,b=2"), ("mqtt.mqueue.high_watermark", "12.5%", "12.5%"),
    ("mqtt.session.expiry_interval", "1h30m", "5400"), ("mqtt.session.expiry_interval", "never", "never"),
    ("mqtt.keepalive_backoff", "0.75", "0.75"), ("ctl.bind", "[::1]:1882", "[::1]:1882"), ("ctl.bind", "off", "off"),
    ("mqtt.retain_available", "no", "off"), ("ctl.secret", "sixteen characters", "***"), ("ctl.secret", "", ""),
    ("cluster.seeds", "a:1,[::1]:2", "a:1, [::1]:2"), ("cluster.bind", "4370", "0.0.0.0:4370")])
def test_values_are_written_as_an_operator_would(dotted: str, text: str, written: str) -> None:
    assert ROWS[dotted].write(ROWS[dotted].read(text)) == written
