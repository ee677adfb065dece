"""Boxes: AMP with a stranger, who has little time and few bytes, and of whom nothing is taken but what is expected."""
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ITransport
from twisted.protocols.amp import AMP, AmpBox, RemoteAmpError
from twisted.python.failure import Failure

from emqtwist.cluster import refusals as r
from emqtwist.cluster.refusals import Refused
from emqtwist.net.address import describe, host_of

STRANGER: Final = "stranger"
PROVED: Final = "proved"  # it knows the cookie; whether there is to be a link is not decided
UP: Final = "up"
GONE: Final = "gone"

MOST_KEYS: Final = 16  # in one box
STRANGERS: Final = 65_536  # bytes that one may send
STREAM: Final = frozenset({b"Push", b"Took", b"Ping", b"Bye"})
COMMANDS: Final = {STRANGER: frozenset({b"Hello", b"Prove"}), PROVED: STREAM, UP: STREAM, GONE: frozenset[bytes]()}
DIALLED: Final = frozenset({b"Bye"})  # from a stranger whom this node has dialled


class Boxes(AMP):
    """`dialled` is the address that this node has dialled, empty where the other has. Whoever sends what is none is let go."""

    def __init__(self, dialled: str) -> None:
        super().__init__()
        self.dialled = dialled
        self.stage = STRANGER
        self.received = 0

    @property
    def where(self) -> str:
        """Where the other is: the address that was dialled, or its own at the connection."""
        transport: ITransport | None = self.transport
        return self.dialled or ("" if transport is None else describe(transport.getPeer()))

    @property
    def whom(self) -> str:
        """Whom a problem with it is about: the same for each attempt of the same host."""
        transport: ITransport | None = self.transport
        host = "" if transport is None else host_of(transport.getPeer())
        return self.dialled or host or self.where

    def heard(self) -> None:
        """Something has come."""
        raise NotImplementedError

    def end(self, refused: Refused) -> None:
        """There is no link, or not any more: tell the other why, as far as it may know, and close."""
        raise NotImplementedError

    def _nonsense(self, detail: str) -> None:
        if self.stage != GONE:
            self.end(Refused(r.NO_NODE if self.stage == STRANGER else r.BAD_FRAME, detail))

    def dataReceived(self, data: bytes) -> None:
        if self.stage == GONE:
            return
        self.heard()
        self.received += len(data)
        if self.stage == STRANGER and self.received > STRANGERS:
            self._nonsense(f"it sent more than {STRANGERS} bytes before it proved anything")
            return
        try:
            super().dataReceived(data)
        except Exception:  # what AMP cannot read, it raises
            self._nonsense("it does not speak AMP")

    def proto_key(self, string: bytes) -> str:
        box: AmpBox | None = self._currentBox
        if string and box is not None and len(box) >= MOST_KEYS:
            self._nonsense(f"a box with more than {MOST_KEYS} keys")
        if self.stage == GONE:
            return "init"
        state: str = super().proto_key(string)
        return state

    def lengthLimitExceeded(self, length: int) -> None:
        self._nonsense("it does not speak AMP")

    def locateResponder(self, name: bytes) -> Any:
        """Other commands are nobody's business; nor are those that AMP itself has."""
        known = name in COMMANDS[self.stage] or (self.dialled and name in DIALLED)
        return super().locateResponder(name) if known else None

    def dispatchCommand(self, box: AmpBox) -> "Deferred[AmpBox]":
        done: Deferred[AmpBox] = super().dispatchCommand(box)
        return done.addErrback(self._bad_command)

    def _bad_command(self, failure: Failure) -> Failure:
        """A command that is none, or not now: its sender is no node, or not in its right mind."""
        error = failure.value
        if isinstance(error, RemoteAmpError) and error.errorCode == b"REFUSED":
            return failure
        self._nonsense("a command that is none")
        return Failure(RemoteAmpError(b"REFUSED", f"{r.BAD_FRAME}: a command that is none", False, local=failure))

    def unhandledError(self, failure: Failure) -> None:
        """Nobody waits for an answer: it was dealt with before."""

    def close(self) -> None:
        """Close the connection, once what was written is on its way."""
        transport: ITransport | None = self.transport
        if transport is not None:
            transport.loseConnection()

    def abort(self) -> None:
        """Close it at once."""
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()
