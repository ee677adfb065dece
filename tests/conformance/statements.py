"""The statements of both versions of the standard, from the tables beside this file.

A comment names a statement of 5.0 as `[MQTT-3.1.2-4]` and one of 3.1.1, which counts otherwise, as `[MQTT3-3.1.2-4]`. A test
that proves it is marked `mqtt5("3.1.2-4")` or `mqtt3("3.1.2-4")`.
"""
from pathlib import Path
from typing import Final, NamedTuple

HERE: Final = Path(__file__).parent
CHECKOUT: Final = HERE.parents[1]
PREFIXES: Final = {"5.0": "MQTT-", "3.1.1": "MQTT3-"}  # version -> how its statements are named in comments
MARKS: Final = {"mqtt5": "MQTT-", "mqtt3": "MQTT3-"}  # mark -> the same


class Statement(NamedTuple):
    """`tag` as in comments, without brackets; `same` are tags of 5.0 that ask for the same; `why` no test proves it."""

    tag: str
    version: str
    number: str
    bound: str
    words: str
    same: tuple[str, ...]
    why: str

    @property
    def binds_server(self) -> bool:
        return self.bound != "client"


def parse_line(version: str, line: str) -> Statement:
    number, bound, words, *rest = [field.strip() for field in line.split("|")]
    last = rest[0] if rest else ""
    same: tuple[str, ...] = ()
    if last.startswith("as "):
        same, last = tuple(["MQTT-" + each for each in last[3:].split()]), ""
    if bound not in ("server", "client", "both") or not words:
        raise ValueError(f"not `id | who | words`: {line}")
    return Statement(PREFIXES[version] + number, version, number, bound, words, same, last)


def statements() -> dict[str, Statement]:
    """By tag, in the order of the standard, 5.0 first."""
    found: dict[str, Statement] = {}
    for version in PREFIXES:
        table = HERE / f"statements_{version.replace('.', '_')}.txt"
        for line in table.read_text().splitlines():
            if line and not line.startswith("#"):
                statement = parse_line(version, line)
                if statement.tag in found:
                    raise ValueError(f"{statement.tag} stands twice in {table.name}")
                found[statement.tag] = statement
    return found
