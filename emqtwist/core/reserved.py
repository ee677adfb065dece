"""Topics that are the broker's own, or mean something to it."""
from typing import Final

RESERVED: Final = (b"$SYS/", b"$share/", b"$queue/")  # clients may not publish there
DELAYED: Final = b"$delayed/"  # what is published below it may be for later (core/delayed.py), so it is never remembered
DOLLAR: Final = 0x24  # what all of them begin with


def is_reserved(topic: bytes) -> bool:
    return topic.startswith(RESERVED)
