"""The table of all rows, as broker.ini addresses them: section and key, or one dotted key."""
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, TypeVar

from emqtwist.config.rows import Free, Named, Row, contents

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

D = TypeVar("D", bound="DataclassInstance")
NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
ANY_NAME: Final = "<name>"
ALIKE: Final = 0.75  # of two spellings: surely one was meant for the other


class AnyKey(Mapping[str, Row]):
    """A row that every word is a key of; those that look for keys see `<name>`."""

    def __init__(self, row: Row) -> None:
        self._row = row

    def __getitem__(self, key: str) -> Row:
        if key != ANY_NAME and not NAME.fullmatch(key):
            raise KeyError(key)
        return self._row

    def __iter__(self) -> Iterator[str]:
        return iter((ANY_NAME,))

    def __len__(self) -> int:
        return 1


class Table:
    """The rows of a tree of sections: dict section -> key -> Row, `named` for the sections that the operator names.

    Of these a reload changes how many there are, and their order, where they are `live`; `placed` know their file and line.
    """

    def __init__(self, root: "type[DataclassInstance]") -> None:
        self.sections: dict[str, Mapping[str, Row]] = {}
        self.named: dict[str, Mapping[str, Row]] = {}
        self.live: set[str] = set()
        self.placed: set[str] = set()
        for name, section in contents(root):
            if isinstance(section, type):
                self._add(name, section)
            elif isinstance(section, Named):
                self._add_named(name, section)

    def _add(self, path: str, section: "type[DataclassInstance]") -> None:
        said = list(contents(section))
        rows = {name: row for name, row in said if isinstance(row, Row) and not isinstance(row, Free)}
        if rows:
            self.sections[path] = rows
        for name, each in said:
            if isinstance(each, Free):
                self.sections[f"{path}.{each.section}"] = (
                    AnyKey(each) if each.names is None else dict.fromkeys(each.names(), each))
            elif isinstance(each, Named):
                self._add_named(f"{path}.{name}", each)
            elif isinstance(each, type):
                self._add(f"{path}.{name}", each)

    def _add_named(self, path: str, each: Named) -> None:
        self.named[path] = {key: row for key, row in contents(each.make) if isinstance(row, Row)}
        self.live |= {path} if each.live else set()
        self.placed |= {path} if each.placed else set()

    def rows(self, section: str) -> Mapping[str, Row] | None:
        """The rows of a section as a file names it, None when there is no such section."""
        parent, _, name = section.rpartition(".")
        return self.sections.get(section, self.named.get(parent) if NAME.fullmatch(name) else None)

    def is_named(self, section: str) -> bool:
        return section.rpartition(".")[0] in self.named

    def split(self, dotted: str) -> tuple[str, str]:
        """Section and key of a dotted key: the longest section there is wins, as keys of `[log.level]` have dots."""
        section = dotted.rpartition(".")[0]
        while section and self.rows(section) is None:
            section = section.rpartition(".")[0]
        section = section or dotted.rpartition(".")[0]
        return section, dotted[len(section) + 1:] if section else dotted

    def row(self, dotted: str) -> Row | None:
        section, key = self.split(dotted)
        return (self.rows(section) or {}).get(key)

    def nearest_section(self, section: str) -> str:
        """The section that was perhaps meant, empty when none comes near."""
        return _closest(section, [*self.sections, *(f"{path}.{ANY_NAME}" for path in self.named)])

    def nearest_key(self, section: str, key: str) -> tuple[str, str]:
        """Section and key that were perhaps meant: spelled alike in this section, else in another, else not so alike in this."""
        if section in self.named:  # emq.conf writes `listener.tcp.external = 1883`
            return f"{section}.{key}", next(iter(self.named[section]))
        here = list(self.rows(section) or ())
        own = _closest(key, here, ALIKE)
        if own:
            return section, own
        keys = {f"{path}.{name}": (path, name) for path, name in self._keys()}
        meant = _closest(key.rpartition(".")[2], [name for _, name in keys.values()], ALIKE)
        namesakes = [dotted for dotted, (_, name) in keys.items() if name == meant]
        found = keys.get(_closest(f"{section}.{key}", namesakes, 0.0))
        own = "" if found else _closest(key, here)
        return found or ((section, own) if own else ("", ""))

    def _keys(self) -> Iterator[tuple[str, str]]:
        sections = [*self.sections.items(), *((f"{path}.{ANY_NAME}", rows) for path, rows in self.named.items())]
        for path, rows in sections:
            for key in rows:
                yield path, key


def _closest(text: str, known: list[str], cutoff: float = 0.6) -> str:
    return next(iter(get_close_matches(text, known, 1, cutoff)), "")


def values_of(section: "DataclassInstance", path: str = "") -> dict[str, object]:
    """All values below a section: dict dotted key -> value."""
    values: dict[str, object] = {}
    for name, said in contents(section):
        value, key = getattr(section, name), f"{path}.{name}" if path else name
        if isinstance(said, Free):
            values.update({f"{path}.{said.section}.{part}": each for part, each in value})
        elif isinstance(said, Row):
            values[key] = value
        elif isinstance(said, Named):
            for each in value:
                values.update(values_of(each, f"{key}.{each.name}"))
        else:
            values.update(values_of(value, key))
    return values


def build(default: D, values: Mapping[str, object], path: str = "") -> D:
    """A section like `default` with what `values` (dotted key -> value) say instead.

    Where they name a section of one kind, those of other kinds that stand beside it by default are gone as well.
    """
    changes: dict[str, object] = {}
    sections: dict[str, object] = {}
    for name, said in contents(default):
        key = f"{path}.{name}" if path else name
        if isinstance(said, Free):
            changes[name] = tuple(_below(f"{path}.{said.section}", values).items())
        elif isinstance(said, Row):
            changes[name] = values.get(key, getattr(default, name))
        elif isinstance(said, Named):
            sections[name] = tuple(_build_named(said, key, values))
        else:
            changes[name] = build(getattr(default, name), values, key)
    if any(sections.values()):
        changes.update(sections)
    return replace(default, **changes)


def _build_named(said: Named, path: str, values: Mapping[str, object]) -> "Iterator[DataclassInstance]":
    for name in dict.fromkeys(key.partition(".")[0] for key in _below(path, values)):
        yield said.make(name=name, **_below(f"{path}.{name}", values))  # type: ignore[call-arg]


def _below(path: str, values: Mapping[str, object]) -> dict[str, object]:
    return {key[len(path) + 1:]: value for key, value in values.items() if key.startswith(f"{path}.")}
