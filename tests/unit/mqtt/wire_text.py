"""Packets written down for people: hexadecimal digits, and characters between quotes."""


def raw(text: str) -> bytes:
    """`raw("40 02 0001")` and `raw("0004 'MQTT'")` are the bytes that they look like."""
    parts = text.split("'")
    return b"".join([part.encode() if place % 2 else bytes.fromhex(part) for place, part in enumerate(parts)])
