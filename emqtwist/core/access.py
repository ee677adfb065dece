"""The seam to those who know who a client is: methods of enhanced authentication.

A method opens a `Conversation` for each exchange. It takes the client's Authentication Data, the first being that of
CONNECT (None when there is none), and gives for each a `Pending` step: `Continue`, `Accept` or `Refuse`. One that need
not wait gives `Pending(step)`.
"""
from typing import Protocol

from emqtwist.core.door import Door, Peer
from emqtwist.core.pending import Pending
from emqtwist.mqtt.errors import MQTTError


class Client:
    """What is known of a client that wants to get in. `user_name` is that of CONNECT: claimed, not proved.

    It has connected to `listener`, as `tcp.default`, from the host `address`; `peer` has the port too. `certificate` is what
    it has shown to a listener with TLS that believes it, None where it has not.
    """

    __slots__ = ("client_id", "user_name", "listener", "peer", "address", "loopback", "certificate")

    def __init__(self, client_id: str, user_name: str | None, door: Door, peer: Peer) -> None:
        self.client_id = client_id
        self.user_name = user_name
        self.listener = door.name
        self.peer = peer.text
        self.address = peer.address
        self.loopback = peer.loopback
        self.certificate = peer.certificate


class Step:
    """What a method answers."""

    __slots__ = ()


class Continue(Step):
    """More is needed: `data` goes to the client in AUTH."""

    __slots__ = ("data",)

    def __init__(self, data: bytes | None) -> None:
        self.data = data


class Accept(Step):
    """The client is `user_name`; `data` goes to it in CONNACK, or in AUTH after a re-authentication."""

    __slots__ = ("user_name", "data")

    def __init__(self, user_name: str, data: bytes | None = None) -> None:
        self.user_name = user_name
        self.data = data


class Refuse(Step):
    """The client does not get in, or not stay; it is told the reason of `error`."""

    __slots__ = ("error",)

    def __init__(self, error: MQTTError) -> None:
        self.error = error


class Conversation(Protocol):
    """One exchange with one client, seen from the method."""

    def take(self, data: bytes | None) -> Pending[Step]:
        """What follows from the client's next Authentication Data."""


class Method(Protocol):
    """One Authentication Method."""

    def open(self, client: Client) -> Conversation:
        """A new exchange."""
