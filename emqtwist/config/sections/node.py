"""[node]: what this broker is called, and where its files lie."""
from dataclasses import dataclass

from emqtwist.config.rows import row
from emqtwist.config.values import Text


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
    plugins: str = row(
        "", Text("names of plug-ins", r"[\w.-]*(?:[ ,]+[\w.-]+)*"),
        meaning="Plug-ins of installed packages that are loaded (entry points of the group emqtwist.plugins), in this "
                "order; between two names is a space or a comma.",
        test="tests/adapters/test_plugins.py")
