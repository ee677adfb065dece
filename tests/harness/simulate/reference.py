"""What has to hold, by a naive account of who subscribed to what, who knew it, and who got what.

A message is owed to a subscriber if, each time that it was sent, its node had to know of the subscription: SUBACK had come while
both nodes were linked, or they have been linked, and nothing went wrong between them, for some seconds since.
"""
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from emqtwist.core.cluster.epochs import COMING, state_of
from tests.harness.simulate.world import Found, World
from tests.properties.journal.clients import Arrival, Letter

if TYPE_CHECKING:
    from tests.harness.simulate.clients import SimClient
    from tests.harness.simulate.network import Network
    from tests.harness.simulate.node import Node

CALM: Final = 5.0  # seconds after which two nodes that are linked know all of each other


class Mail(Letter):
    """A message with its number. `owed`: to whom it is owed, by Client Identifier; `sure`: who knew it in order.

    `nodes` are those that it was sent to. `arrived` maps who got it to how often.
    """

    def __init__(self, number: int, sender: str, topic: str, qos: int, calm: bool) -> None:
        super().__init__(topic, b"%06d" % number + b"." * 60, qos)
        self.number = number
        self.sender = sender
        self.calm = calm
        self.owed: dict[str, None] = {}
        self.sure: dict[str, None] = {}
        self.nodes: list[tuple[str, int]] = []
        self.is_accepted = False

    @property
    def name(self) -> str:
        return f"{self.number:06}"


@dataclass
class Held:
    """A subscription that was confirmed, when `since` messages had been sent.

    `knowing` are nodes that know it, with their start; those in `hearing` do so if nothing has happened between them and its
    node since: there was a takeover.
    """

    topic_filter: str
    qos: int
    since: int
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


class Reference:
    """`letters` are all messages, the first is number 1."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.network: Network | None = None
        self.letters: list[Mail] = []
        self.readers: dict[str, Reader] = {}

    def joins(self, client: "SimClient") -> None:
        self.readers[client.client_id] = Reader(client)

    # Who publishes.

    def mail(self, sender: str, topic: str, qos: int, calm: bool) -> Mail:
        mail = Mail(len(self.letters) + 1, sender, topic, qos, calm)
        self.letters.append(mail)
        return mail

    def sends(self, client: "SimClient", mail: Mail) -> None:
        """Once more, perhaps: it is owed to those only to whom it was each time."""
        readers = {name: None for name, reader in self.readers.items() if self._is_owed(mail, client.node, reader)}
        if mail.nodes:
            readers = {name: None for name in readers if name in mail.owed}
            mail.sure = {name: None for name in readers if name in mail.sure}
        else:
            mail.sure = dict(readers)
        mail.nodes.append((client.node.name, client.node.starts))
        mail.owed = {name: None for name in readers if mail.number not in self.readers[name].got}

    def accepts(self, mail: Mail) -> None:
        mail.is_accepted = True

    def _is_owed(self, mail: Mail, node: "Node", reader: Reader) -> bool:
        return (reader.client.here or reader.client.persistent) and any(
            matches(held.topic_filter, mail.topic) and self._knows(node, reader, held) for held in reader.held.values())

    def _knows(self, node: "Node", reader: Reader, held: Held) -> bool:
        home = reader.home
        if home is None or any(not self._linked(node.name, name, since) for name, since in reader.moving.items()):
            return False
        if node is home:
            return True
        if node.name in held.hearing:
            return self._linked(node.name, home.name, held.hearing[node.name])
        start = held.knowing.get(node.name)
        return start is not None and (reader.client.persistent or start == node.starts)

    def _linked(self, one: str, two: str, since: float) -> bool:
        """Whether nothing has happened between two nodes since then."""
        assert self.network is not None
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
        held = reader.held[topic_filter] = Held(topic_filter, code, len(self.letters))
        reader.ended.pop(topic_filter, None)
        assert self.network is not None
        for node in self.network.nodes.values():
            if node is not client.node and self._linked(node.name, client.node.name, reader.asked[topic_filter]):
                held.knowing[node.name] = node.starts

    def ends(self, client: "SimClient", topic_filter: str) -> None:
        """It asks for no more: what is under way may come, or not."""
        reader = self.readers[client.client_id]
        reader.held.pop(topic_filter, None)
        for mail in self.letters:
            if matches(topic_filter, mail.topic):
                mail.owed.pop(client.client_id, None)

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
        if client.persistent and reader.sessions > 1 and not present:
            raise Found(f"the session of {client.client_id} is gone", client.client_id)
        if not client.persistent and present:
            raise Found(f"{client.client_id} finds a session that should have ended", client.client_id)

    def _moves(self, reader: Reader, node: "Node") -> None:
        """Who is linked to its new node and knew of it before knows of it there."""
        assert self.network is not None
        since = min(reader.moving.values())
        for held in reader.held.values():
            known = [other.name for other in self.network.nodes.values()
                     if self._knows(other, reader, held) and self._linked(other.name, node.name, since)]
            held.knowing.clear()
            held.hearing = dict.fromkeys(known, since)
        reader.moving.clear()

    def ends_session(self, client: "SimClient") -> None:
        """A clean session is over, and what it was owed with it."""
        before = self.readers[client.client_id]
        self.readers[client.client_id] = Reader(client, sessions=before.sessions)
        for mail in self.letters:
            mail.owed.pop(client.client_id, None)
            mail.sure.pop(client.client_id, None)

    def crashed(self, node: "Node") -> None:
        """What this node had for those without a session goes with it."""
        for mail in self.letters:
            if mail.nodes and mail.nodes[-1][0] == node.name:
                for name in [name for name in mail.owed if not self.readers[name].client.persistent]:
                    del mail.owed[name]

    def look(self) -> None:
        """Now and then: who is linked for so long knows all."""
        assert self.network is not None
        for one in self.network.nodes.values():
            calm = [node for node in self.network.nodes.values() if node is not one and self._is_calm(one, node)]
            for reader in self.readers.values():
                reader.moved = len(self.letters) if _is_moving(reader.client) else reader.moved
                if reader.home is one and not reader.moving and not _is_coming(reader.client, one):
                    for held in reader.held.values():
                        held.knowing.update({node.name: node.starts for node in calm})
                        for node in calm:
                            held.hearing.pop(node.name, None)

    def _is_calm(self, one: "Node", other: "Node") -> bool:
        assert self.network is not None
        since = self.network.linked_since(one.name, other.name)
        return since is not None and self.world.now - since > CALM

    # What arrives.

    def arrives(self, client: "SimClient", arrival: Arrival) -> None:
        reader, name = self.readers[client.client_id], client.client_id
        mail = self.letters[int(arrival.payload[:6]) - 1]
        reader.got[mail.number] = reader.got.get(mail.number, 0) + 1
        reader.moved = len(self.letters) if _is_moving(client) else reader.moved
        mail.owed.pop(name, None)
        if not any(matches(topic_filter, mail.topic) for topic_filter in reader.possible):
            ends = [end for topic_filter, end in reader.ended.items() if matches(topic_filter, mail.topic)]
            if all(end < mail.number for end in ends):
                raise Found(f"{name} gets {mail.name}, and has not subscribed", name, mail.name)
        if arrival.qos == 2:
            if mail.number in reader.twice:
                raise Found(f"G2: {name} gets {mail.name} twice, at QoS 2", name, mail.name)
            reader.twice[mail.number] = None
        if reader.got[mail.number] == 1 and name in mail.sure and len(dict(mail.nodes)) == 1 and mail.number > reader.moved:
            line = mail.sender, mail.nodes[0][0], mail.topic, mail.qos, arrival.qos
            if reader.last.get(line, 0) > mail.number:
                raise Found(f"G3: {name} gets {mail.name} after {reader.last[line]:06}", name, mail.name,
                            f"{reader.last[line]:06}")
            reader.last[line] = mail.number

    # When all has settled.

    def lacking(self) -> list[tuple[Mail, str]]:
        """What was accepted, and has not come."""
        return [(mail, name) for mail in self.letters if mail.is_accepted or (mail.calm and mail.nodes and not mail.qos)
                for name in mail.owed]

    def check(self) -> None:
        for mail, name in self.lacking():
            kept = self.readers[name].client.persistent
            raise Found(f"{'G1' if kept else 'G7'}: {name} lacks {mail.name} on {mail.topic}, which was accepted", name,
                        mail.name)


def _is_coming(client: "SimClient", home: "Node") -> bool:
    """Whether some of its session is still at another node: who is linked to its new one only does not know it."""
    session = home.broker.sessions.by_id.get(client.client_id)
    return session is not None and state_of(session) == COMING


def _is_moving(client: "SimClient") -> bool:
    """Whether its session has come from another node, and not all nodes have been met: what those have comes on two ways."""
    session = client.node.broker.sessions.by_id.get(client.client_id)
    return session is not None and session.move is not None


def matches(topic_filter: str, topic: str) -> bool:
    return topic_filter in (topic, "#") or (topic_filter == "t/+" and topic.startswith("t/"))
