"""`emqtwist_ctl` and `twistd -n emqtt-ctl`: the same options, the same client."""
import atexit
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.logger import ILogObserver, Logger, textFileLogObserver
from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError

from emqtwist._version import __version__
from emqtwist.access import passwd
from emqtwist.config import Address, Config, ConfigError, load
from emqtwist.config.values import BIND
from emqtwist.ctl import completion
from emqtwist.ctl.client import DONE, WRONG, Place, run
from emqtwist.ctl.commands import all_commands
from emqtwist.ctl.part import socket_path
from emqtwist.ctl.registry import WrongWords


def standard_error() -> ILogObserver:
    """Where twistd logs; it asks for this by name."""
    return textFileLogObserver(sys.stderr)


class Options(UsageOptions):
    """Where the broker is, the form of the output, and the words of the command."""

    synopsis = "[options] <command> ..."
    longdesc = ("`help` lists the commands. In the folder that the broker was started in no option is needed, unless its "
                "configuration says where the socket lies.")
    optParameters = [
        ["config", "c", None, "Configuration file of the broker, which says where its socket lies."],
        ["socket", "s", None, "Socket of the broker."],
        ["address", "a", None, "HOST:PORT of a broker that takes commands over TCP."],
        ["secret-file", None, None, "File with the secret that the broker at --address wants."],
        ["authority", None, None, "Certificate (PEM) that vouches for the broker at --address: speak TLS."],
    ]
    optFlags = [["table", None, "Print columns."], ["json", None, "Print JSON."]]

    words: tuple[str, ...] = ()

    def opt_version(self) -> None:
        """Say which version this is."""
        print(f"emqtwist {__version__}")
        raise SystemExit(DONE)

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """What is wrong with them ends the process here: twistd would print it as an answer, among its own options."""
        try:
            super().parseOptions(options)
        except UsageError as error:
            print(error, file=sys.stderr)
            raise SystemExit(WRONG) from None

    def parseArgs(self, *words: str) -> None:
        """The form may be named after the command, too."""
        self.words = tuple(word for word in words if word not in ("--table", "--json"))
        self["table"] = self["table"] or "--table" in words
        self["json"] = self["json"] or "--json" in words

    def postOptions(self) -> None:
        """Beside a running broker its pid file is its own; standard output is for the answer."""
        if self["table"] and self["json"]:
            raise UsageError("--table or --json, not both")
        if self.words[:1] == ("completion",) and self.words[1:] not in [(shell,) for shell in completion.SHELLS]:
            raise UsageError("completion bash, or completion zsh")
        try:
            self.place = self._remote() if self["address"] else Place(self._socket())
        except ConfigError as error:
            raise UsageError(str(error)) from None
        except OSError as error:
            raise UsageError(f"{error.filename}: {error.strerror}") from None
        self.words = with_password(self.words)
        if self.parent is not None:
            self.parent["nodaemon"] = True
            self.parent["pidfile"] = ""
            self.parent["logger"] = "emqtwist.ctl.command.standard_error"

    def _socket(self) -> Path:
        if self["socket"]:
            return Path(self["socket"])
        path = socket_path(load(self["config"]) if self["config"] else Config())
        if path is None:
            raise UsageError("this configuration has no socket for commands: ctl.socket = off")
        return path

    def _remote(self) -> Place:
        """HOST may be a name, unless what is sent is not encrypted."""
        host, _, port = self["address"].rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) <= 65535:
            raise UsageError("--address is HOST:PORT")
        if not self["secret-file"]:
            raise UsageError("--address needs --secret-file")
        secret = self._secret()
        if not self["authority"]:
            self._check_loopback(self["address"])
            return Place(None, host.strip("[]"), int(port), secret)
        return Place(None, host.strip("[]"), int(port), secret, Path(self["authority"]).read_bytes())

    def _secret(self) -> str:
        try:
            return Path(self["secret-file"]).read_text(encoding="utf-8").removesuffix("\n")
        except UnicodeDecodeError:
            raise UsageError(f"{self['secret-file']}: not UTF-8") from None

    def _check_loopback(self, address: str) -> None:
        try:
            where: Address | None = BIND.read(address)
        except ValueError:
            where = None
        if where is None or not where.is_loopback():
            raise UsageError("beyond this machine (127.0.0.1, [::1]) commands go through TLS: name the certificate with "
                             "--authority")

    async def run(self, reactor: Any) -> int:
        """The command's exit status."""
        if self.words[:1] == ("completion",):
            output = sys.__stdout__
            assert output is not None
            print(completion.script(all_commands(), self.words[1]), end="", file=output, flush=True)
            return DONE
        form = "json" if self["json"] else "table" if self["table"] else "lines"
        return await run(reactor, self.place, self.words, form)


def with_password(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words of a command that wants a password with one that is asked for, or read from standard input."""
    try:
        command, _ = all_commands().find(words)
    except WrongWords:
        return words  # the broker knows more of them, or says what is wrong
    if not command.asks_password:
        return words
    try:
        return (*words, passwd.ask())
    except ValueError as error:
        raise UsageError(str(error)) from None
    except (EOFError, KeyboardInterrupt):
        raise SystemExit(WRONG) from None


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
    options.parseOptions(sys.argv[1:])

    async def ask(reactor: Any) -> None:
        status = await options.run(reactor)
        raise SystemExit(status)

    react(lambda reactor: Deferred.fromCoroutine(ask(reactor)))
