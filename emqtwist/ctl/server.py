"""The server: a Unix socket for the broker's owner alone."""
import json
import os
from collections.abc import Iterator
from itertools import islice
from typing import Any

from twisted.application.service import Service
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.protocols.amp import AMP
from twisted.python.failure import Failure

from emqtwist.ctl.registry import Context, Line, Refused, Registry, WrongWords
from emqtwist.ctl.wire import Failed, More, Run

ROWS = 100  # of one page: some hundred microseconds, then the reactor serves others
PIECE = 60_000  # bytes; an AMP value holds 65,535


class CtlServer(AMP):
    """One client; it has one listing open at a time, which goes with its connection."""

    log = Logger()

    def __init__(self, registry: Registry, context: Context) -> None:
        super().__init__()
        self._registry = registry
        self._context = context
        self.rows: Iterator[Line] = iter(())
        self._rest = b""

    @Run.responder
    def run(self, words: list[str]) -> dict[str, object]:
        self._rest = b""
        try:
            self.rows = iter(self._registry.run(self._context, words))
        except (WrongWords, Refused):
            raise
        except Exception as error:
            raise self._failed(error) from None
        return {}

    @More.responder
    def more(self) -> dict[str, object]:
        last = False
        if len(self._rest) < PIECE:
            try:
                page = list(islice(self.rows, ROWS))
            except Refused:
                raise
            except Exception as error:
                raise self._failed(error) from None
            self._rest += b"".join(json.dumps(row).encode() + b"\n" for row in page)
            last = len(page) < ROWS
        piece, self._rest = self._rest[:PIECE], self._rest[PIECE:]
        return {"piece": piece, "last": last and not self._rest}

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.rows, self._rest = iter(()), b""
        super().connectionLost(reason)

    def _failed(self, error: Exception) -> Failed:
        self.log.failure("a command failed")
        return Failed(f"{type(error).__name__}: {error}"[:1000])


class CtlFactory(Factory):
    noisy = False

    def __init__(self, registry: Registry, context: Context) -> None:
        self._registry = registry
        self._context = context

    def buildProtocol(self, address: object) -> CtlServer:
        return CtlServer(self._registry, self._context)


class CtlService(Service):
    """Listens at a path. Where another broker does so already, or nothing can lie, the log says so and this one runs without."""

    log = Logger()

    def __init__(self, path: str, registry: Registry, context: Context, reactor: Any) -> None:
        self.setName("ctl")
        self._path = os.path.abspath(path)
        self._factory = CtlFactory(registry, context)
        self._reactor = reactor
        self._port: Any = None

    def startService(self) -> None:
        super().startService()
        mask = os.umask(0o177)  # from its first moment the socket is its owner's alone
        try:
            self._port = self._reactor.listenUNIX(self._path, self._factory, mode=0o600, wantPID=True)
        except (CannotListenError, OSError) as error:
            self.log.warn("no commands are taken at {path}: {reason}", path=self._path, reason=str(error))
        finally:
            os.umask(mask)

    def stopService(self) -> Any:
        super().stopService()
        port, self._port = self._port, None
        return None if port is None else port.stopListening()
