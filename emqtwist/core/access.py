"""The seams to those who know who a client is: a gatekeeper, and methods of enhanced authentication.

The gatekeeper is asked about clients without Authentication Method, and gives a `Pending` finding: `Ok`, `Deny`, or
`Ignore` where nobody knows the client.

A method opens a `Conversation` for each exchange. It takes the client's Authentication Data, the first being that of
CONNECT (None when there is none), and gives for each a `Pending` step: `Continue`, `Accept` or `Refuse`. One that need
not wait gives `Pending(step)`.
"""
from typing import Protocol

from emqtwist.core.door import Door, Peer
from emqtwist.core.pending import Pending
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import MQTTError


class Client:
    """What is known of a client that wants to get in. `user_name` is that of CONNECT: claimed, not proved.

    It has connected to `listener`, as `tcp.default`, from the host `address`; `peer` has the port too. `certificate` is what
    it has shown to a listener with TLS that believes it, None where it has not. A `superuser` is asked by no access rule.
    """

    __slots__ = ("client_id", "user_name", "listener", "peer", "address", "loopback", "certificate", "superuser")

    def __init__(self, client_id: str, user_name: str | None, door: Door, peer: Peer, superuser: bool = False) -> None:
        self.client_id = client_id
        self.user_name = user_name
        self.listener = door.name
        self.peer = peer.text
        self.address = peer.address
        self.loopback = peer.loopback
        self.certificate = peer.certificate
        self.superuser = superuser

    def inputs(self) -> tuple[object, ...]:
        """All that a decision about it can depend on; not `peer`, whose port is another for each connection."""
        certificate = self.certificate
        shown = None if certificate is None else (certificate.cn, certificate.dn, certificate.san)
        return self.client_id, self.user_name, self.listener, self.address, self.loopback, self.superuser, shown


class Finding:
    """What is found of a client that wants to get in. `why` is for the log, and is not told to the client."""

    __slots__ = ("why",)

    def __init__(self, why: str = "") -> None:
        self.why = why


class Ok(Finding):
    """It is who it says that it is."""

    __slots__ = ("superuser",)

    def __init__(self, superuser: bool = False, why: str = "") -> None:
        super().__init__(why)
        self.superuser = superuser


class Ignore(Finding):
    """Nobody knows such a client."""

    __slots__ = ()


class Deny(Finding):
    """It is not who it says that it is, or that cannot be found out; it is told the reason of `error`."""

    __slots__ = ("error",)

    def __init__(self, why: str = "", error: MQTTError | None = None) -> None:
        super().__init__(why)
        self.error = error or MQTTError("the user name or the password is wrong", c.BAD_USER_NAME_OR_PASSWORD)


class Verdict:
    """What somebody says of something that a client wants to do: `answer` is `allow`, `deny`, or `ignore` where he has no say.

    `why` is for the log and for who has it explained. A client of 5.0 that is denied something is told `reason_code`.
    """

    __slots__ = ("answer", "why", "reason_code")

    def __init__(self, answer: str, why: str = "", reason_code: int = c.NOT_AUTHORIZED) -> None:
        self.answer = answer
        self.why = why
        self.reason_code = reason_code


class Gatekeeper(Protocol):
    """Who is asked about clients without Authentication Method."""

    def guards(self, listener: str) -> bool:
        """Whether clients of this listener are asked about."""

    def judge(self, client: Client, password: bytes | None) -> Pending[Finding]:
        """What is found of a client."""


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
