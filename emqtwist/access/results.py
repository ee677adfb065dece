"""What was found of clients, for a while: who comes back soon, with everything as before, is not asked about again."""
import hmac
from collections import OrderedDict
from collections.abc import Callable
from secrets import token_bytes

from emqtwist.core.access import Client, Finding

Key = tuple[object, ...]


class Results:
    """Findings by all that they depend on; the password stands there as a keyed hash, with a key of this process.

    At most `size` of them, the one used longest ago goes first, and none is older than `lifetime` seconds.
    """

    def __init__(self, size: int, lifetime: float, now: Callable[[], float]) -> None:
        self._size = size
        self._lifetime = lifetime
        self._now = now
        self._secret = token_bytes(32)
        self._found: OrderedDict[Key, tuple[float, Finding]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._found)

    def key(self, client: Client, password: bytes | None) -> Key:
        """Equal only where every input of a decision is."""
        digest = None if password is None else hmac.digest(self._secret, password, "sha256")
        return (*client.inputs(), digest)

    def get(self, key: Key) -> Finding | None:
        kept = self._found.get(key)
        if kept is None:
            return None
        if self._now() - kept[0] >= self._lifetime:
            del self._found[key]
            return None
        self._found.move_to_end(key)
        return kept[1]

    def put(self, key: Key, finding: Finding) -> None:
        if not self._size or not self._lifetime:
            return
        self._found[key] = self._now(), finding
        self._found.move_to_end(key)
        while len(self._found) > self._size:
            self._found.popitem(last=False)

    def clear(self) -> None:
        self._found.clear()
