"""`twistd emqtt` as tests run it: a broker in a process of its own."""
from collections.abc import Sequence
from pathlib import Path

from tests.integration.program import Program, python_script
from tests.transports import IO, epoll_sets

ANY_PORT = f"node.io = {IO}\nlistener.tcp.default.bind = 127.0.0.1:0\n"


class RunningBroker:
    """`twistd -n emqtt` with `configuration`, at a port that the system chose.

    `before` is a command that runs it, `variables` are of its environment.
    """

    def __init__(self, folder: Path, configuration: str = "", before: Sequence[str | Path] = (), **variables: str) -> None:
        self.file = folder / "broker.ini"
        self.file.write_text(ANY_PORT + configuration)
        self.program = Program(*before, python_script("twistd"), "-n", "--pidfile=", "emqtt", "--config", self.file, cwd=folder,
                               **variables)
        try:  # what it says last comes when it is ready for signals
            self.port = int(self.program.next(r"listening on tcp\.default at 127\.0\.0\.1:(\d+)")[1])
            self.program.next("try: ")
            assert epoll_sets(self.program.pid) == (2 if IO == "engine" else 1)
        except AssertionError:
            self.program.kill()
            raise
