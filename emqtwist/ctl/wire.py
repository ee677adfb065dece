"""The AMP commands between client and broker: one opens a listing, the other takes its pages."""
from twisted.protocols.amp import Boolean, Command, ListOf, String, Unicode

from emqtwist.ctl.registry import Refused, WrongWords


class Failed(Exception):
    """A command raised what it should not; the broker's log has the traceback."""


class Run(Command):
    """Begin a command; its answer comes in pages. A listing that was open on this connection is dropped."""

    arguments = [(b"words", ListOf(Unicode()))]
    errors = {WrongWords: b"WRONG_WORDS", Refused: b"REFUSED", Failed: b"FAILED"}


class More(Command):
    """The next piece of the answer: JSON lines [line, columns], cut anywhere; `last` when there is no more."""

    response = [(b"piece", String()), (b"last", Boolean())]
    errors = {Refused: b"REFUSED", Failed: b"FAILED"}
