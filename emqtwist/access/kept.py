"""The users that the broker keeps: what is kept of their passwords, as something that a password can be tried with."""
from emqtwist.access import hashes
from emqtwist.access.hashes import Hash
from emqtwist.core.users import User, Users


class Kept:
    """Looks at `users` each time, and has read each hash once. As a container it has those who are superusers."""

    def __init__(self, users: Users) -> None:
        self._users = users
        self._read: dict[str, tuple[User, Hash]] = {}

    def find(self, name: str) -> Hash | None:
        user = self._users.table.get(name)
        if user is None:
            self._read.pop(name, None)
            return None
        known = self._read.get(name)
        if known is None or known[0] is not user:
            known = self._read[name] = user, hashes.parse(user.password_hash)
        return known[1]

    def __contains__(self, name: object) -> bool:
        user = self._users.table.get(name) if isinstance(name, str) else None
        return user is not None and user.superuser
