"""The client: sends the words of a command, prints its answer, gives the status."""
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from twisted.internet.endpoints import (
    HostnameEndpoint,
    UNIXClientEndpoint,
    connectProtocol,
    wrapClientTLS,
)
from twisted.internet.error import ConnectionClosed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.protocols.amp import AMP, MAX_VALUE_LENGTH

from emqtwist.ctl import login
from emqtwist.ctl.printer import Printer
from emqtwist.ctl.registry import Refused, WrongWords
from emqtwist.ctl.wire import Failed, Greet, Login, More, NotAllowed, Run
from emqtwist.net.socketfile import is_too_long, shortest

DONE: Final = 0
FAILED: Final = 1
WRONG: Final = 2
NO_BROKER: Final = 3


@dataclass(frozen=True)
class Place:
    """Where the broker takes commands: a socket, or `host` and `port` with the secret; `authority` is for TLS (PEM)."""

    path: Path | None
    host: str = ""
    port: int = 0
    secret: str = ""
    authority: bytes = b""

    def __str__(self) -> str:
        return str(self.path) if self.path is not None else f"{self.host}:{self.port}"

    def endpoint(self, reactor: Any) -> IStreamClientEndpoint:
        if self.path is not None:
            return UNIXClientEndpoint(reactor, shortest(self.path))
        plain = HostnameEndpoint(reactor, self.host, self.port)
        if not self.authority:
            return plain
        from twisted.internet.ssl import Certificate, optionsForClientTLS
        return wrapClientTLS(optionsForClientTLS(self.host, Certificate.loadPEM(self.authority)), plain)


async def ask(amp: AMP, words: Sequence[str], printer: Printer) -> None:
    """Run a command to its end; raises what it declares."""
    await amp.callRemote(Run, words=list(words))
    last = False
    while not last:
        answer = await amp.callRemote(More)
        printer.feed(answer["piece"])
        last = answer["last"]
    printer.end()


async def log_in(amp: AMP, secret: str) -> None:
    """Prove to know the secret, and see that the broker does; NotAllowed when one of the two does not."""
    challenge = (await amp.callRemote(Greet))["challenge"]
    nonce = login.draw()
    answer = await amp.callRemote(Login, nonce=nonce, proof=login.proof(secret, login.CLIENT, challenge, nonce))
    if not login.is_right(answer["proof"], secret, login.BROKER, challenge, nonce):
        raise NotAllowed("who answers does not know the secret")


class NoBroker(Exception):
    """Nobody answers who is the broker; the message says why."""


async def connect(reactor: Any, place: Place) -> AMP:
    """A connection on which commands are taken; NoBroker or NotAllowed."""
    if place.path is not None and is_too_long(place.path):  # the reactor would raise it where nobody hears
        raise NoBroker("this path is too long for a socket: call it from a folder nearer to it")
    try:
        amp: AMP = await connectProtocol(place.endpoint(reactor), AMP())
        if place.path is None:
            await log_in(amp, place.secret)
    except NotAllowed:
        raise
    except Exception as error:  # TLS has many of its own
        raise NoBroker(str(error)) from None
    return amp


def fit(words: Sequence[str]) -> bool:
    """Whether these can be sent: an AMP value holds them, each with its length."""
    try:
        return sum(2 + len(word.encode()) for word in words) <= MAX_VALUE_LENGTH
    except UnicodeEncodeError:
        return False


class Answer:
    """An answer may go on and on, until somebody interrupts it; what has come by then is whole."""

    def __init__(self, printer: Printer) -> None:
        self.begun = False
        self.interrupted = False
        self._printer = printer

    def interrupt(self) -> None:
        """The process is about to end."""
        self.interrupted = self.begun
        if self.begun:
            self._printer.end()


async def run(reactor: Any, place: Place, words: Sequence[str], form: str) -> int:
    """The status: done, failed, wrong words, or no broker."""
    output, errors = sys.__stdout__, sys.__stderr__  # twistd logs what is written to sys.stdout
    assert output is not None
    printer = Printer(form, output.write, output.encoding, output.flush)
    answer = Answer(printer)
    reactor.addSystemEventTrigger("before", "shutdown", answer.interrupt)
    if not fit(words):
        print("the words are too long, or not UTF-8", file=errors)
        return WRONG
    try:
        amp = await connect(reactor, place)
        answer.begun = True
        try:
            await ask(amp, words, printer)
        finally:
            answer.begun = False
    except WrongWords as error:
        print(printer.escaped(str(error)), file=errors)
        return WRONG
    except Refused as error:  # emqttd prints it as any other answer, and scripts look for it there
        print(printer.escaped(str(error)), file=output if form == "lines" else errors, flush=True)
        return FAILED
    except (Failed, NotAllowed) as error:
        print(printer.escaped(str(error)), file=errors)
        return FAILED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())  # nobody reads on: that is no failure to tell of
        return FAILED
    except (NoBroker, ConnectionClosed) as error:
        if answer.interrupted:
            return DONE
        print(f"no broker answers at {place}: {error}", file=errors)
        return NO_BROKER
    return DONE
