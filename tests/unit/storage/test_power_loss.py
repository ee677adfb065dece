"""Power fails: of the log only some beginning is on the disk. What opens then is what some whole group left behind.

With `durability = always` the log is synced before a group is answered, so the beginning has all groups that were.
"""
import shutil
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from emqtwist.storage.memory import MemoryStore
from emqtwist.storage.sqlite.database import connect
from emqtwist.storage.sqlite.writer import Writer
from tests.unit.storage.histories import History
from tests.unit.storage.test_writer import everything, expected

GROUPS = 12
CUTS = 25


def copy(source: Path, target: Path) -> None:
    target.mkdir()
    for name in ("store.db", "store.db-wal"):
        if (source / name).exists():
            shutil.copyfile(source / name, target / name)


@pytest.mark.parametrize("seed", range(4))
def test_a_log_that_is_cut_anywhere_gives_whole_groups(seed: int, tmp_path: Path) -> None:
    history, plain, random = History(seed), MemoryStore(), Random(seed)
    (tmp_path / "live").mkdir()
    states: list[tuple[object, ...]] = []
    sizes: list[int] = []
    with closing(connect(tmp_path / "live" / "store.db")) as db:
        writer = Writer(db, "boot")
        for number in range(1, GROUPS + 1):
            group = history.group()
            writer.write(number, group, 0.0)
            plain.commit(number, group)
            states.append(expected(plain))
            sizes.append((tmp_path / "live" / "store.db-wal").stat().st_size)
        copy(tmp_path / "live", tmp_path / "whole")
    assert sizes == sorted(sizes)  # it was not begun anew meanwhile
    for cut in range(CUTS):
        there = tmp_path / f"{cut}"
        copy(tmp_path / "whole", there)
        size = random.randrange(sizes[0], sizes[-1] + 1)
        spoil(there / "store.db-wal", size, random)
        with closing(connect(there / "store.db")) as db:
            number, = db.execute("SELECT number FROM meta").fetchone()
            assert number >= len([each for each in sizes if each <= size])  # all that had been synced
            assert everything(db) == states[number - 1]


def spoil(log: Path, size: int, random: Random) -> None:
    """Cut the log, or leave noise where the system had not written yet."""
    data = log.read_bytes()
    rest: Any = random.choice([b"", bytes(len(data) - size), random.randbytes(len(data) - size)])
    log.write_bytes(data[:size] + rest)


def test_always_syncs_each_group_and_the_others_do_not(tmp_path: Path) -> None:
    found = {}
    for durability in ("always", "interval", "off"):
        with closing(connect(tmp_path / f"{durability}.db", durability)) as db:
            found[durability], = db.execute("PRAGMA synchronous").fetchone()
    assert found == {"always": 2, "interval": 1, "off": 1}
