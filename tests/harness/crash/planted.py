"""`python -m tests.harness.crash.planted BUG ...`: twistd with one of `bugs.BUGS` in the broker."""
import sys

import pytest
from twisted.internet.task import deferLater
from twisted.scripts.twistd import run

from emqtwist.core import records
from emqtwist.services import keeper
from tests.harness.crash.bugs import BUGS

if __name__ == "__main__":
    vars(keeper).update({name: kind for kind, (name, _) in records.KINDS.items()}, deferLater=deferLater)  # which the bugs name
    BUGS[sys.argv.pop(1)].plant(pytest.MonkeyPatch())
    run()
