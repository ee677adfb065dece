"""How two nodes find out which topics they differ in, and tell each other of these, at the pace of their link and their stores.

One sends its digests (DIGESTS). The other goes through the buckets that differ, one at a time: it says what marks it has there
(MARKS); what is newer at the first comes back, and then which topics are to follow (NEED). Both wait with that until what they
were sent before is stored, so that no more than a bucket is under way.
"""
from typing import Final

from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.clock import MOST
from emqtwist.core.cluster.frames import BadFrame, Frame
from emqtwist.core.cluster.marks import BUCKETS, Mark, bucket_of

PIECE: Final = 1 << 18  # bytes that one node is told at a time
MOST_PENDING: Final = 10_000  # changes that are remembered for a node that is slow; if there are more, all is compared


class Comparing:
    """With one node that is connected. `pending` are the topics that it is to be told of, `differing` the buckets to go
    through.
    """

    __slots__ = ("pending", "differing", "again", "_asked", "_answer")

    def __init__(self, again: bool) -> None:
        self.pending: dict[bytes, None] = {}
        self.differing: list[int] = []
        self.again = again  # all is to be compared
        self._asked = False  # MARKS is not answered yet
        self._answer: Frame | None = None

    def note(self, topic: bytes) -> None:
        """It is to be told of a topic, when its link takes that."""
        if len(self.pending) < MOST_PENDING:
            self.pending[topic] = None
        elif topic not in self.pending:
            self.again = True

    def begin(self, differing: list[int]) -> None:
        """The other node has sent its digests, which are not the same in these buckets."""
        self.differing = differing

    def owe(self, bucket: int, newer: list[bytes], older: list[bytes]) -> None:
        """It has sent its marks of a bucket: it is to be told of what is newer here, and asked for the rest."""
        self.pending.update(dict.fromkeys(newer))
        self._answer = (f.NEED, bucket, tuple(older))

    def needed(self, topics: list[bytes]) -> None:
        """It has told what is newer there, and asks for these."""
        self.pending.update(dict.fromkeys(topics))
        self._asked = False

    def next(self, digests: list[int], buckets: list[dict[bytes, Mark]]) -> Frame | None:
        """What is to be sent when nothing is pending."""
        answer, self._answer = self._answer, None
        if answer is not None:
            return answer
        if self.again:
            self.again = False
            return (f.DIGESTS, tuple(digests))
        if self.differing and not self._asked:
            self._asked = True
            bucket = self.differing.pop()
            return (f.MARKS, bucket, tuple([(topic, *mark) for topic, mark in buckets[bucket].items()]))
        return None


# What such frames hold, checked.

def digests_of(frame: Frame) -> list[int]:
    digests = [digest for digest in frame[1] if type(digest) is int]
    if len(digests) != BUCKETS or len(frame[1]) != BUCKETS:
        raise BadFrame("DIGESTS that are not one number for each bucket")
    return digests


def marks_of(frame: Frame) -> dict[bytes, Mark]:
    check_bucket(frame[1])
    marks: dict[bytes, Mark] = {}
    for entry in frame[2]:
        if not isinstance(entry, tuple) or len(entry) != 4 or not isinstance(entry[0], bytes) or type(entry[3]) is not bool:
            raise BadFrame("MARKS with an entry that is none")
        if bucket_of(entry[0]) != frame[1]:
            raise BadFrame("MARKS with a topic of another bucket")
        marks[entry[0]] = mark_of(entry[1], entry[2], entry[3])
    return marks


def topics_of(frame: Frame) -> list[bytes]:
    check_bucket(frame[1])
    topics = [topic for topic in frame[2] if isinstance(topic, bytes)]
    if len(topics) != len(frame[2]):
        raise BadFrame("NEED of what is no topic")
    return topics


def check_bucket(bucket: int) -> None:
    if not 0 <= bucket < BUCKETS:
        raise BadFrame(f"there is no bucket {bucket}")


def mark_of(stamp: object, node: object, gone: bool) -> Mark:
    if not isinstance(stamp, int) or type(stamp) is bool or not 0 <= stamp < MOST or not isinstance(node, str):
        raise BadFrame("no stamp of a node")
    return stamp, node, gone
