"""The syntax of broker.ini: sections, `key = value`, comments; every line keeps its number.

The standard library's configparser tells neither the line of a key nor more than its first mistake.
"""
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from emqtwist.config.problems import Problem

COMMENT: Final = re.compile(r"(?:^|\s)[#;]")
HEADER: Final = re.compile(r"\[\s*([^\[\]\s]+)\s*\]")


@dataclass(frozen=True)
class Line:
    """A section's header (`key` is empty) or a key of it; `section` is empty above the first header."""

    number: int
    section: str
    key: str = ""
    text: str = ""


def read(text: str, source: str) -> tuple[list[Line], list[Problem]]:
    """The lines that say something, and what is wrong with the others."""
    lines: list[Line] = []
    problems: list[Problem] = []
    begun: dict[str, int] = {}
    section: str | None = ""  # None below a header that is wrong: whose keys these are cannot be told
    for number, content in _contents(text):
        if content.startswith("["):
            header = HEADER.fullmatch(content)
            section = header[1] if header else None
            if section is None:
                problems.append(Problem("not a section header", source, number, allowed="[section]"))
            elif section in begun:
                message = f"this section has begun at line {begun[section]} already"
                problems.append(Problem(message, source, number, section))
            else:
                begun[section] = number
                lines.append(Line(number, section))
            continue
        key, equals, value = content.partition("=")
        if not equals or not key.strip():
            message = "neither a section nor a key"
            problems.append(Problem(message, source, number, section or "", allowed="key = value"))
        elif section is not None:
            lines.append(Line(number, section, key.strip(), value.strip()))
    return lines, problems


def _contents(text: str) -> Iterator[tuple[int, str]]:
    """Number and content of each line that is not empty, without comments: `#` or `;` first or after a blank."""
    for number, line in enumerate(text.split("\n"), 1):
        content = COMMENT.split(line, maxsplit=1)[0].strip()
        if content:
            yield number, content
