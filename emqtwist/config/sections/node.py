"""[node]: what this broker is called, where its files lie, and how it serves its sockets."""
from dataclasses import dataclass
from typing import Literal

from emqtwist.config.rows import row
from emqtwist.config.values import DURATION, Choice, Text

Io = Literal["engine", "stock"]


@dataclass(frozen=True, kw_only=True)
class NodeSection:
    """This broker among others."""

    name: str = row(
        "emqtwist@127.0.0.1", Text("a name as emqtwist@127.0.0.1", r"[A-Za-z0-9_.-]+@[A-Za-z0-9_.:-]+"),
        meaning="Name of this broker; it stands in each JSON log line.",
        test="tests/adapters/test_logs.py")
    data_dir: str = row(
        "./emqtwist-data", Text("a folder", r"[^\0]+"), test="tests/integration/test_store.py",
        meaning="Folder for what outlives the process, made when it is not there; one broker at a time uses it. A "
                "relative path starts at the folder that the broker was started in.")
    io: Io = row(
        "engine", Choice[Io]("engine", "stock"), test="tests/integration/test_transports.py",
        meaning="How sockets are served. `engine`: all in one batch, which is faster; Linux only, elsewhere it is as `stock`. "
                "`stock`: by Twisted's own transports.")
    hook_timeout: float = row(
        "5s", DURATION, live=True, minimum="100ms", maximum="1h", test="tests/adapters/test_hooking.py",
        meaning="How long a function at a hook may wait; then it counts as failed. A CONNECT that waits has to be over within "
                "`mqtt.client.idle_timeout` all the same.")
    plugins: str = row(
        "", Text("names of plug-ins", r"[\w.-]*(?:[ ,]+[\w.-]+)*"),
        meaning="Plug-ins of installed packages that are loaded (entry points of the group emqtwist.plugins), in this "
                "order; between two names is a space or a comma.",
        test="tests/adapters/test_plugins.py")
