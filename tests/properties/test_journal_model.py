"""The journal against correct clients: random histories, with crashes wherever a group may be."""
from random import SystemRandom

import pytest

from tests.properties.journal.history import JournalHistory

FOUND = (371230352, 2279186474)  # by the sweep: a page that was handed over before all its rows were stored


def test_what_was_accepted_arrives_whenever_the_broker_crashes() -> None:
    for seed in [*range(80), *FOUND]:
        JournalHistory(seed).play()


@pytest.mark.sweep
def test_what_was_accepted_arrives_in_many_new_histories() -> None:
    for _ in range(5000):
        JournalHistory(SystemRandom().randrange(1 << 32)).play()
