"""What a liar or a bad line makes of packets: a list of encoded packets in, another one out."""
from collections.abc import Callable
from random import Random

from emqtwist.mqtt.wire import encode_variable

Mutation = Callable[[Random, list[bytes]], None]


def flip_bits(random: Random, packets: list[bytes]) -> None:
    at = random.randrange(len(packets))
    data = bytearray(packets[at])
    for _ in range(random.choice((1, 1, 1, 2, 8)) if data else 0):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    packets[at] = bytes(data)


def set_byte(random: Random, packets: list[bytes]) -> None:
    """An interesting byte somewhere near the beginning, where lengths and flags are."""
    at = random.randrange(len(packets))
    data = bytearray(packets[at])
    if data:
        data[min(random.randrange(24), len(data) - 1)] = random.choice((0, 1, 0x7F, 0x80, 0xC0, 0xED, 0xFF))
    packets[at] = bytes(data)


def truncate(random: Random, packets: list[bytes]) -> None:
    at = random.randrange(len(packets))
    packets[at] = packets[at][:random.randrange(len(packets[at]) + 1)]


def lie_about_length(random: Random, packets: list[bytes]) -> None:
    """Another Remaining Length, in any encoding, before the same body."""
    at = random.randrange(len(packets))
    first, body = _parts(packets[at])
    lies = (0, 1, 2, max(0, len(body) - 1), len(body) + 1, len(body) + 100, 1_048_577, 268_435_455)
    lie = random.choice([*map(encode_variable, lies), b"\x80\x00", b"\xFF\xFF\xFF\xFF\x7F", b"\x80\x80\x80\x80"])
    packets[at] = first + lie + body


def resize(random: Random, packets: list[bytes]) -> None:
    """A shorter or longer body, with the Remaining Length that it has."""
    at = random.randrange(len(packets))
    first, body = _parts(packets[at])
    body = random.choice((body[:random.randrange(len(body) + 1)], body[:-1], body + random.randbytes(3)))
    packets[at] = first + encode_variable(len(body)) + body


def _parts(packet: bytes) -> tuple[bytes, bytes]:
    """The first byte, and what follows the Remaining Length."""
    body = 1
    while body < len(packet) and packet[body] & 0x80:
        body += 1
    return packet[:1], packet[body + 1:]


def splice(random: Random, packets: list[bytes]) -> None:
    """The beginning of one packet and the end of another."""
    first, second = random.choice(packets), random.choice(packets)
    spliced = first[:random.randrange(len(first) + 1)] + second[random.randrange(len(second) + 1):]
    packets[random.randrange(len(packets))] = spliced


def repeat(random: Random, packets: list[bytes]) -> None:
    packet = random.choice(packets)
    for _ in range(random.choice((1, 1, 2, 100))):
        packets.insert(random.randrange(len(packets) + 1), packet)


def reorder(random: Random, packets: list[bytes]) -> None:
    packets.insert(random.randrange(len(packets)), packets.pop(random.randrange(len(packets))))


def leave_out(random: Random, packets: list[bytes]) -> None:
    if len(packets) > 1:
        del packets[random.randrange(len(packets))]


def insert_noise(random: Random, packets: list[bytes]) -> None:
    packets.insert(random.randrange(len(packets) + 1), random.randbytes(random.choice((1, 2, 5, 40))))


MUTATIONS: list[Mutation] = [flip_bits, flip_bits, set_byte, set_byte, truncate, lie_about_length, resize, resize, splice,
                             repeat, reorder, leave_out, insert_noise]


def mutate(random: Random, packets: list[bytes]) -> list[bytes]:
    """None to a few mutations."""
    mutated = packets or [b""]
    for _ in range(random.choice((0, 1, 1, 1, 2, 4))):
        random.choice(MUTATIONS)(random, mutated)
    return mutated


def split(random: Random, packets: list[bytes]) -> list[bytes]:
    """As the network may bring it: a packet at a time, all at once, byte by byte, or in any pieces."""
    data = b"".join(packets)
    way = random.randrange(4)
    if way == 0:
        return [packet for packet in packets if packet]
    if way == 1 and len(data) < 500:
        return [data[at:at + 1] for at in range(len(data))]
    cuts = sorted(random.randrange(len(data) + 1) for _ in range(random.randrange(8))) if way == 2 else []
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    return [piece for piece in pieces if piece]
