"""Programs that a test runs: their lines are waited for, and none outlives its test."""
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

CHECKOUT = Path(__file__).parents[2]
LIMIT = 30.0  # seconds that anything may take; reached only where something is wrong


def environment(**more: str) -> Mapping[str, str]:
    """That of the tests, in which the sources under test are found from any folder."""
    return {**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONUNBUFFERED": "1", **more}


def run(*command: str | Path, cwd: Path = CHECKOUT, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end."""
    return subprocess.run(command, cwd=cwd, input=stdin, capture_output=True, env=environment(), timeout=LIMIT)


def python_script(name: str) -> Path:
    """A command that a package brings, of the environment that the tests run in."""
    return Path(sys.executable).parent / name


class Program:
    """A running program; standard output and error are one stream of lines, all of them read as they come."""

    def __init__(self, *command: str | Path, cwd: Path = CHECKOUT, **variables: str) -> None:
        self.output: list[str] = []
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._process = subprocess.Popen(command, cwd=cwd, env=environment(**variables), stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            for line in stream:
                self._lines.put(line.decode(errors="replace").rstrip("\r\n"))
        self._lines.put(None)

    def next(self, pattern: str) -> re.Match[str]:
        """The next line in which `pattern` is found; those before it are passed over."""
        deadline = time.monotonic() + LIMIT
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                raise AssertionError(self._without(pattern, f"within {LIMIT:g} s")) from None
            if line is None:
                self._lines.put(None)
                raise AssertionError(self._without(pattern, "to its end"))
            self.output.append(line)
            match = re.search(pattern, line)
            if match:
                return match

    def catch_up(self) -> None:
        """Pass over the lines that are there."""
        while not self._lines.empty():
            line = self._lines.get()
            if line is None:
                self._lines.put(None)
                return
            self.output.append(line)

    def _without(self, pattern: str, when: str) -> str:
        shown = "\n".join(line[:500] for line in self.output[-50:])
        return f"no line {pattern!r} {when} from {self._process.args!r}:\n{shown}"

    def rest(self) -> list[str]:
        """All lines that were not asked for, once the program has ended."""
        self.wait()
        lines: list[str] = []
        while (line := self._lines.get()) is not None:
            lines.append(line)
        self._lines.put(None)
        self.output += lines
        return lines

    def say(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def ended(self) -> bool:
        """Whether it has ended, by itself or not."""
        return self._process.poll() is not None

    def children(self) -> list[int]:
        """The processes that it has started and that still run."""
        pid = self._process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    @property
    def pid(self) -> int:
        return self._process.pid

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """Its exit status, when it has ended by itself."""
        status = self._process.wait(LIMIT)
        self._reader.join(LIMIT)
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass  # it ended before it had read what was said
        return status

    def terminate(self) -> int:
        """Ask it to end; its exit status. It is killed if it does not."""
        self._process.terminate()
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._process.kill()
        self.wait()
