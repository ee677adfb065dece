"""Where a client comes in, and who stands there: what a listener knows of a network connection before its first byte."""


class Door:
    """A listener as its connections see it. `name` is the listener's, as `tcp.default`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class Peer:
    """The other end of a network connection.

    `text` is for the log and may have a port; `address` is the host alone, for decisions. `loopback` says that it is on this
    host.
    """

    __slots__ = ("text", "address", "loopback")

    def __init__(self, text: str, address: str, loopback: bool) -> None:
        self.text = text
        self.address = address
        self.loopback = loopback
