"""The scripts of `tools/` that look at the machine, run on one that has only what a test gives it."""
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NEEDED = ["bash", "sh", "dirname", "rm", "chmod", "cat"]
PYTHON = f'exec {sys.executable} "$@"'
OLD_PYTHON = f"exec {sys.executable} -c 'import sys; sys.version_info = (3, 10, 13); exec(sys.argv[2])' \"$@\""
DEAD_SHIM = "echo 'command not found' >&2; exit 127"
APT_GET = 'echo "$DEBIAN_FRONTEND $*" >> "$LOG"; [ ! -e "$POLICY_RC_D" ] || cat "$POLICY_RC_D" >> "$LOG"'
COMMANDS = {
    "python3": PYTHON, "apt-get": APT_GET, "mosquitto": "", "mosquitto_pub": "", "node": "", "npm": "", "cc": "", "zsh": "",
    "chromium-headless-shell": "",
}
INSTALL = "install --yes --no-install-recommends mosquitto --quiet --quiet"
NO_SERVICES = ["#!/bin/sh", "exit 101"]


class Machine:
    """A machine whose commands are stand-ins; `logged` is what they did."""

    def __init__(self, root: Path, tools: Path) -> None:
        self.root = root
        self.tools = tools
        self.policy = root / "policy-rc.d"
        (root / "bin").mkdir()
        for name in NEEDED:
            (root / "bin" / name).symlink_to(str(shutil.which(name)))

    def has(self, commands: dict[str, str], folder: str = "bin") -> None:
        (self.root / folder).mkdir(parents=True, exist_ok=True)
        for name, script in commands.items():
            (self.root / folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (self.root / folder / name).chmod(0o755)

    def lacks(self, name: str) -> None:
        (self.root / "bin" / name).unlink()

    def run(self, tool: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        own = {"PATH": str(self.root / "bin"), "HOME": str(self.root), "LOG": str(self.root / "log"),
               "POLICY_RC_D": str(self.policy)}
        return subprocess.run([self.tools / tool, *arguments], env=own | environment, capture_output=True, text=True)

    def logged(self) -> list[str]:
        log = self.root / "log"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def machine(tmp_path: Path, checkout: Path) -> Machine:
    return Machine(tmp_path, checkout / "tools")


@pytest.fixture
def debian(machine: Machine) -> Machine:
    """A machine with all that the tests use but mosquitto, for root."""
    machine.has(COMMANDS | {"id": "echo 0"})
    machine.lacks("mosquitto")
    return machine


def test_the_newest_python_that_runs_is_found(machine: Machine) -> None:
    machine.has({"python3.13": DEAD_SHIM, "python3.12": PYTHON, "python3": PYTHON})
    assert machine.run("find_python").stdout == "python3.12\n"


def test_a_python_that_only_pyenv_has_is_found_after_those_on_the_path(machine: Machine) -> None:
    machine.has({"python3": OLD_PYTHON})
    machine.has({"python": PYTHON}, ".pyenv/versions/3.11.7/bin")
    assert machine.run("find_python").stdout == f"{machine.root}/.pyenv/versions/3.11.7/bin/python\n"
    machine.has({"python3.11": PYTHON})
    machine.has({"python": PYTHON}, ".pyenv/versions/3.13.0/bin")
    assert machine.run("find_python").stdout == "python3.11\n"


def test_a_python_of_the_version_asked_for_is_found(machine: Machine) -> None:
    machine.has({"python3.13": PYTHON, "python3.11": PYTHON})
    assert machine.run("find_python", "3.11").stdout == "python3.11\n"
    assert machine.run("find_python", "3.12").returncode == 1


@pytest.mark.parametrize("commands", [{}, {"python3": OLD_PYTHON}, {"python3.12": DEAD_SHIM}])
def test_without_a_usable_python_the_words_are_clear(machine: Machine, commands: dict[str, str]) -> None:
    machine.has(commands)
    process = machine.run("find_python")
    assert process.returncode == 1
    assert process.stderr.startswith("no Python 3.11 or newer with its venv module found")


def test_where_nothing_is_missing_nothing_is_installed(debian: Machine) -> None:
    debian.has({"mosquitto": ""})
    process = debian.run("debian_packages", CI="true", APT="1")
    assert (process.returncode, process.stdout, process.stderr, debian.logged()) == (0, "", "", [])


@pytest.mark.parametrize("environment", [{"CI": "true"}, {"APT": "1"}])
def test_root_installs_when_asked_without_starting_services(debian: Machine, environment: dict[str, str]) -> None:
    process = debian.run("debian_packages", **environment)
    assert process.returncode == 0, process.stderr
    update, install = "noninteractive update --quiet --quiet", f"noninteractive {INSTALL}"
    assert debian.logged() == [update, *NO_SERVICES, install, *NO_SERVICES]
    assert not debian.policy.exists()


def test_the_machines_own_policy_is_kept(debian: Machine) -> None:
    debian.policy.write_text("exit 104\n")
    debian.run("debian_packages", CI="true")
    assert debian.logged()[1] == "exit 104"
    assert debian.policy.read_text() == "exit 104\n"


def test_a_failed_install_fails_and_leaves_no_policy_behind(debian: Machine) -> None:
    debian.has({"apt-get": "exit 100"})
    assert debian.run("debian_packages", CI="true").returncode == 100
    assert not debian.policy.exists()


@pytest.mark.parametrize(("user", "environment"), [("0", {}), ("0", {"CI": "false"}), ("1000", {"CI": "true"})])
def test_otherwise_the_line_to_run_is_printed(debian: Machine, user: str, environment: dict[str, str]) -> None:
    debian.has({"id": f"echo {user}"})
    process = debian.run("debian_packages", **environment)
    assert process.returncode == 0
    assert process.stdout.endswith(": apt-get install --yes --no-install-recommends mosquitto\n")
    assert debian.logged() == []


@pytest.mark.parametrize(("command", "packages"), [
    ("mosquitto_pub", "mosquitto-clients"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("cc", "gcc libc6-dev"),
    ("zsh", "zsh"),
    ("chromium-headless-shell", "chromium-headless-shell"),
    ("python3", "python3-venv python3-dev"),
])
def test_each_missing_command_names_its_packages(debian: Machine, command: str, packages: str) -> None:
    debian.has({"mosquitto": ""})
    debian.lacks(command)
    assert debian.run("debian_packages").stdout.endswith(f"--no-install-recommends {packages}\n")


def test_a_python_without_headers_names_their_package(debian: Machine) -> None:
    debian.has({"mosquitto": "", "python3": f'case "$*" in *Python.h*) exit 1;; *) {PYTHON};; esac'})
    assert debian.run("debian_packages").stdout.endswith("--no-install-recommends python3-dev\n")


def test_copied_sources_have_nothing_of_an_older_build(tmp_path: Path, checkout: Path) -> None:
    kept = {"setup.py", "pyproject.toml", "LICENSE", "README.md", "emqtwist/core/trie.py", "twisted/plugins/plugin.py"}
    left = {"build/lib/emqtwist/core/old.py", "emqtwist/core/trie.cpython-311-x86_64-linux-gnu.so", "tests/test_it.py",
            "emqtwist/core/__pycache__/trie.cpython-311.pyc", "twisted/plugins/dropin.cache", "emqtwist__mypyc.so"}
    (tmp_path / "checkout" / "tools").mkdir(parents=True)
    script = shutil.copy(checkout / "tools" / "copy_sources", tmp_path / "checkout" / "tools")
    for name in kept | left:
        (tmp_path / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "checkout" / name).touch()
    subprocess.run([script, tmp_path / "copy"], check=True)
    assert {str(path.relative_to(tmp_path / "copy")) for path in (tmp_path / "copy").rglob("*") if path.is_file()} == kept
