"""`emqtwist_ctl` and `twistd -n emqtt-ctl`: the same options, the same client."""
import atexit
import os
import sys
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.logger import ILogObserver, Logger, textFileLogObserver
from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError

from emqtwist.ctl.client import SOCKET, run


def standard_error() -> ILogObserver:
    """Where twistd logs; it asks for this by name."""
    return textFileLogObserver(sys.stderr)


class Options(UsageOptions):
    """The socket, the form of the output, and the words of the command."""

    synopsis = "[--socket PATH] [--table | --json] <command> ..."
    optParameters = [["socket", "s", SOCKET, "Socket of the broker."]]
    optFlags = [["table", None, "Print columns."], ["json", None, "Print JSON."]]

    words: tuple[str, ...] = ()

    def parseArgs(self, *words: str) -> None:
        self.words = tuple(word for word in words if word not in ("--table", "--json"))
        self["table"] = self["table"] or "--table" in words
        self["json"] = self["json"] or "--json" in words

    def postOptions(self) -> None:
        """Beside a running broker its pid file is its own; standard output is for the answer."""
        if self.parent is not None:
            self.parent["pidfile"] = ""
            self.parent["logger"] = "emqtwist.ctl.command.standard_error"

    async def run(self, reactor: Any) -> int:
        form = "json" if self["json"] else "table" if self["table"] else "lines"
        return await run(reactor, self["socket"], self.words, form)


class Once(Service):
    """Runs the command, then ends the process with its status."""

    log = Logger()

    def __init__(self, options: Options) -> None:
        self._options = options

    def startService(self) -> None:
        super().startService()
        from twisted.internet import reactor  # only now: importing it installs one
        self._reactor: Any = reactor
        self._reactor.callWhenRunning(lambda: Deferred.fromCoroutine(self._run()))

    async def _run(self) -> None:
        status = 1
        try:
            status = await self._options.run(self._reactor)
        except Exception:
            self.log.failure("the command failed")
        atexit.register(os._exit, status)  # when the log is written; twistd knows no other way to a status
        self._reactor.stop()


def makeService(options: Options) -> Once:
    return Once(options)


def main() -> None:
    """The console script."""
    options = Options()
    try:
        options.parseOptions(sys.argv[1:])
    except UsageError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None

    async def ask(reactor: Any) -> None:
        status = await options.run(reactor)
        raise SystemExit(status)

    react(lambda reactor: Deferred.fromCoroutine(ask(reactor)))
