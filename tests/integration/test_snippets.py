"""Every snippet of README, the guide, the operations guide and the page on embedding is executed: here, or by a named test."""
import ast
import configparser
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, cast

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.scripts._twistd_unix import ServerOptions

from emqtwist import BrokerService
from emqtwist.app import Options
from emqtwist.app.command import makeService
from emqtwist.app.control import Control
from emqtwist.config import parse
from emqtwist.core.access import Deny, Ignore, Ok
from emqtwist.ctl.command import Options as CtlOptions
from emqtwist.ctl.registry import Command, Registry
from tests.integration.program import environment
from tests.integration.supervision.traffic import Talker, join
from tests.test_docs import CHECKOUT, DOCS, SNIPPETS, Snippet

PAGES: Final = {CHECKOUT / "README.md", DOCS / "guide.md", DOCS / "operations.md", DOCS / "embedding.md"}
HERE: Final = [each for each in SNIPPETS if each.page in PAGES]
SHELL: Final = [each for each in HERE if each.language == "sh"]
PYTHON: Final = [each for each in HERE if each.language == "python" and not each.run]
BY_OTHERS: Final = {  # language -> the test that executes such a snippet
    "ini": "test_a_configuration_is_good", "html": "test_a_page_connects_where_a_listener_of_the_same_document_is",
    "conf": "test_the_kernel_has_these_settings", "log": "test_the_operations_guide_shows_what_is_shown",
    "text": "test_a_line_that_is_shown_is_one_that_the_broker_prints", "mermaid": "",  # a picture
    "python": "test_python_that_is_marked_runs"}
INSTALLS: Final = {  # what needs packages from elsewhere, or all that systemd has
    "make run": "test_make_has_the_targets_that_are_named",
    "pip install": "test_an_installed_wheel_shows_the_plug_in_from_any_folder",
    "pip wheel": "test_the_wheel_holds_the_package_and_its_plug_in_alone",
    "python3 -m venv": "test_an_installed_wheel_shows_the_plug_in_from_any_folder",
    "systemctl": "test_the_unit_is_one_that_systemd_takes", "journalctl": "test_the_unit_is_one_that_systemd_takes",
    "cd ": "test_a_daemon_serves_and_logs_to_its_file", "kill ": "test_a_daemon_serves_and_logs_to_its_file",
    "umask ": "test_what_makes_passwords_is_a_command"}
CTL: Final = re.compile(r"(?:\.venv/bin/)?emqtwist_ctl ")
TWISTD: Final = re.compile(r"(?:\S*/)?twistd ")
MOSQUITTO: Final = re.compile(r"mosquitto_(?:sub|pub) ")
MAKES: Final = re.compile(r"python -m emqtwist\.access\.(?:passwd|scram) ")


def lines_of(snippet: Snippet) -> list[str]:
    return [line for line in snippet.text.splitlines() if line.strip() and not line.startswith("#")]


def executed(line: str) -> str:
    """By which test a line of a shell is executed; empty if by none."""
    for pattern, test in ((CTL, "test_commands_are_taken_by_a_broker"), (TWISTD, "test_twistd_takes_what_it_is_told"),
                          (MOSQUITTO, "test_the_clients_of_mosquitto_say_and_hear"),
                          (MAKES, "test_what_makes_passwords_is_a_command")):
        if pattern.match(line):
            return test
    return next((test for words, test in INSTALLS.items() if words in line), "")


def names_of_tests() -> set[str]:
    """The names of all tests."""
    return {node.name for path in (CHECKOUT / "tests").rglob("test_*.py") for node in ast.walk(ast.parse(path.read_bytes()))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_each_snippet_is_executed() -> None:
    known = names_of_tests()
    assert {BY_OTHERS[each.language] for each in HERE if each.language != "sh"} - {""} <= known
    by = {(str(snippet), line): executed(line) for snippet in SHELL for line in lines_of(snippet)}
    assert [where for where, test in by.items() if test not in known] == []
    assert sorted(map(str, PYTHON)) == sorted(str(snippet) for snippet, _ in python_snippets())


def test_what_is_executed_by_nobody_is_noticed() -> None:
    assert executed("reboot") == ""
    assert executed("emqtwist_ctl status") == "test_commands_are_taken_by_a_broker"


@asynccontextmanager
async def broker_at(folder: Path, lines: str = "") -> AsyncIterator[BrokerService]:
    always = f"listener.tcp.default.bind = 127.0.0.1:0\nnode.data_dir = {folder / 'data'}\n"
    service = BrokerService(parse(always + lines), reactor)
    service.startService()
    try:
        await service.when_ready()
        yield service
    finally:
        await service.stopService()


async def client(service: BrokerService) -> Talker:
    talker = Talker()
    await join(talker, service.port())
    await talker.enter("sensor-1")
    return talker


def with_password(registry: Registry, words: list[str]) -> list[str]:
    command, _ = registry.find(words)
    assert isinstance(command, Command)
    return [*words, "password"] if command.asks_password else words


async def test_commands_are_taken_by_a_broker(tmp_path: Path) -> None:
    """In the order in which they stand, each to its end; a live trace to where it waits."""
    (tmp_path / "backup").mkdir()
    async with broker_at(tmp_path, "store.type = sqlite\n") as service:
        control = Control(service, service.root, service.reconfigure, lambda: True, reactor)
        for snippet in SHELL:
            commands = [line for line in lines_of(snippet) if CTL.match(line)]
            talker = await client(service) if commands else None
            for line in commands:
                said = shlex.split(line.replace("/backup", f"{tmp_path}/backup"), comments=True)[1:]
                options = CtlOptions()
                options["table"] = options["json"] = 0
                options.parseArgs(*[word for word in said if word not in ("--json", "--table")])
                words = with_password(service.commands, list(options.words))
                context = control.factory.context
                context.begin()
                for step in await service.commands.open(context, words):
                    if isinstance(step, Deferred):
                        break
            if talker is not None:
                talker.abort()
        restored = next(each for each in PYTHON if "restore" in each.text)
        text = restored.text.replace("/backup", f"{tmp_path}/backup").replace("emqtwist-data", f"{tmp_path}/restored")
        (tmp_path / "restored").mkdir()
        exec(compile(text, str(restored), "exec"), {})
        assert [path.name for path in (tmp_path / "restored").iterdir()] != []


def status_of(options: ServerOptions, words: list[str]) -> object:
    """The status with which a check ends."""
    try:
        options.parseOptions(words)
        makeService(cast(Options, options.subOptions))
    except SystemExit as end:
        return end.code or 0
    return None


def test_twistd_takes_what_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(CHECKOUT / "examples/broker.ini", tmp_path / "broker.ini")
    for line in [line for snippet in SHELL for line in lines_of(snippet) if TWISTD.match(line)]:
        said = shlex.split(line.replace("/etc/emqtwist/", f"{tmp_path}/"), comments=True)[1:]
        options = ServerOptions()
        if "--check" in said:
            assert status_of(options, said) == 0
        else:
            options.parseOptions(said)
            assert isinstance(options.subOptions, Options)


async def test_the_clients_of_mosquitto_say_and_hear(tmp_path: Path) -> None:
    if shutil.which("mosquitto_sub") is None:
        pytest.skip("mosquitto_sub is not installed")
    texts = {"\n".join(lines_of(each)) for each in SHELL if MOSQUITTO.match(each.text)}
    assert len(texts) == 1
    async with broker_at(tmp_path) as service:
        script = re.sub(r"mosquitto_(sub|pub)", rf"mosquitto_\1 -p {service.port()}", texts.pop())
        script = script.replace("-v &", "-v -C 1 -W 20 &").replace("\nmosq", "\nsleep 0.5\nmosq") + "\nwait\n"
        done = await deferToThread(subprocess.run, ["bash", "-c", script], capture_output=True, timeout=60)
    assert done.stdout == b"hello/world hi\n"


def test_what_makes_passwords_is_a_command(tmp_path: Path) -> None:
    scripts = [each.text.replace("/etc/emqtwist", str(tmp_path)).replace("python ", f"{sys.executable} ") for each in SHELL
               if any(MAKES.match(line) for line in lines_of(each))]
    assert len(scripts) == 2
    for script in scripts:
        subprocess.run(["bash", "-ec", script], input=b"password\n", check=True, env=environment(), timeout=60)
    for name in ("passwords", "users"):
        assert (tmp_path / name).read_text().startswith("alice")
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


# systemd.

UNIT: Final = next(each.text for each in HERE if each.text.startswith("[Unit]"))
MEANT: Final = {  # what the text around it, and this list, say that the unit does
    "Restart": "on-failure", "StateDirectory": "emqtwist", "LimitNOFILE": "", "TimeoutStopSec": "", "NoNewPrivileges": "yes",
    "ProtectSystem": "strict", "PrivateTmp": "yes", "User": "emqtwist"}


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    unit = configparser.ConfigParser(strict=True, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(UNIT)
    assert list(unit) == ["DEFAULT", "Unit", "Service", "Install"]
    service = unit["Service"]
    assert {key: service[key] for key, value in MEANT.items() if value} == {key: value for key, value in MEANT.items() if value}
    assert set(MEANT) <= set(service)
    if shutil.which("systemd-analyze") is not None:
        bin_folder = tmp_path / "bin"
        bin_folder.mkdir()
        (bin_folder / "twistd").symlink_to("/bin/true")
        (tmp_path / "emqtwist.service").write_text(UNIT.replace("/opt/emqtwist/bin", str(bin_folder)).replace(
            "User=emqtwist", "User=root"))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(tmp_path / "emqtwist.service")], capture_output=True,
                              timeout=60, text=True)
        complaints = [line for line in done.stderr.splitlines() if str(tmp_path) in line or "emqtwist.service:" in line]
        assert complaints == []


def test_the_kernel_has_these_settings() -> None:
    [snippet] = [each for each in HERE if each.language == "conf"]
    for line in lines_of(snippet):
        key, _, value = line.partition(" = ")
        here = Path("/proc/sys", key.replace(".", "/"))
        assert here.exists()
        assert len(value.split()) == len(here.read_text().split())
        assert all(word.isdigit() for word in value.split())


# Python that is not whole by itself, or would not end.

WORDS: Final = ("reactor.run()", "import paho", "Tokens", "OwnBranch", "meters/mqtt", "pool.submit", "blockingCall", "restore(")


def python_snippets() -> list[tuple[Snippet, str]]:
    """Each with the word that it is known by here."""
    return [(each, word) for each in PYTHON for word in WORDS if word in each.text]


def python(word: str) -> Snippet:
    return next(snippet for snippet, known in python_snippets() if known == word)


def run_in(names: dict[str, Any], snippet: Snippet, **changes: str) -> dict[str, Any]:
    text = snippet.text
    for old, new in changes.items():
        text = text.replace({"port": "1883", "start": "BrokerService()", "path": "/var/lib/meters/mqtt",
                             "run": "reactor.run()"}[old], new)
    exec(compile(text, str(snippet), "exec"), names)
    return names


async def test_a_program_with_a_broker_hears_what_is_published(capsys: pytest.CaptureFixture[str]) -> None:
    names = run_in({"broker_config": parse("listener.tcp.default.bind = 127.0.0.1:0")}, python("reactor.run()"),
                   start="BrokerService(broker_config)", run="")
    names["broker"].publish("sensors/a", b"1")
    assert capsys.readouterr().out == "sensors/a b'1'\n"
    await names["broker"].stopService()


async def test_paho_says_and_hears(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with broker_at(tmp_path) as service:
        await deferToThread(run_in, {}, python("import paho"), port=str(service.port()))
    assert capsys.readouterr().out == "hello/world hi\n"


async def test_tokens_are_asked_about() -> None:
    names = run_in({}, python("Tokens"))
    tokens = names["Tokens"]({b"0123456789"})

    class Client:
        user_name = "token"

    assert isinstance(await tokens.authenticate(Client, b"0123456789"), Ok)
    assert isinstance(await tokens.authenticate(Client, b"other"), Deny)
    Client.user_name = "alice"
    assert isinstance(await tokens.authenticate(Client, b"other"), Ignore)


async def test_a_branch_is_for_its_owner() -> None:
    branches = run_in({}, python("OwnBranch"))["OwnBranch"]()

    class Client:
        user_name = "alice"

    for topic, answer in (("branches/alice/t", "allow"), ("branches/bob/t", "deny"), ("elsewhere", "ignore")):
        assert (await branches.authorize(Client, "publish", topic)).answer == answer


async def test_an_embedded_broker_may_have_a_store(tmp_path: Path) -> None:
    names = run_in({}, python("meters/mqtt"), path=f"{tmp_path}\\nlistener.tcp.default.bind = 127.0.0.1:0")
    await names["broker"].when_ready()
    assert (tmp_path / "broker.lock").exists()
    await names["broker"].stopService()


async def test_work_is_done_elsewhere(tmp_path: Path) -> None:
    used: Deferred[object] = Deferred()
    async with broker_at(tmp_path) as service:
        run_in({"broker": service, "lookup_somewhere": lambda client_id: f"found {client_id}", "use": used.callback,
                "log_failure": used.errback}, python("pool.submit"))
        assert await used == "found meter-7"


async def test_another_thread_publishes(tmp_path: Path) -> None:
    async with broker_at(tmp_path) as service:
        heard: list[bytes] = []
        service.subscribe("sensors/#", lambda message: heard.append(message.payload))
        names = await deferToThread(run_in, {"broker": service, "reactor": reactor}, python("blockingCall"))
        assert names["subscribers"] == 1
        assert heard == [b"21.5", b"21.5"]
