"""Addresses of peers and listeners, for decisions and for the log."""
import os
from ipaddress import ip_address

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress

from emqtwist.core.door import Peer

LOCAL = "unix"  # what is said of peers at Unix sockets, which have no name


def describe(address: IAddress) -> str:
    """`host:port`, an IPv6 host in brackets; the path of a Unix socket."""
    if isinstance(address, IPv4Address):
        return f"{address.host}:{address.port}"
    if isinstance(address, IPv6Address):
        return f"[{address.host}]:{address.port}"
    if isinstance(address, UNIXAddress) and address.name:
        return os.fsdecode(address.name)
    return str(address)


def peer_of(address: IAddress) -> Peer:
    """Who is at the other end of a connection."""
    if type(address) is IPv4Address:  # as below, for most connections
        host: str = address.host
        return Peer(f"{host}:{address.port}", host, host.startswith("127."))
    if isinstance(address, UNIXAddress):
        return Peer(LOCAL, "", True)
    return Peer(describe(address), host_of(address), is_loopback(address))


def host_of(address: IAddress) -> str:
    """The host of a peer, without its port; empty where it has none."""
    return address.host if isinstance(address, (IPv4Address, IPv6Address)) else ""


def is_loopback(address: IAddress) -> bool:
    """Whether the peer is on this host."""
    if isinstance(address, IPv4Address):
        return address.host.startswith("127.")
    return isinstance(address, IPv6Address) and ip_address(address.host.partition("%")[0]).is_loopback
