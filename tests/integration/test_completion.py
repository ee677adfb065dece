"""What a shell offers after the words of a command, in that shell itself."""
import shutil
import sys
from pathlib import Path

import pytest

from tests.integration.program import run
from tests.integration.test_ctl import SCRIPT

OFFERED: list[tuple[tuple[str, ...], set[str]]] = [
    (("cli",), {"clients"}),
    (("clients", ""), {"list", "show", "kick"}),
    (("sessions", "list", ""), {"persistent", "transient"}),
    (("sessions", "t"), {"top"}),
    (("--json", "vm", ""), {"all", "load", "memory", "process", "io"}),
    (("--socket", "clients", "st"), {"status", "stats", "store"}),
    (("clients", "show", ""), set()),
    (("--j",), {"--json"}),
    (("clients", "list", "--t"), {"--table"}),
    (("completion", ""), {"bash", "zsh"}),
    (("--config", "bro"), {"broker.ini"}),
    (("--address", ""), set()),
]
each_line = pytest.mark.parametrize(("words", "offered"), OFFERED, ids=[" ".join(words) for words, _ in OFFERED])

# Its own `compadd` notes in a file what is offered, of all that the function has, for what is typed.
ZSH = """\
emqtwist_ctl() {{ : }}
PS1= LISTMAX=10000
autoload -Uz compinit && compinit -D -u
compadd() {{ local -a fitting; builtin compadd -A fitting "$@"; print -rl -- $fitting >> offered; builtin compadd "$@" }}
. ./completion
emqtwist_ctl {typed}\t
exit
"""
TERMINAL = "import pty, sys; pty.spawn(sys.argv[1:])"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a script of each shell, and a file."""
    folder = tmp_path_factory.mktemp("shells")
    for shell in ("bash", "zsh"):
        script = run(*SCRIPT, "completion", shell, cwd=folder)
        assert (script.returncode, script.stderr) == (0, b"")
        (folder / shell).mkdir()
        (folder / shell / "completion").write_bytes(script.stdout)
        (folder / shell / "broker.ini").touch()
    return folder


@each_line
def test_bash_completes(folder: Path, words: tuple[str, ...], offered: set[str]) -> None:
    typed = " ".join(f"'{word}'" for word in ("emqtwist_ctl", *words))
    script = (f". ./completion; COMP_WORDS=({typed}); COMP_CWORD={len(words)}; "
              "$(complete -p emqtwist_ctl | sed 's/.*-F \\([^ ]*\\).*/\\1/'); printf '%s\\n' \"${COMPREPLY[@]}\"")
    ended = run("bash", "--norc", "-c", script, cwd=folder / "bash")
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert set(ended.stdout.decode().split()) == offered


@each_line
def test_zsh_completes(folder: Path, words: tuple[str, ...], offered: set[str]) -> None:
    zsh = shutil.which("zsh")
    if zsh is None:
        pytest.skip("zsh is not installed")
    here = folder / "zsh"
    (here / "offered").write_text("")
    shown = run("env", "TERM=dumb", sys.executable, "-c", TERMINAL, zsh, "-f", "-i", cwd=here,
                stdin=ZSH.format(typed=" ".join(words)).encode())
    found = (here / "offered").read_text().split()
    assert set(found) == offered, shown
