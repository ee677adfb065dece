"""A broker as a process, and both clients beside it in its folder."""
import json
import stat
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.integration.program import Program, python_script, run

MODULE = "from emqtwist.ctl.command import main; main()"
CLIENTS: dict[str, list[str | Path]] = {
    "script": [sys.executable, "-c", MODULE],
    "twistd": [python_script("twistd"), "-n", "emqtt-ctl"],
}


@pytest.mark.parametrize("client", CLIENTS.values(), ids=list(CLIENTS))
def test_ctl_socket(tmp_path: Path, client: list[str | Path]) -> None:
    (tmp_path / "broker.ini").write_text("[ctl]\nsocket = ./its.ctl\n[listener.tcp.default]\nbind = 127.0.0.1:0\n")

    def ctl(*words: str) -> CompletedProcess[bytes]:
        return run(*client, "--socket", "its.ctl", *words, cwd=tmp_path)

    absent = ctl("status")
    assert (absent.returncode, absent.stdout) == (3, b"")
    assert b"no broker answers at its.ctl" in absent.stderr
    broker = Program(python_script("twistd"), "-n", "emqtt", "--config", "broker.ini", cwd=tmp_path)
    try:
        broker.next("keeps messages in")
        assert stat.S_IMODE((tmp_path / "its.ctl").stat().st_mode) == 0o600
        done = ctl("status")
        assert done.returncode == 0
        assert done.stdout.startswith(b"Node 'emqtwist@127.0.0.1' is started\nemqtwist ")
        assert json.loads(ctl("clients", "list", "--json").stdout) == []
        refused = ctl("clients", "show", "nobody")
        assert (refused.returncode, refused.stdout) == (1, b"")
        assert b"Not Found.\n" in refused.stderr
        assert (tmp_path / "twistd.pid").exists()  # the broker's: no client took it away
        wrong = ctl("nonsense")
        assert (wrong.returncode, wrong.stdout) == (2, b"")
        assert b"clients list" in wrong.stderr
    finally:
        broker.terminate()
    assert not (tmp_path / "its.ctl").exists()
