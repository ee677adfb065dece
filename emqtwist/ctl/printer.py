"""How an answer is printed: as lines, as a table, as JSON."""
import json
from collections.abc import Callable
from typing import Final

from emqtwist.core.link import nobody

Columns = dict[str, object]
CONTROLS: Final = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


class Printer:
    """Rows as they come, in one of the forms `lines`, `json`, `table`. Only a table keeps them, for its widths.

    What clients have made up, such as their identifiers, can neither steer a terminal nor forge a line. `write` takes what
    `encoding` can express; `show` is called when what has come so far is to be seen.
    """

    def __init__(self, form: str, write: Callable[[str], object], encoding: str = "utf-8",
                 show: Callable[[], object] = nobody) -> None:
        self.form = form
        self._write = write
        self._show = show
        self._encoding = encoding
        self._rest = b""
        self._kept: list[Columns] = []
        self._some = False
        self._ended = False

    def feed(self, piece: bytes) -> None:
        *whole, self._rest = (self._rest + piece).split(b"\n")
        for row in whole:
            line, columns = json.loads(row)
            if self.form == "lines":
                self._write(self._printable(line) + "\n")
            elif columns and self.form == "json":
                self._write(("," if self._some else "[") + json.dumps(columns) + "\n")  # a whole line: more may come much later
                self._some = True
            elif columns:
                self._kept.append(columns)
        self._show()

    def escaped(self, text: str) -> str:
        """A text that may have several lines, as it can be printed."""
        return "\n".join(map(self._printable, text.split("\n")))

    def end(self) -> None:
        """No more comes, for whatever reason."""
        if self._ended:
            return
        self._ended = True
        if self.form == "json":
            self._write("]\n" if self._some else "[]\n")
        elif self._kept:
            self._write_table()
        self._show()

    def _write_table(self) -> None:
        names = list(dict.fromkeys(name for row in self._kept for name in row))
        table = [names, *([self._cell(row.get(name)) for name in names] for row in self._kept)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for row in table:
            self._write("  ".join(map(str.ljust, row, widths)).rstrip() + "\n")

    def _cell(self, value: object) -> str:
        return "" if value is None else self._printable(value if isinstance(value, str) else json.dumps(value))

    def _printable(self, text: str) -> str:
        return text.translate(CONTROLS).encode(self._encoding, "backslashreplace").decode(self._encoding)
