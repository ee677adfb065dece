"""Jobs for tests of the pools: some wait for a decision, some fail, and tables that fail when they are written."""
from collections.abc import Iterable
from typing import Any, TypeVar

from emqtwist.core.link import Link
from emqtwist.core.pending import Pending
from emqtwist.core.pool import Job, Key, Pool

K = TypeVar("K")
V = TypeVar("V")


class Failed(RuntimeError):
    """What a trial raises."""


class Trial(Job):
    """Notes in `diary` that it began, went on and ended, and fails when it is decided to."""

    def __init__(self, key: Key, name: str, diary: list[str], waits: int = 0, fails: bool = False) -> None:
        super().__init__(key)
        self.name = name
        self.diary = diary
        self.left = waits
        self.fails = fails
        self.gate: Pending[bool] = Pending()

    def run(self) -> None:
        self.diary.append(f"+{self.name}")
        self._next()

    def decide(self, fails: bool = False) -> None:
        """What it waits for is decided."""
        self.fails = fails
        self.gate.resume(True)

    def failed(self) -> None:
        self.diary.append(f"!{self.name}")

    def _next(self) -> None:
        if self.left:
            self.left -= 1
            self.gate = Pending()
            self.wait(self.gate, self._go_on)
        elif self.fails:
            raise Failed(f"{self.name} fails")
        else:
            self.diary.append(f"-{self.name}")

    def _go_on(self, link: Link, decision: bool) -> None:
        self._next()


class Poisoned(dict[K, V]):
    """A table that fails once for each of `poison`, when that is written or deleted."""

    def __init__(self, held: dict[K, V], poison: Iterable[K]) -> None:
        super().__init__(held)
        self.poison = list(poison)

    def __setitem__(self, key: K, value: V) -> None:
        self._taste(key)
        super().__setitem__(key, value)

    def __delitem__(self, key: K) -> None:
        self._taste(key)
        super().__delitem__(key)

    def pop(self, key: K, *default: Any) -> Any:
        self._taste(key)
        return super().pop(key, *default)

    def _taste(self, key: K) -> None:
        if key in self.poison:
            self.poison.remove(key)
            raise RuntimeError(f"{key!r} is poison")


def neighbour(pool: Pool, key: Key, form: str = "n{}") -> str:
    """Another key of the same worker."""
    names = [form.format(number) for number in range(1000)]
    mine = pool.worker(key)
    return next(name for name in names if pool.worker(name.encode() if isinstance(key, bytes) else name) is mine)


def stranger(pool: Pool, key: Key, form: str = "n{}") -> str:
    """A key of another worker."""
    names = [form.format(number) for number in range(1000)]
    mine = pool.worker(key)
    return next(name for name in names if pool.worker(name.encode() if isinstance(key, bytes) else name) is not mine)
