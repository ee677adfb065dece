"""Addresses as they are counted: what one host may call itself, for whom limits hold together."""
from typing import Final

from emqtwist.core.who import address_of

HOST_BITS: Final = 64  # of an IPv6 address: whoever has one of them has all


def source_of(host: str) -> str:
    """Who counts as one: an IPv4 address, an IPv6 network of 64 bits; "" for what has no address."""
    if ":" not in host:
        return host
    address = address_of(host)
    if address is None:
        return ""
    return str(address) if address.version == 4 else f"{int(address) >> HOST_BITS:x}/64"
