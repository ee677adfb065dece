"""Ways in which the same bytes may arrive."""
import random
from collections.abc import Callable

Chunking = Callable[[bytes], list[bytes]]


def whole(data: bytes) -> list[bytes]:
    return [data]


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[place:place + 1] for place in range(len(data))]


def random_chunks(seed: int) -> Chunking:
    def cut(data: bytes) -> list[bytes]:
        chance = random.Random(seed)
        cuts = sorted(chance.choices(range(len(data) + 1), k=chance.randint(1, 6)))
        return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]

    return cut


WAYS: dict[str, Chunking] = {
    "whole": whole, "byte by byte": byte_by_byte, **{f"random {seed}": random_chunks(seed) for seed in range(4)},
}
