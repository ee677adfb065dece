"""What is asked is over when its test is."""
from collections.abc import Iterator

import pytest

from emqtwist.access.asking import Asking


@pytest.fixture(autouse=True)
def asking(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stops all parts that ask: coroutines that wait would go on when they are collected, in another test."""
    started: list[Asking] = []
    start = Asking.startService

    def started_too(part: Asking) -> None:
        started.append(part)
        start(part)

    monkeypatch.setattr(Asking, "startService", started_too)
    yield
    for part in started:
        part.stopService()
