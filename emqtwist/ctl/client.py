"""The client: sends the words of a command, prints its answer, gives the status."""
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.protocols.amp import AMP

from emqtwist.ctl.registry import Refused, WrongWords
from emqtwist.ctl.wire import Failed, More, Run

SOCKET = "./emqtwist.ctl"


class Printer:
    """Rows as they come, in one of the forms `lines`, `json`, `table`."""

    def __init__(self, form: str, write: Callable[[str], object]) -> None:
        self.form = form
        self._write = write
        self._rest = b""
        self._rows: list[dict[str, object]] = []
        self._some = False

    def feed(self, piece: bytes) -> None:
        *whole, self._rest = (self._rest + piece).split(b"\n")
        for row in whole:
            line, columns = json.loads(row)
            if self.form == "lines":
                self._write(line + "\n")
            elif self.form == "json":
                self._write((",\n " if self._some else "[") + json.dumps(columns))
            else:
                self._rows.append(columns)
            self._some = True

    def end(self) -> None:
        if self.form == "json":
            self._write("]\n" if self._some else "[]\n")
        elif self._rows:
            names = list(self._rows[0])
            table = [names, *([str(row.get(name, "")) for name in names] for row in self._rows)]
            widths = [max(map(len, column)) for column in zip(*table, strict=True)]
            for row in table:
                self._write("  ".join(map(str.ljust, row, widths)).rstrip() + "\n")


async def ask(amp: AMP, words: Sequence[str], printer: Printer) -> None:
    """Run a command to its end; raises what it declares."""
    await amp.callRemote(Run, words=list(words))
    last = False
    while not last:
        answer = await amp.callRemote(More)
        printer.feed(answer["piece"])
        last = answer["last"]
    printer.end()


async def run(reactor: Any, socket: str, words: Sequence[str], form: str) -> int:
    """0 done, 1 failed, 2 wrong words, 3 no broker."""
    output, errors = sys.__stdout__, sys.__stderr__  # twistd logs what is written to sys.stdout
    assert output is not None
    try:
        amp = await connectProtocol(UNIXClientEndpoint(reactor, socket), AMP())
        await ask(amp, words, Printer(form, output.write))
    except WrongWords as error:
        print(f"Usage:\n{error}", file=errors)
        return 2
    except (Refused, Failed) as error:
        print(error, file=errors)
        return 1
    except (ConnectError, ConnectionClosed):
        print(f"no broker answers at {socket}", file=errors)
        return 3
    finally:
        output.flush()
    return 0
