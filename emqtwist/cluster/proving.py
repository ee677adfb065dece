"""Who knows the cookie: each side proves it over all that both have said, and never sends it.

So nobody on the way can change a name or a version, and no proof is good for another link, or for the other side.
"""
import hmac
from typing import Final

SIZE: Final = 32  # bytes that each side draws
DIALS: Final = b"dials"
ANSWERS: Final = b"answers"


def transcript(*said: "str | bytes | int") -> bytes:
    """All that was said, each with its length before it."""
    parts = [each if isinstance(each, bytes) else str(each).encode() for each in said]
    return b"".join([b"%d:%s" % (len(part), part) for part in parts])


def proof(cookie: str, side: bytes, said: bytes) -> bytes:
    """What `side` sends: HMAC-SHA256 over its role and what was said."""
    return hmac.digest(cookie.encode(), side + said, "sha256")


def is_right(given: bytes, cookie: str, side: bytes, said: bytes) -> bool:
    """Whether `given` is that proof, in time that does not tell how far it was right."""
    return hmac.compare_digest(given, proof(cookie, side, said))
