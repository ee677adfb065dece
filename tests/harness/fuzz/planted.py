"""`python -m tests.harness.fuzz.planted BUG ...`: twistd with one of `bugs.BUGS` in the broker."""
import sys

import pytest
from twisted.scripts.twistd import run

from tests.harness.fuzz.bugs import BUGS

if __name__ == "__main__":
    BUGS[sys.argv.pop(1)].plant(pytest.MonkeyPatch())
    run()
