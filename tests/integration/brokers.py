"""`twistd emqtt` as tests run it: a broker in a process of its own."""
import re
from collections.abc import Sequence
from pathlib import Path

from tests.integration.program import Program, python_script
from tests.transports import IO, epoll_sets

LISTENING = r"listening on ([a-z]+\.[a-z]+) at 127\.0\.0\.1:(\d+)"
ANY_PORT = f"node.io = {IO}\nlistener.tcp.default.bind = 127.0.0.1:0\n"


class RunningBroker:
    """`twistd -n emqtt` with `configuration`, at a port that the system chose.

    `ports` is a dict listener -> port. `before` is a command that runs it, `variables` are of its environment.
    """

    def __init__(self, folder: Path, configuration: str = "", before: Sequence[str | Path] = (), io: str = IO,
                 **variables: str) -> None:
        self.file = folder / "broker.ini"
        self.file.write_text(ANY_PORT.replace(IO, io) + configuration)
        self.program = Program(*before, python_script("twistd"), "-n", "--pidfile=", "emqtt", "--config", self.file, cwd=folder,
                               **variables)
        try:  # what it says last comes when it is ready for signals
            self.port = int(self.program.next(r"listening on tcp\.default at 127\.0\.0\.1:(\d+)")[1])
            self.program.next("try: ")
            self.ports = {found[1]: int(found[2]) for line in self.program.output if (found := re.search(LISTENING, line))}
            assert epoll_sets(self.program.pid) == (2 if io == "engine" else 1)
        except AssertionError:
            self.program.kill()
            raise
