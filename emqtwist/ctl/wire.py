"""The AMP commands between client and broker: prove to know the secret, open a listing, take its pages."""
from typing import Final

from twisted.protocols.amp import Boolean, Command, ListOf, String, Unicode

from emqtwist.ctl.registry import Refused, WrongWords


class Failed(Exception):
    """A command raised what it should not; the broker's log has the traceback."""


class NotAllowed(Exception):
    """Whoever asks has not proved to know the secret."""


class Greet(Command):
    """What to prove: `challenge` is random and for this connection only."""

    response = [(b"challenge", String())]
    errors = {NotAllowed: b"NOT_ALLOWED"}


class Login(Command):
    """Both sides prove to know the secret, see `ctl.login`. The connection is closed after a wrong proof."""

    arguments = [(b"nonce", String()), (b"proof", String())]
    response = [(b"proof", String())]
    errors = {NotAllowed: b"NOT_ALLOWED"}


ERRORS: Final = {WrongWords: b"WRONG_WORDS", Refused: b"REFUSED", Failed: b"FAILED", NotAllowed: b"NOT_ALLOWED"}


class Run(Command):
    """Begin a command; its answer comes in pages. A listing that was open on this connection is dropped."""

    arguments = [(b"words", ListOf(Unicode()))]
    errors = ERRORS


class More(Command):
    """The next piece of the answer: JSON lines [line, columns], cut anywhere; `last` when there is no more."""

    response = [(b"piece", String()), (b"last", Boolean())]
    errors = ERRORS
