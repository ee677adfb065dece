"""Whose sessions there are, as far as they are counted."""


class Owners:
    """`counts` is a dict owner -> how many sessions it has."""

    __slots__ = ("counts", "_owners")

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._owners: dict[str, str] = {}  # by Client Identifier

    def owner(self, client_id: str) -> str:
        """Empty for a session that is not counted."""
        return self._owners.get(client_id, "")

    def own(self, client_id: str, owner: str) -> None:
        """The session is that of `owner`, and no other's."""
        if self._owners.get(client_id) != owner:
            self.disown(client_id)
            self._owners[client_id] = owner
            self.counts[owner] = self.counts.get(owner, 0) + 1

    def disown(self, client_id: str) -> None:
        """The session is no more."""
        owner = self._owners.pop(client_id, None)
        if owner is not None:
            self.counts[owner] -= 1
            if not self.counts[owner]:
                del self.counts[owner]
