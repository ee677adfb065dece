"""Session epochs: of the sessions that a client has on several nodes, that of the highest epoch is the one.

The epoch of a new session has the time in it, in milliseconds since 1970, so that of several the last one is the one: nodes may
be away that have others, and nobody knows what a node had stored before it crashed. A session that began while not all could be
asked for an older one, and whose client has not begun anew, gives way to all beyond FIRST. With each takeover the epoch goes
up, in bits below those of the time: all epochs of a session tell when it began, so that what is sent on for it is not taken for
another one of its client. A store keeps with the epoch whether the session is on its way: given to another node, or coming from
one.
"""
from typing import Final

from emqtwist.core.session import Session

HERE: Final = 0
GIVEN: Final = 1  # to another node, which may have had some of it
COMING: Final = 2  # from another node, which still has some of it
AWAITING: Final = 3  # it has come, but some nodes may still have messages for it that go to where it was

MOVES: Final = 16  # bits that count takeovers
FIRST: Final = 1 << 42 << MOVES  # the lowest epoch of a session that takes the place of all others; time reaches this in 2109


def new_epoch(least: int, milliseconds: int, highest: int) -> int:
    """That of a session that begins now, and not before any other of its client: `highest` is the highest epoch of those."""
    return max(least + (milliseconds << MOVES), began(highest) + 1 << MOVES)


def began(epoch: int) -> int:
    """The same for all epochs of a session, and another for each other session of its client."""
    return epoch >> MOVES


def epoch_of(session: Session) -> int:
    return session.epoch >> 2


def state_of(session: Session) -> int:
    return session.epoch & 3


def set_epoch(session: Session, epoch: int, state: int) -> None:
    session.epoch = epoch << 2 | state
