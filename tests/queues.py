"""Queues of messages, and what goes in and comes out of them."""
import pytest

from emqtwist.core.message import NEVER, Delivery, Message
from emqtwist.core.mqueue import MQueue

BOTH = pytest.mark.parametrize("kind", ["simple", "priority"])


def queue_of(kind: str = "simple", priorities: dict[bytes, int] | None = None, max_length: int = 0, max_bytes: int = 0,
             low_watermark: float = 0.2, high_watermark: float = 0.6) -> MQueue:
    return MQueue(kind, priorities or {}, max_length, max_bytes, low_watermark, high_watermark)


def delivery(topic: bytes, payload: bytes = b"", expires_at: float = NEVER) -> Delivery:
    return Message(topic, payload, 1, expires_at=expires_at), 0x32, (), 0


def put_all(queue: MQueue, topic: bytes, payloads: bytes) -> list[bytes]:
    """Put a message for each byte; the payloads of what was dropped."""
    dropped: list[Delivery] = []
    for payload in payloads:
        dropped += queue.put(delivery(topic, bytes([payload])))
    return payloads_of(dropped)


def payloads_of(deliveries: list[Delivery]) -> list[bytes]:
    return [message.payload for message, _, _, _ in deliveries]


def take_all(queue: MQueue) -> list[bytes]:
    return payloads_of([queue.take() for _ in range(len(queue))])
