"""[store]: what outlives the process, and how safely."""
from dataclasses import dataclass
from typing import Final, Literal

from emqtwist.config.rows import row
from emqtwist.config.values import DURATION, SIZE, Choice

StoreType = Literal["auto", "sqlite", "memory"]
Durability = Literal["always", "interval", "off"]

EFFECTS: Final = "tests/integration/test_store.py"


@dataclass(frozen=True, kw_only=True)
class StoreSection:
    """Where sessions, queues and retained messages are kept."""

    type: StoreType = row(
        "auto", Choice[StoreType]("auto", "sqlite", "memory"), test=EFFECTS,
        meaning="`sqlite`: in a file below `node.data_dir`. `memory`: nothing outlives the process. `auto`: `sqlite` "
                "under twistd, `memory` inside another program.")
    durability: Durability = row(
        "always", Choice[Durability]("always", "interval", "off"), test=EFFECTS,
        meaning="What an acknowledged message survives. `always`: it is on the disk before it is acknowledged, and "
                "survives a power failure. `interval`: it survives the end of the process, and a power failure that "
                "comes `sync_interval` later. `off`: it survives the end of the process; when a power failure comes, "
                "the system may not have written it yet.")
    sync_interval: float = row(
        "1s", DURATION, minimum="10ms", maximum="1h", test="tests/unit/storage/test_process.py",
        meaning="Time after which a message is on the disk with `durability = interval`.")
    max_size: int = row(
        "0", SIZE, words={"unlimited": 0}, test=EFFECTS,
        meaning="Largest size of the file; 0 is unlimited. When it is reached, it is as if the disk were full.")
