"""Session epochs: of the sessions that a client has on several nodes, that of the highest epoch is the one.

The epoch of a client rises with each session that takes the place of another, or is taken over. A store keeps with it whether the
session is on its way: given to another node, or coming from one.
"""
from typing import Final

from emqtwist.core.session import Session

HERE: Final = 0
GIVEN: Final = 1  # to another node, which may have had some of it
COMING: Final = 2  # from another node, which still has some of it
AWAITING: Final = 3  # it has come, but some nodes may still have messages for it that go to where it was

IGNORANT: Final = 1  # the epoch of a session that began while not all nodes could be asked for an older one
FIRST: Final = 2  # that of any other


def epoch_of(session: Session) -> int:
    return session.epoch >> 2


def state_of(session: Session) -> int:
    return session.epoch & 3


def set_epoch(session: Session, epoch: int, state: int) -> None:
    session.epoch = epoch << 2 | state
