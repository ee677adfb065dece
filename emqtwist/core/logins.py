"""Failed logins: an address from which too many come is refused for a while, then for longer."""
from collections import OrderedDict
from typing import Final

from emqtwist.core.addresses import source_of

MOST: Final = 100_000  # addresses


class LoginSettings:
    """From `failures` failed logins within `window` on, an address is refused for `first` seconds, each time twice as long.

    `longest` is a bound to that. Without `failures` none is refused.
    """

    __slots__ = ("failures", "window", "first", "longest")

    def __init__(self, failures: int, window: float, first: float, longest: float) -> None:
        self.failures = failures
        self.window = window
        self.first = first
        self.longest = longest


class _Record:
    """`count` failures since `began`; refused `until` then, `times` so far. All is forgotten some time after `last`."""

    __slots__ = ("began", "count", "until", "times", "last")

    def __init__(self, now: float) -> None:
        self.began = self.until = self.last = now
        self.count = self.times = 0


class Logins:
    """What is remembered of each address. The one that has failed least lately is forgotten first."""

    __slots__ = ("_records", "_most")

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def __len__(self) -> int:
        return len(self._records)

    def failed(self, host: str, now: float, settings: LoginSettings) -> None:
        """One more from `host`; what is not an address is not counted."""
        source = source_of(host)
        if not settings.failures or not source:
            return
        record = self._records.pop(source, None)
        if record is None or now - record.last >= max(settings.window, settings.longest):
            record = _Record(now)
        elif now - record.began >= settings.window:
            record.began, record.count = now, 0
        record.count += 1
        record.last = now
        if record.count >= settings.failures:
            pause = min(settings.first * 2.0 ** min(record.times, 30), settings.longest)
            record.began = record.until = record.last = now + pause
            record.times += 1
            record.count = 0
        self._records[source] = record
        if len(self._records) > self._most:
            self._records.popitem(last=False)

    def refuses(self, host: str, now: float) -> bool:
        """Whether nobody from `host` may try again yet."""
        if not self._records:
            return False
        record = self._records.get(source_of(host))
        return record is not None and record.until > now
