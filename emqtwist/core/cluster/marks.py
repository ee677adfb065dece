"""Marks: what was last written to each topic and when, in buckets that two nodes can compare by their digests.

Of two marks of one topic the higher one holds: that with the later stamp; of one stamp, that of the node whose name comes later;
of one message, its end.
"""
from hashlib import blake2b
from typing import Final
from zlib import crc32

Mark = tuple[int, str, bool]  # stamp, the node that gave it, and whether there is no message any more

BUCKETS: Final = 256


def bucket_of(topic: bytes) -> int:
    return crc32(topic) % BUCKETS


def digest_of(topic: bytes, mark: Mark) -> int:
    """Of one topic; those of several are combined by exclusive or, so that no sum of parts may stand for another."""
    text = b"%b\0%d\0%b\0%d" % (topic, mark[0], mark[1].encode(), mark[2])
    return int.from_bytes(blake2b(text, digest_size=7).digest(), "big")


class Marks:
    """`buckets` are dictionaries topic -> Mark, `digests` those of each."""

    __slots__ = ("buckets", "digests")

    def __init__(self) -> None:
        self.buckets: list[dict[bytes, Mark]] = [{} for _ in range(BUCKETS)]
        self.digests = [0] * BUCKETS

    def __len__(self) -> int:
        return sum([len(bucket) for bucket in self.buckets])

    def get(self, topic: bytes) -> Mark | None:
        return self.buckets[bucket_of(topic)].get(topic)

    def holds(self, topic: bytes, mark: Mark) -> bool:
        """Whether a mark of `topic` says nothing new."""
        held = self.get(topic)
        return held is not None and held >= mark

    def set(self, topic: bytes, mark: Mark) -> None:
        at = bucket_of(topic)
        self._leave(at, topic)
        self.buckets[at][topic] = mark
        self.digests[at] ^= digest_of(topic, mark)

    def remove(self, topic: bytes) -> None:
        self._leave(bucket_of(topic), topic)

    def _leave(self, at: int, topic: bytes) -> None:
        held = self.buckets[at].pop(topic, None)
        if held is not None:
            self.digests[at] ^= digest_of(topic, held)

    def differing(self, digests: list[int]) -> list[int]:
        """The buckets whose digests are not these."""
        return [at for at in range(BUCKETS) if self.digests[at] != digests[at]]

    def compare(self, at: int, theirs: dict[bytes, Mark]) -> tuple[list[bytes], list[bytes]]:
        """The topics of a bucket of which only this node knows the newest, and those of which only the other does."""
        ours = self.buckets[at]
        newer = [topic for topic, mark in ours.items() if topic not in theirs or theirs[topic] < mark]
        older = [topic for topic, mark in theirs.items() if topic not in ours or ours[topic] < mark]
        return newer, older
