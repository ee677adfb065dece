"""A room for each test."""
from collections.abc import Iterator

import pytest

from tests.batches import Room


@pytest.fixture
def room() -> Iterator[Room]:
    made = Room()
    yield made
    made.close()
