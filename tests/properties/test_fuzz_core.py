"""The core under lying clients: nothing they send raises in it, and nothing of them stays in it."""
from random import SystemRandom

import pytest

from tests.harness.fuzz.core import CoreFuzz
from tests.peers import every_version


@every_version
def test_the_core_bears_lying_clients(version: int) -> None:
    fuzz = CoreFuzz(1, version)
    fuzz.run(0, 3000)
    assert 1000 < fuzz.closed < 3000


@pytest.mark.sweep
@every_version
def test_the_core_bears_lying_clients_for_long(version: int) -> None:
    for _ in range(20):
        CoreFuzz(SystemRandom().randrange(1 << 32), version).run(0, 20_000)
