"""[listener.tcp.<name>]: where clients connect."""
from dataclasses import dataclass
from typing import Final

from emqtwist.config.access import ACCESS, Access
from emqtwist.config.rows import named, row
from emqtwist.config.values import BIND, FLAG, INTEGER, Address

EFFECTS: Final = "tests/integration/test_listeners.py"


@dataclass(frozen=True, kw_only=True)
class TcpListener:
    """An address that clients connect to over TCP. Without any listener there is `default`, at 127.0.0.1:1883."""

    name: str
    bind: Address = row(
        None, BIND, test=EFFECTS,
        meaning="Where to listen; a port alone means every IPv4 address of the machine, port 0 one that the system "
                "chooses. Other than at loopback it needs `mqtt.allow_anonymous` or `[auth.scram]` to say who gets in.")
    backlog: int = row(
        "1024", INTEGER, minimum="1", maximum="65535", test=EFFECTS,
        meaning="Connections that the system holds before they are accepted.")
    nodelay: bool = row(
        "on", FLAG, test=EFFECTS,
        meaning="Send small packets at once (TCP_NODELAY).")

    max_connections: int = row(
        "0", INTEGER, live=True, words={"unlimited": 0}, test=EFFECTS,
        meaning="Connections that the listener has at a time; who comes then sees its connection close. 0 is unlimited.")
    access: Access = row(
        "allow all", ACCESS, live=True, test=EFFECTS,
        meaning="From which networks clients may connect: the first rule that has the address decides. Who is denied sees "
                "its connection close before anything is read.")


@dataclass(frozen=True, kw_only=True)
class ListenerSection:
    """All listeners."""

    tcp: tuple[TcpListener, ...] = named(TcpListener, TcpListener(name="default", bind=Address("127.0.0.1", 1883)))
