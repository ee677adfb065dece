"""What a field of a section says about itself: the row of the configuration's table.

A section is a frozen dataclass. Each of its fields is a row (`row`), rows whose keys are free (`free`), sections that
the operator names (`named`), or a section within. A default stands as text, as an operator would write it.
"""
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from math import inf
from typing import TYPE_CHECKING, Final, TypeVar, cast

from emqtwist.config.values import Unit

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")
METADATA: Final = "emqtwist.config"


@dataclass(frozen=True)
class Row:
    """One key: how it is written, what it means, the file of the test that shows it, whether a reload applies it.

    `words` are names for special values, whatever the bounds. A row that is `secret` never shows its value.
    """

    unit: Unit[object]
    default: str | None
    meaning: str
    test: str
    live: bool = False
    minimum: str | None = None
    maximum: str | None = None
    words: Mapping[str, object] = field(default_factory=dict)
    secret: bool = False

    def read(self, text: str) -> object:
        """The value that `text` stands for; ValueError says why there is none, without repeating the text."""
        if text.lower() in self.words:
            return self.words[text.lower()]
        value = self.unit.read(text)
        if not self._within(value):
            raise ValueError("out of range")
        return value

    def holds(self, value: object) -> bool:
        """Whether a value that came from no file is one that a file could give."""
        return self._word(value) is not None or (self.unit.holds(value) and self._within(value))

    def _word(self, value: object) -> str | None:
        return next((word for word, meant in self.words.items() if meant == value and type(meant) is type(value)), None)

    def write(self, value: object) -> str:
        """Text that `read` takes for this value; a secret's does not show it."""
        if self.secret:
            return "***" if value else ""
        word = self._word(value)
        return self.unit.write(value) if word is None else word

    def _within(self, value: object) -> bool:
        if not isinstance(value, (int, float)):
            return True
        return self._bound(self.minimum, 0) <= value <= self._bound(self.maximum, inf) and value != inf

    def _bound(self, text: str | None, otherwise: float) -> float:
        return otherwise if text is None else cast(float, self.unit.read(text))

    @property
    def bounds(self) -> str:
        """`from 1KB to 256MB`, or what there is of it."""
        low = [f"from {self.minimum}"] if self.minimum is not None else []
        return " ".join(low + ([f"to {self.maximum}"] if self.maximum is not None else []))

    @property
    def allowed(self) -> str:
        """How to write a value, and which ones are good."""
        form = f"{self.unit.form}, {self.bounds}" if self.bounds else self.unit.form
        return " or ".join([form, *self.words])


@dataclass(frozen=True)
class Free(Row):
    """A row for each key out of `names`, in a section `[<this section>.<section>]`; the value is (key, value) pairs.

    Without `names` any word is a key.
    """

    section: str = ""
    title: str = ""
    names: Callable[[], Sequence[str]] | None = None


@dataclass(frozen=True)
class Named:
    """Sections `[<this section>.<field>.<name>]`, made by `make`; the value is a tuple of them.

    `live`: a reload makes and takes away some, and their order counts. A field `place` of them gets file and line.
    """

    make: "type[DataclassInstance]"
    live: bool = False

    @property
    def placed(self) -> bool:
        return any(each.name == "place" for each in fields(self.make))


def row(default: str | None, unit: Unit[T], *, meaning: str, test: str, live: bool = False, minimum: str | None = None,
        maximum: str | None = None, words: Mapping[str, T] | None = None, secret: bool = False) -> T:
    """A field that is a row; without a default, the key must be written."""
    made = Row(unit, default, meaning, test, live, minimum, maximum, words or {}, secret)
    value = cast(T, MISSING if default is None else made.read(default))
    return field(default=value, repr=not secret, metadata={METADATA: made})


def free(section: str, unit: Unit[T], *, title: str, meaning: str, test: str, live: bool = False,
         names: Callable[[], Sequence[str]] | None = None) -> tuple[tuple[str, T], ...]:
    """A field with the pairs of a section, in order; its keys come from `names`. `title` stands for them in the reference."""
    made = Free(unit, "", meaning, test, live, section=section, title=title, names=names)
    return field(default=(), metadata={METADATA: made})


def named(make: "type[DataclassInstance]", *default: T, live: bool = False) -> tuple[T, ...]:
    """A field with the sections that the operator has named; `default` are there when none is written."""
    return field(default=default, metadata={METADATA: Named(make, live)})


def contents(
    section: "DataclassInstance | type[DataclassInstance]",
) -> "Iterator[tuple[str, Row | Named | type[DataclassInstance]]]":
    """Each field by its name, with what it says about itself, or the class of the section that it holds."""
    for each in fields(section):
        if METADATA in each.metadata:
            yield each.name, each.metadata[METADATA]
        elif is_dataclass(each.default) and not isinstance(each.default, type):  # not a name or a place
            yield each.name, type(each.default)
