"""The store that the configuration asks for, and in words what it guarantees."""
import subprocess
from pathlib import Path
from typing import Any, Final

from emqtwist.config import Config
from emqtwist.storage.errors import StoreError
from emqtwist.storage.sqlite.client import SQLiteStore, command

IN_MEMORY: Final = "memory only: acknowledged QoS 1 and 2 messages outlive a client's absence, not the end of this process"
ATTEMPTS: Final = 3  # to open the store, if that is killed
PROBE: Final = "import sys; sys.path.append({root!r}); from emqtwist.storage.sqlite.process import probe; probe(sys.argv[1])"


def make_store(config: Config, reactor: Any) -> SQLiteStore | None:
    """None where nothing outlives the process."""
    store = config.store
    if store.type != "sqlite":
        return None
    return SQLiteStore(Path(config.node.data_dir), reactor, store.durability, store.sync_interval, store.max_size)


def guarantees(config: Config) -> str:
    """What holds of what is acknowledged; it follows "keeps messages in"."""
    store = config.store
    if store.type != "sqlite":
        return IN_MEMORY
    survived = {
        "always": "outlive this process and a power failure",
        "interval": f"outlive this process, and a power failure {store.sync_interval:g} s later",
        "off": "outlive this process, not a power failure",
    }[store.durability]
    return f"{Path(config.node.data_dir).absolute()}: acknowledged QoS 1 and 2 messages {survived}"


def probe(config: Config) -> None:
    """Open and close the store, in a process of its own, and wait for it; raises StoreError."""
    if config.store.type != "sqlite":
        return
    for _ in range(ATTEMPTS):
        ended = subprocess.run([*command(PROBE), config.node.data_dir], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if ended.returncode >= 0:
            break  # not killed
    if ended.returncode:
        said = ended.stderr.strip().splitlines()
        raise StoreError(said[-1] if said else f"the process that opens it ended with status {ended.returncode}")
