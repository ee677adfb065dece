"""`python -m tests.integration.supervision.failing ...`: twistd, whose broker has a defect that does not go away."""
import pytest
from twisted.scripts.twistd import run

from emqtwist.app.foundation import Foundation
from emqtwist.services import supervisor


def tick(foundation: Foundation) -> None:
    raise RuntimeError("planted")


if __name__ == "__main__":
    from emqtwist.app import tree
    vars(tree)["TICK"] = 0.01
    vars(supervisor).update(FIRST_PAUSE=0.001, LONGEST_PAUSE=0.01)
    pytest.MonkeyPatch().setattr(Foundation, "tick", tick)
    run()
