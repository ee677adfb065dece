"""The AMP commands between two nodes: say who one is, prove it, and from then on pieces of a stream of frames.

Who has connected says Hello and Prove first. `Hello` stays as it is in all versions to come: what is added, older ones ignore.
"""
from typing import Final

from twisted.protocols.amp import Command, Integer, String, Unicode

NEWEST: Final = 1  # version of what is sent over a link
OLDEST: Final = max(1, NEWEST - 1)  # that is still spoken
PIECE: Final = 60_000  # bytes in a Push; an AMP value holds 65,535


class NoLink(Exception):
    """There is to be no link: what a `cluster.refusals.Refused` says."""


ERRORS: Final[dict[type[Exception], bytes]] = {NoLink: b"REFUSED"}


class Hello(Command):
    """Who asks, and what it speaks; the answer says the same of who is asked. `nonce` is random and for this link only.

    `window` is how many bytes may be under way to whoever says it, `address` where it can be dialled. `role` is what it comes
    as, if not as a node of the cluster.
    """

    arguments = [(b"oldest", Integer()), (b"newest", Integer()), (b"cluster", Unicode()), (b"node", Unicode()),
                 (b"incarnation", Unicode()), (b"address", Unicode()), (b"window", Integer()), (b"nonce", String()),
                 (b"role", Unicode(optional=True))]
    response = [(b"version", Integer()), (b"node", Unicode()), (b"incarnation", Unicode()), (b"address", Unicode()),
                (b"window", Integer()), (b"nonce", String())]
    errors = ERRORS


class Prove(Command):
    """Both prove to know the cookie, see `cluster.proving`. Who has asked hears last, and may still refuse, by Bye."""

    arguments = [(b"proof", String())]
    response = [(b"proof", String())]
    errors = ERRORS


class Push(Command):
    """The next bytes of the stream of frames, cut anywhere."""

    arguments = [(b"data", String())]
    requiresAnswer = False


class Took(Command):
    """So many bytes of the stream have been taken, from its beginning on. Now and then it comes as a sign of life."""

    arguments = [(b"total", Integer())]
    requiresAnswer = False


class Ping(Command):
    """Are you there?"""


class Bye(Command):
    """The link ends, and why, as a Refused says it."""

    arguments = [(b"reason", Unicode())]
    requiresAnswer = False
