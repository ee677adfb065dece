"""Users whom the broker keeps itself, by name. How a hash is made and tried is no matter of this table."""
from collections.abc import Callable
from typing import Final

from emqtwist.core import records as r
from emqtwist.core.journal import Journal
from emqtwist.core.link import nobody
from emqtwist.core.pending import Pending

MOST: Final = 1_000_000  # users at a time


class User:
    """`password_hash` is what is kept of the password; a `superuser` is asked by no access rule."""

    __slots__ = ("name", "password_hash", "superuser")

    def __init__(self, name: str, password_hash: str, superuser: bool) -> None:
        self.name = name
        self.password_hash = password_hash
        self.superuser = superuser


class Users:
    """All of them, `table` by name. With a `journal` they outlive the process. `changed` is called after each change."""

    __slots__ = ("table", "changed", "_journal", "_most")

    def __init__(self, journal: Journal | None, most: int = MOST) -> None:
        self.table: dict[str, User] = {}
        self.changed: Callable[[], None] = nobody
        self._journal = journal
        self._most = most

    def set(self, user: User) -> bool:
        """In place of one of the same name. False when there are as many as are kept."""
        if user.name not in self.table and len(self.table) >= self._most:
            return False
        self.table[user.name] = user
        if self._journal is not None:
            self._journal.add((r.USER, user.name, user.password_hash, int(user.superuser)))
        self.changed()
        return True

    def recover(self, user: User) -> None:
        """One that the store has."""
        self.table[user.name] = user
        self.changed()

    def remove(self, name: str) -> bool:
        """Whether there was one."""
        if self.table.pop(name, None) is None:
            return False
        if self._journal is not None:
            self._journal.add((r.USER_GONE, name))
        self.changed()
        return True

    def failing(self) -> str:
        """Why nothing can be kept now; empty when it can, or nothing outlives the process anyway."""
        return "" if self._journal is None else self._journal.failing

    def stored(self) -> Pending[bool]:
        """Decided when the store has all that was changed so far, where there is one."""
        return Pending(True) if self._journal is None else self._journal.wait(self._journal.barrier())
