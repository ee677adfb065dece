"""Messages from node to node that are for one session: in place of a group they name it, also in a store."""
from typing import Final

from emqtwist.core.cluster.peer import KEPT, Peer
from emqtwist.core.group import SharedMessage
from emqtwist.core.message import PUBLISH_BYTE, QOS_1_BITS, Message

MARK: Final = b"\0"  # no group has it in its name
RELAYED: Final = b"r"  # `node` and `number` are the message's name: it came where the session was
CUT: Final = b"c"  # `node` sends all that follows to where the session has this epoch
LEFT: Final = b"l"  # where the session has gone to its client is no member of `group`
TOPIC: Final = b"$cut"


class Address:
    """What it is, for which client, and for that of its sessions which had this epoch; `group` is there if it is about a member
    of a group.
    """

    __slots__ = ("what", "client_id", "epoch", "node", "number", "group")

    def __init__(self, what: bytes, client_id: str, epoch: int, node: str = "", number: int = 0, group: bytes = b"") -> None:
        self.what = what
        self.client_id = client_id
        self.epoch = epoch
        self.node = node
        self.number = number
        self.group = group

    def name(self) -> bytes:
        """In place of that of a group."""
        name = MARK.join((b"", self.what, self.client_id.encode(), b"%d" % self.epoch, self.node.encode(), b"%d" % self.number))
        return name + MARK + self.group if self.group else name


def address_of(group: bytes) -> Address | None:
    """As it came; None when it is none."""
    parts = group.split(MARK)
    if len(parts) not in (6, 7) or not parts[3].isdigit() or not parts[5].isdigit():
        return None
    return Address(parts[1], parts[2].decode(errors="replace"), int(parts[3]), parts[4].decode(errors="replace"), int(parts[5]),
                   *parts[6:])


def send_on(peer: Peer, client_id: str, epoch: int, message: Message, first_byte: int, origin: tuple[str, int]) -> None:
    """What came for a session goes to another node that has it, or is nearer to it."""
    peer.deliver(SharedMessage(message, Address(RELAYED, client_id, epoch, *origin, message.group()).name()), first_byte, KEPT)


def cut(client_id: str, node: str, epoch: int) -> Message:
    """The same for all nodes: what `node` sends to each behind it is cut off from what it sent before."""
    return SharedMessage(Message(TOPIC, b"", 1), Address(CUT, client_id, epoch, node).name())


def send_cut(peer: Peer, message: Message) -> None:
    peer.deliver(message, PUBLISH_BYTE | QOS_1_BITS, KEPT)


def send_left(peer: Peer, client_id: str, epoch: int, group: bytes) -> None:
    """The copy of a session at that node is to leave a group, as its client has."""
    send_cut(peer, SharedMessage(Message(TOPIC, b"", 1), Address(LEFT, client_id, epoch, group=group).name()))
