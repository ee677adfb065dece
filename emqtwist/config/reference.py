"""docs/configuration.md, made from the rows: `python -m emqtwist.config.reference > docs/configuration.md`."""
import sys
from collections.abc import Iterator
from inspect import getdoc
from typing import TYPE_CHECKING, Final

from emqtwist.config.rows import Free, Named, Row, contents
from emqtwist.config.table import ANY_NAME
from emqtwist.config.tree import Config

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

HEAD: Final = """\
# Configuration

<!-- Generated: python -m emqtwist.config.reference > docs/configuration.md -->

`twistd emqtt --config broker.ini` reads one file, and `twistd emqtt --check --config broker.ini` only checks it. Every
mistake is told at once, with file, line, section and key. [examples/broker.ini](../examples/broker.ini) is a file to
start from. The command line goes before the file, and the file before the defaults below; nothing else is read.

```ini
# a comment; so is what follows a blank and # or ;
mqtt.session.max_inflight = 100     ; as in emq.conf: the dotted key, above the first section

[mqtt]
max_packet_size = 64KB

[listener.tcp.local]
bind = 127.0.0.1:1883
```

The section is all of the dotted key but its last part: `[mqtt.session] max_inflight` is `mqtt.session.max_inflight`.
A key stands once, and on one line. The file is UTF-8.

**References.** `${ENV:NAME}` in a value is replaced by an environment variable, `${file:/path}` by a file's content
without its last line break; a relative path starts at the folder of broker.ini. A variable or file that is missing is
an error. A secret belongs there, and so does a text with ` #` or ` ;` in it. What a reference gives is never shown in
an error.

**Changes.** On SIGHUP the file is read again. Keys marked *live* are applied; others that differ are named in the log
and wait for a restart. A file with a mistake changes nothing.

**Values.** Flags are `on` or `off` (also `true`, `false`, `yes`, `no`). Durations add up units in falling order: `7d`,
`1h30m`, `30s`, `500ms`; a bare number is seconds. Sizes are bytes; `KB`, `MB` and `GB` are powers of 1024.
Percentages have their sign: `20%`. An IPv6 address stands in brackets: `[::1]:1883`.
"""


def text() -> str:
    """The whole page."""
    return HEAD + "".join(f"\n{section}" for name, each in contents(Config) for section in _first(name, each))


def _first(name: str, each: "Row | Named | type[DataclassInstance]") -> Iterator[str]:
    if isinstance(each, Named):
        yield from _sections(f"{name}.{ANY_NAME}", each.make)
    elif isinstance(each, type):
        yield from _sections(name, each)


def _sections(path: str, section: "type[DataclassInstance]") -> Iterator[str]:
    said = list(contents(section))
    rows = [(name, row) for name, row in said if isinstance(row, Row) and not isinstance(row, Free)]
    if rows:
        yield _table(path, getdoc(section) or "", rows)
    for name, each in said:
        if isinstance(each, Free):
            yield _table(f"{path}.{each.section}", "", [(f"<{each.title}>", each)])
        elif isinstance(each, Named):
            yield from _sections(f"{path}.{name}.{ANY_NAME}", each.make)
        elif isinstance(each, type):
            yield from _sections(f"{path}.{name}", each)


def _table(path: str, intro: str, rows: list[tuple[str, Row]]) -> str:
    lines = [f"## [{path}]", "", *([intro, ""] if intro else []),
             "| Key | Type | Default | Allowed | Changes | Meaning |", "|---|---|---|---|---|---|"]
    return "\n".join([*lines, *(_line(key, row) for key, row in rows), ""])


def _line(key: str, row: Row) -> str:
    default = "*required*" if row.default is None else f"`{row.default}`" if row.default else "–"
    changes = "live" if row.live else "restart"
    meaning = row.meaning + (" A secret: its value is never shown." if row.secret else "")
    allowed = " or ".join([row.bounds or row.unit.form, *row.words])
    return f"| `{key}` | {row.unit.name} | {default} | {allowed} | {changes} | {meaning} |"


if __name__ == "__main__":
    sys.stdout.write(text())
