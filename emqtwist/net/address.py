"""Addresses of peers and listeners, for decisions and for the log."""
from ipaddress import ip_address

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress


def describe(address: IAddress) -> str:
    """`host:port`, an IPv6 host in brackets."""
    if isinstance(address, IPv4Address):
        return f"{address.host}:{address.port}"
    if isinstance(address, IPv6Address):
        return f"[{address.host}]:{address.port}"
    return str(address)


def is_loopback(address: IAddress) -> bool:
    """Whether the peer is on this host."""
    if isinstance(address, IPv4Address):
        return address.host.startswith("127.")
    return isinstance(address, IPv6Address) and ip_address(address.host.partition("%")[0]).is_loopback
