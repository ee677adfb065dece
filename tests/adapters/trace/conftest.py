from collections.abc import Callable
from pathlib import Path

import pytest

from emqtwist.services import pooler
from tests.observatory import Observatory
from tests.threads import HeldThreads


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Observatory]:
    """Brokers whose threads do nothing until a test says so; lines of configuration are theirs."""
    threads: list[HeldThreads] = []

    def held(size: int) -> HeldThreads:
        threads.append(HeldThreads(size))
        return threads[-1]

    monkeypatch.setattr(pooler, "_Daemons", held)
    return lambda *lines: Observatory(tmp_path, threads, *lines)


@pytest.fixture
def place(make: Callable[..., Observatory]) -> Observatory:
    return make()
