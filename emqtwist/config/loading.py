"""From broker.ini to a `Config`, or all that is wrong with it."""
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from emqtwist.config.expansion import expand
from emqtwist.config.problems import ConfigError, Problem
from emqtwist.config.reader import Line, read
from emqtwist.config.rows import Row
from emqtwist.config.rules import Conflict, conflicts
from emqtwist.config.table import Table, build, values_of
from emqtwist.config.tree import Config

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

D = TypeVar("D", bound="DataclassInstance")


def load(path: str | os.PathLike[str], environment: Mapping[str, str] = os.environ) -> Config:
    """The configuration in a file; ConfigError holds every mistake in it."""
    source = os.fspath(path)
    try:
        content = Path(path).read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError([Problem(f"cannot be read: {error.strerror}", source)]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([Problem("not UTF-8", source, content.count(b"\n", 0, error.start) + 1)]) from None
    return parse(text, source, environment)


def parse(text: str, source: str = "<text>", environment: Mapping[str, str] = os.environ) -> Config:
    """The configuration that `text` is; `source` names it in errors, and its folder is where relative paths start."""
    loading = Loading(Config(), source, environment)
    loading.take(text)
    config = loading.built()
    loading.check(conflicts(config))
    if loading.problems:
        raise ConfigError(loading.problems)
    return config


def validate(config: Config) -> None:
    """Hold a configuration that a program has made to what a file must keep to; raises ConfigError."""
    table, problems = Table(Config), []
    for dotted, value in values_of(config).items():
        row, (section, key) = table.row(dotted), table.split(dotted)
        if row is None:
            problems.append(Problem("unknown key", section=section, key=key))
        elif not row.holds(value):
            problems.append(Problem("not allowed", "", 0, section, key, _shown(repr(value), row), row.allowed))
    if not problems:  # rules may count on good values
        problems = [Problem(conflict.message, key=conflict.keys[0]) for conflict in conflicts(config)]
    if problems:
        raise ConfigError(problems)


class Loading(Generic[D]):
    """One file on its way to sections: `values` by dotted key, and the line and text of each key that was written."""

    def __init__(self, default: D, source: str, environment: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        self.values: dict[str, object] = {}
        self._default = default
        self._table = Table(type(default))
        self._source = source
        self._environment = environment
        self._written: dict[str, Line] = {}
        self._named: dict[str, int] = {}  # sections that the operator has named, and where

    def take(self, text: str) -> None:
        """Read all lines, good and bad."""
        lines, self.problems = read(text, self._source)
        for line in lines:
            if line.key:
                self._take_key(line)
            elif self._table.rows(line.section) is None:
                nearest = self._table.nearest_section(line.section)
                self._report(line, "unknown section", section=line.section, nearest=nearest and f"[{nearest}]")
            elif self._table.is_named(line.section):
                self._name(line.section, line.number)
        for section in self._named:
            self._require(section)

    def _take_key(self, line: Line) -> None:
        section, key = (line.section, line.key) if line.section else self._table.split(line.key)
        rows = self._table.rows(section)
        if rows is None and line.section:
            return  # its header has been reported
        if rows is None or key not in rows:
            nearest = self._nearest(line, section, key)
            self._report(line, "unknown key", section=line.section, key=line.key, nearest=nearest)
            return
        if self._table.is_named(section):
            self._name(section, line.number)
        dotted, row = f"{section}.{key}", rows[key]
        if dotted in self._written:
            message = f"set at line {self._written[dotted].number} already"
            self._report(line, message, section=section, key=key)
            return
        self._written[dotted] = line
        try:
            self.values[dotted] = row.read(expand(line.text, Path(self._source).parent, self._environment))
        except ValueError as error:
            shown = _shown(line.text, row)
            self._report(line, str(error), section=section, key=key, value=shown, allowed=row.allowed)

    def _name(self, section: str, number: int) -> None:
        """The operator has named a section, at this line for the first time."""
        if section not in self._named:
            self._named[section] = number
            if section.rpartition(".")[0] in self._table.placed:
                self.values[f"{section}.place"] = f"{self._source}:{number}"

    def _nearest(self, line: Line, section: str, key: str) -> str:
        near_section, near_key = self._table.nearest_key(section, key)
        if not near_key or (line.section and near_section == section):
            return near_key
        return f"[{near_section}] {near_key}" if line.section else f"{near_section}.{near_key}"

    def _require(self, section: str) -> None:
        """See that a named section has what has no default; leave it out where that is missing or bad."""
        required = [key for key, row in (self._table.rows(section) or {}).items() if row.default is None]
        for key in required:
            if f"{section}.{key}" not in self._written:
                self.problems.append(Problem("must be set", self._source, self._named[section], section, key))
        if any(f"{section}.{key}" not in self.values for key in required):
            self.values = {key: value for key, value in self.values.items() if not key.startswith(f"{section}.")}

    def built(self) -> D:
        """What was read, with defaults for the rest and for what was bad."""
        return build(self._default, self.values)

    def check(self, found: Iterable[Conflict]) -> None:
        """Report conflicts at the first of their keys that was written, unless one of these is bad by itself."""
        bad = self._written.keys() - self.values.keys()
        for conflict in found:
            written = [key for key in conflict.keys if key in self._written]
            if written and bad.isdisjoint(conflict.keys):
                line, row = self._written[written[0]], self._table.row(written[0])
                section, key = self._table.split(written[0])
                self._report(line, conflict.message, section=section, key=key, value=_shown(line.text, row))

    def _report(self, line: Line, message: str, *, section: str, key: str = "", value: str = "", allowed: str = "",
                nearest: str = "") -> None:
        self.problems.append(Problem(message, self._source, line.number, section, key, value, allowed, nearest))


def _shown(text: str, row: Row | None) -> str:
    return "" if row is None or row.secret else text
