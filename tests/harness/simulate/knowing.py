"""Who has subscribed to what, and which nodes have to know of it.

A node has to know of a subscription if SUBACK had come while it and that of the subscriber were linked, or they have been linked,
and nothing went wrong between them, for some seconds since.
"""
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from emqtwist.core.cluster.epochs import COMING, state_of
from tests.harness.simulate.account import FILL, Account, Mail
from tests.harness.simulate.world import Found, World
from tests.properties.journal.clients import Arrival

if TYPE_CHECKING:
    from tests.harness.simulate.clients import SimClient
    from tests.harness.simulate.node import Node

CALM: Final = 5.0  # seconds after which two nodes that are linked know all of each other
SLACK: Final = 40.0  # seconds that a message is on its way with a session that goes from node to node, in which it grows no older


@dataclass
class Held:
    """A subscription that was confirmed.

    `knowing` are nodes that know it, with their start; those in `hearing` do so if nothing has happened between them and its
    node since: there was a takeover.
    """

    topic_filter: str
    knowing: dict[str, int] = field(default_factory=dict)
    hearing: dict[str, float] = field(default_factory=dict)


@dataclass
class Reader:
    """What a client has, and got. `possible` are filters that may be subscribed to, `ended` those that are not, with how many
    messages had been sent by then. Its session is at `home`, or has gone to one of `moving` meanwhile."""

    client: "SimClient"
    home: "Node | None" = None
    moving: dict[str, float] = field(default_factory=dict)  # nodes where it has tried to come in, with the time
    held: dict[str, Held] = field(default_factory=dict)
    asked: dict[str, float] = field(default_factory=dict)
    possible: dict[str, None] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    got: dict[int, int] = field(default_factory=dict)  # in this session: number -> how often
    twice: dict[int, None] = field(default_factory=dict)  # at QoS 2
    moved: int = 0  # messages that had been sent when some could still come on two ways, as its session had moved
    last: dict[tuple[object, ...], int] = field(default_factory=dict)
    sessions: int = 0
    began: "Node | None" = None  # where it has begun anew, while not all nodes need know of it
    stale: bool = False  # it may have come back to the session that it had before: nothing is known of that

    def expects(self, mail: Mail) -> bool:
        """Whether it has subscribed to such, or had when this was sent."""
        if self.stale or any(matches(topic_filter, mail.topic) for topic_filter in self.possible):
            return True
        return any(end >= mail.number for topic_filter, end in self.ended.items() if matches(topic_filter, mail.topic))


class Owed(Mail):
    """`owed`: to whom it is owed; `sure`: to whom it was, as long as they have the same session; `nodes`: where it was sent.

    `stale`: in a session that may be another one than that in which it was sent before.
    """

    def __init__(self, number: int, sender: str, topic: str, qos: int, calm: bool) -> None:
        super().__init__(number, sender, topic, b"%06d" % number + FILL, qos, False, calm)
        self.owed: dict[str, None] = {}
        self.sure: dict[str, None] = {}
        self.nodes: list[tuple[str, int]] = []
        self.stale = False


class Knowing(Account):
    """`letters` are all messages, the first is number 1."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.letters: list[Owed] = []
        self.readers: dict[str, Reader] = {}

    def joins(self, client: "SimClient") -> None:
        self.readers[client.client_id] = Reader(client)

    # Who publishes.

    def mail(self, sender: str, topic: str, qos: int, calm: bool) -> Owed:
        mail = Owed(len(self.letters) + 1, sender, topic, qos, calm)
        self.letters.append(mail)
        return mail

    def sends(self, client: "SimClient", mail: Mail) -> None:
        """Once more, perhaps: it is owed to those only to whom it was each time."""
        assert isinstance(mail, Owed)
        names = self._owed_to(mail, client.node)
        if mail.nodes:
            names = [name for name in names if name in mail.owed]
            mail.sure = {name: None for name in names if name in mail.sure}
        else:
            mail.sure = dict.fromkeys(names)
        if not mail.lasts():
            names, mail.sure = [], {}
        mail.first, mail.last = mail.first or self.world.now, self.world.now
        mail.nodes.append((client.node.name, client.node.starts))
        mail.stale = mail.stale or self.readers[client.client_id].stale
        mail.owed = {name: None for name in names if not self._has(name, mail)}

    def accepts(self, mail: Mail) -> None:
        mail.is_accepted = True

    def _owed_to(self, mail: Owed, node: "Node") -> list[str]:
        """Who has to get what is sent at this node."""
        raise NotImplementedError

    def _has(self, name: str, mail: Owed) -> bool:
        """Whether it has come to them."""
        raise NotImplementedError

    def check_life(self, client: "SimClient", mail: Owed, arrival: Arrival) -> None:
        """What is said of how long it lives still is true, and it has not outlived that."""
        rest, now, words = arrival.rest, self.world.now, (client.client_id, mail.name)
        if client.version < 5:
            rest = mail.expiry or None
        elif (rest is None) == (mail.expiry > 0):
            raise Found(f"{client.client_id} gets {mail.name} with {rest} seconds to live of {mail.expiry}", *words)
        if rest is None or self.network.stepped:
            return
        least, most = now - mail.last - SLACK, now - mail.first
        if not arrival.dup and least > mail.expiry:
            raise Found(f"{client.client_id} gets {mail.name}, which has expired", *words)
        if client.version == 5 and not min(least, mail.expiry) <= mail.expiry - rest <= most + 1.0:
            raise Found(f"{client.client_id} gets {mail.name} with {rest} seconds to live of {mail.expiry}", *words)

    def lacking(self) -> list[tuple[Owed, str]]:
        """What was accepted, and has not come."""
        return [(mail, name) for mail in self.letters if mail.is_accepted or (mail.calm and mail.nodes and not mail.qos)
                for name in mail.owed]

    def busy(self) -> list[str]:
        return [f"{name} lacks {mail.name}" for mail, name in self.lacking()]

    # Who knows.

    def _knows(self, node: "Node", reader: Reader, held: Held) -> bool:
        home = reader.home
        if home is None or reader.stale or any(not self._linked(node.name, name, since) for name, since in reader.moving.items()):
            return False
        if node is home:
            return True
        if node.name in held.hearing:
            return self._linked(node.name, home.name, held.hearing[node.name])
        start = held.knowing.get(node.name)
        return start is not None and (reader.client.persistent or start == node.starts)

    def _linked(self, one: str, two: str, since: float) -> bool:
        """Whether nothing has happened between two nodes since then."""
        if one == two:
            return True
        linked = self.network.linked_since(one, two)
        return linked is not None and linked < since

    # Who subscribes.

    def asks(self, client: "SimClient", topic_filter: str) -> None:
        reader = self.readers[client.client_id]
        reader.asked[topic_filter] = self.world.now
        reader.possible[topic_filter] = None

    def subscribed(self, client: "SimClient", topic_filter: str, code: int) -> None:
        if code >= 0x80:
            raise Found(f"{client.client_id} is refused {topic_filter}: {code:#04x}", client.client_id)
        reader = self.readers[client.client_id]
        held = reader.held[topic_filter] = Held(topic_filter)
        reader.ended.pop(topic_filter, None)
        for node in self.network.nodes.values():
            if node is not client.node and self._linked(node.name, client.node.name, reader.asked[topic_filter]):
                held.knowing[node.name] = node.starts

    def ends(self, client: "SimClient", topic_filter: str) -> None:
        self.readers[client.client_id].held.pop(topic_filter, None)

    def unsubscribed(self, client: "SimClient", topic_filter: str) -> None:
        reader = self.readers[client.client_id]
        if topic_filter not in reader.held:
            reader.possible.pop(topic_filter, None)
            reader.ended[topic_filter] = len(self.letters)

    # Who comes and goes.

    def enters(self, client: "SimClient", node: "Node") -> None:
        """It asks for its session at this node."""
        reader = self.readers[client.client_id]
        if client.persistent and reader.home is not None and (node is not reader.home or reader.moving):
            reader.moving[node.name] = self.world.now

    def connected(self, client: "SimClient", present: bool) -> None:
        reader = self.readers[client.client_id]
        reader.sessions += 1
        if reader.moving:
            self._moves(reader, client.node)
        reader.home = client.node
        begins = client.begins or not client.persistent
        if client.begins:
            reader.began = client.node
        elif reader.began not in (None, client.node):
            self._turns_stale(reader)
        if not (begins or reader.stale) and reader.sessions > 1 and not present:
            raise Found(f"the session of {client.client_id} is gone", client.client_id)
        if begins and present:
            raise Found(f"{client.client_id} finds a session that should have ended", client.client_id)

    def _moves(self, reader: Reader, node: "Node") -> None:
        """Who is linked to its new node and knew of it before knows of it there."""
        since = min(reader.moving.values())
        for held in reader.held.values():
            known = [other.name for other in self.network.nodes.values()
                     if self._knows(other, reader, held) and self._linked(other.name, node.name, since)]
            held.knowing.clear()
            held.hearing = dict.fromkeys(known, since)
        reader.moving.clear()

    def _turns_stale(self, reader: Reader) -> None:
        """It has begun anew, and is at another node now, which may not have heard of that: what was there serves it."""
        reader.stale = True
        for mail in self.letters:
            mail.owed.pop(reader.client.client_id, None)
            mail.sure.pop(reader.client.client_id, None)

    def ends_session(self, client: "SimClient") -> None:
        self.readers[client.client_id] = Reader(client)

    def look(self) -> None:
        """Now and then: who is linked for so long knows all."""
        for one in self.network.nodes.values():
            calm = [node for node in self.network.nodes.values() if node is not one and self._is_calm(one, node)]
            for reader in self.readers.values():
                reader.moved = len(self.letters) if is_moving(reader.client) else reader.moved
                if reader.began is one and len(calm) == len(self.network.nodes) - 1:
                    reader.began = None
                if reader.home is one and not reader.moving and not _is_coming(reader.client, one):
                    for held in reader.held.values():
                        held.knowing.update({node.name: node.starts for node in calm})
                        for node in calm:
                            held.hearing.pop(node.name, None)

    def _is_calm(self, one: "Node", other: "Node") -> bool:
        since = self.network.linked_since(one.name, other.name)
        return since is not None and self.world.now - since > CALM


def is_moving(client: "SimClient") -> bool:
    """Whether its session has come from another node, and not all nodes have been met: what those have comes on two ways."""
    session = client.node.broker.sessions.by_id.get(client.client_id)
    return session is not None and session.move is not None


def _is_coming(client: "SimClient", home: "Node") -> bool:
    """Whether some of its session is still at another node: who is linked to its new one only does not know it."""
    session = home.broker.sessions.by_id.get(client.client_id)
    return session is not None and state_of(session) == COMING


def matches(topic_filter: str, topic: str) -> bool:
    """Whether it does; `topic_filter` may be that of a group."""
    if topic_filter.startswith("$share/"):
        topic_filter = topic_filter.split("/", 2)[2]
    above, _, last = topic_filter.rpartition("/")
    return topic_filter in (topic, "#") or (last == "+" and topic.startswith(f"{above}/"))
