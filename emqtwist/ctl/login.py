"""Who knows the secret: each side proves it over a number that the other has drawn, and never sends it."""
import hmac
from secrets import token_bytes
from typing import Final

SIZE: Final = 32  # bytes that each side draws
CLIENT: Final = b"client"
BROKER: Final = b"broker"


def draw() -> bytes:
    return token_bytes(SIZE)


def proof(secret: str, side: bytes, challenge: bytes, nonce: bytes) -> bytes:
    """What `side` sends: HMAC-SHA256 over its name, the broker's number and the client's."""
    return hmac.digest(secret.encode(), side + challenge + nonce, "sha256")


def is_right(given: bytes, secret: str, side: bytes, challenge: bytes, nonce: bytes) -> bool:
    """Whether `given` is that proof, in time that does not tell how far it was right."""
    return len(nonce) == SIZE and hmac.compare_digest(given, proof(secret, side, challenge, nonce))
