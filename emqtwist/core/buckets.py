"""Token buckets: how fast one client may go on average, and how much of that at once."""


class Bucket:
    """Holds a second's worth of tokens, and starts full. It may be overdrawn: what has been read is served, then paid for.

    The rate comes with each call, so a live change holds at once.
    """

    __slots__ = ("_spent", "_at")

    def __init__(self, now: float) -> None:
        self._spent = 0.0  # tokens that are not back yet
        self._at = now

    def take(self, amount: int, rate: int, now: float) -> float:
        """Take `amount` tokens, of which `rate` come back each second; how many seconds to wait until none is owed."""
        self._refill(rate, now)
        self._spent += amount
        return max(0.0, self._spent / rate - 1.0)

    def try_take(self, amount: int, rate: int, now: float) -> bool:
        """Take `amount` tokens if there are so many."""
        self._refill(rate, now)
        if self._spent + amount > rate:
            return False
        self._spent += amount
        return True

    def _refill(self, rate: int, now: float) -> None:
        self._spent = max(0.0, self._spent - (now - self._at) * rate)
        self._at = now
