"""A configuration's mistakes, told all at once."""
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One mistake: where it is, what is wrong, what is allowed, and what was perhaps meant.

    `line` is 0 where no line is to blame; `value` is the text as written, with references unreplaced, and empty when it
    is or might be a secret.
    """

    message: str
    source: str = ""
    line: int = 0
    section: str = ""
    key: str = ""
    value: str = ""
    allowed: str = ""
    nearest: str = ""

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}" if self.source and self.line else self.source
        subject = " ".join(part for part in (f"[{self.section}]" if self.section else "", self.key) if part)
        subject += f" = {self.value}" if self.value else ""
        text = ": ".join(part for part in (place, subject, self.message) if part)
        text += f"; allowed: {self.allowed}" if self.allowed else ""
        return text + (f"; did you mean {self.nearest}?" if self.nearest else "")


class ConfigError(Exception):
    """The configuration cannot be used; `problems` are all its mistakes, in the order of their lines."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        super().__init__("\n".join(str(problem) for problem in self.problems))
