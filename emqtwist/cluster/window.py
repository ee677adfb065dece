"""How many bytes may be under way to a node, so that it is never sent more than it can take."""


class Sending:
    """Bytes that go to the other, and how far it has taken them. It takes `size` ahead of what it has told."""

    __slots__ = ("size", "sent", "taken")

    def __init__(self, size: int) -> None:
        self.size = size
        self.sent = 0
        self.taken = 0

    @property
    def room(self) -> int:
        """How many bytes may go now."""
        return self.size - (self.sent - self.taken)

    @property
    def under_way(self) -> int:
        return self.sent - self.taken

    def take(self, total: int) -> bool:
        """The other has taken so much from the beginning on; whether that can be."""
        if not self.taken <= total <= self.sent:
            return False
        self.taken = total
        return True


class Receiving:
    """Bytes that come from the other, which was told to have no more than `size` under way."""

    __slots__ = ("size", "received", "told")

    def __init__(self, size: int) -> None:
        self.size = size
        self.received = 0
        self.told = 0

    @property
    def owed(self) -> int:
        """Bytes that it is to be told of."""
        return self.received - self.told

    def receive(self, count: int) -> bool:
        """So many came; whether the other keeps to what it was told."""
        self.received += count
        return self.owed <= self.size

    def tell(self) -> int:
        """What to say: how many were taken."""
        self.told = self.received
        return self.told
