"""A circuit breaker: who fails again and again is left alone for a while, instead of everybody waiting for it."""
from collections.abc import Callable


class Breaker:
    """Opens after `failures` in a row, for `pause` seconds; then one question is let through, and its outcome decides."""

    def __init__(self, failures: int, pause: float, now: Callable[[], float]) -> None:
        self.in_a_row = 0
        self._failures = failures
        self._pause = pause
        self._now = now
        self._opened_at: float | None = None
        self._trying = False

    def lets_through(self) -> bool:
        """Whether to ask. After True, say how it went: `worked`, `failed`, or `dropped`."""
        if self._opened_at is None:
            return True
        if self._trying or self._now() - self._opened_at < self._pause:
            return False
        self._trying = True
        return True

    @property
    def is_open(self) -> bool:
        return self._opened_at is not None

    def worked(self) -> bool:
        """It has answered; whether that closes the breaker."""
        was_open = self.is_open
        self.in_a_row = 0
        self._opened_at = None
        self._trying = False
        return was_open

    def failed(self) -> bool:
        """It has not; whether that opens the breaker."""
        was_open = self.is_open
        self.in_a_row += 1
        if was_open or self.in_a_row >= self._failures:
            self._opened_at = self._now()
        self._trying = False
        return self.is_open and not was_open

    def dropped(self) -> None:
        """Nobody waited for the answer."""
        self._trying = False
