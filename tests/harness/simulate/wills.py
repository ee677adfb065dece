"""Wills: clients leave in all ways that there are, for a while or longer, come back anywhere, and others hear of it.

Each connection has a Will of its own. Watchers, whose sessions are persistent, hear of each at most once at QoS 2, and

- never while its connection lasts, nor before its delay is over [MQTT-3.1.2-8],
- never when the client has said DISCONNECT 0x00, unless its node has crashed before it had stored that [MQTT-3.14.4-3],
- never when the client was accepted again before the delay was over, at whichever node [MQTT-3.1.3-9],
- surely when the delay was over, as the node of the connection counts it, before the client came again; without a delay, always.

Where it depends on what comes first it may be published, or not: a client has asked to come in before the delay was over and was
accepted later, or not at all; its node had not stored that the connection was lost, and begins to count anew after a crash; the
broker itself has ended the connection, for instance because a node at which the client has been before asks late for its session.
"""
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from emqtwist.core.connection import CLOSED, Connection
from emqtwist.mqtt.constants import DISCONNECT_WITH_WILL, SUCCESS
from emqtwist.mqtt.packets import Will
from tests.harness.simulate.clients import SimClient
from tests.harness.simulate.knowing import Knowing, Owed
from tests.harness.simulate.node import Node, SimPeer
from tests.harness.simulate.world import Found, World
from tests.peers import properties
from tests.properties.journal.clients import Arrival

if TYPE_CHECKING:
    from tests.harness.simulate.run import Simulation

WILLS: Final = "$w/+"  # Topic Names with a $ are nobody's who subscribes to #
DELAYS: Final = (0, 0, 1, 3, 8)
LONGEST: Final = 16.0  # seconds that a client is away
UNSEEN: Final = 15.0  # seconds until a node hears of a connection that is no more
SLACK: Final = 2.0  # seconds after which a node that is up has published what was due
STORED: Final = 20.0  # and has stored that
ASKED: Final = 60.0  # seconds in which a node may still ask for the session of a client that did not wait


@dataclass
class Life:
    """A connection of `client`, to the process `start` of `node`, and its Will `mail`.

    It has `begun` when CONNACK has come, and `ended` when the client has no more of it, or its process is gone; the Will is not
    due `until` then. The node was seen to know that, and be up, `since` then; by what it knows the Will is `due`. That is stored
    by the process and with the group that are `told`. The Will was `revoked` by DISCONNECT, and `restored` if the node has
    crashed before it had stored that; or the client was `back` in time. It `came` to be back, at any node; where that was before
    the Will was due it is `open` whether it is published. `sure`: it was, and no crash changes that.
    """

    client: "Mortal"
    mail: Owed
    delay: int
    node: Node
    start: int
    connection: Connection
    begun: bool = False
    ended: float | None = None
    until: float = 0.0
    since: float | None = None
    revoked: bool = False
    due: float | None = None
    told: tuple[int, int] = (0, 0)
    restored: bool = False
    back: bool = False
    open: bool = False
    came: bool = False
    sure: bool = False

    def lasts(self) -> bool:
        """Whether the broker has the connection."""
        return self.connection.state != CLOSED and self.node.alive and self.node.starts == self.start

    def has_to_be(self, now: float) -> bool:
        """Whether the Will has been published by now."""
        if not self.begun or self.ended is None or self.revoked or self.restored or self.back:
            return False
        if self.open and self.delay:
            return False
        return self.is_due(now)

    def is_due(self, now: float) -> bool:
        return self.sure or (self.since is not None and self.due is not None and now > max(self.due, self.since) + SLACK)

    def note(self) -> None:
        """How it ended is with the process, and is stored soon."""
        self.told = self.node.starts, self.node.journal.barrier()

    def is_stored(self) -> bool:
        """Whether that is, when its process has just crashed; what has outlived an earlier one is."""
        start, group = self.told
        return 0 < start < self.node.starts or (start > 0 and self.node.journal.has(group))


class Mortal(SimClient):
    """Its connections have Wills; it stays away for a while when it has lost one."""

    account: "Wills"

    def __init__(self, *arguments: Any, **does: Any) -> None:
        super().__init__(*arguments, **does)
        self._away_until = 0.0

    def _act(self, chance: float) -> None:
        if chance < 0.25:
            self.depart(chance * 4.0)

    def depart(self, chance: float) -> None:
        """Lose the connection, or disconnect."""
        self._away_until = self.sim.now + self.sim.between(0.0, LONGEST)
        if chance < 0.3:
            self.sim.say(self.client_id, "loses its connection")
            self.drop()
        elif chance < 0.55:
            self.sim.say(self.client_id, "is gone, and its node does not see it")
            self._vanish()
        elif chance < 0.8:
            self.sim.say(self.client_id, "disconnects with its Will")
            self.disconnect(DISCONNECT_WITH_WILL)
        else:
            self.sim.say(self.client_id, "disconnects")
            self.disconnect()

    def enter(self, node: Node | None = None) -> None:
        if self.sim.now >= self._away_until:
            super().enter(node)

    def _will(self) -> Will:
        return self.account.will(self)

    def disconnect(self, reason_code: int = SUCCESS) -> None:
        peer = self.peer
        if peer is not None and peer.connection.state != CLOSED:
            peer.disconnect(reason_code)
            self.account.departs(self, reason_code == SUCCESS)
        self.drop()

    def drop(self) -> None:
        if self.peer is not None and self.peer.connection.state != CLOSED:
            self.account.departs(self, False)
        super().drop()

    def _vanish(self) -> None:
        """Its node hears of it later, or from whoever comes in its place."""
        peer = self.peer
        if isinstance(peer, SimPeer) and peer.connection.state != CLOSED:
            self.account.departs(self, False)
            peer.reader = None
            self.sim.later(self.sim.between(0.0, UNSEEN), peer.drop)
        self.forget()


class Wills(Knowing):
    """`lives` are all connections, by the number of their Wills."""

    topics = ("$w/0", "$w/1")
    filters = (WILLS,)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.lives: dict[int, Life] = {}
        self._got: dict[tuple[str, int], None] = {}  # who has which at QoS 2
        self._last: dict[str, Life] = {}

    def people(self, play: "Simulation") -> None:
        random, nodes = self.world.random, list(play.nodes.values())
        for at, node in enumerate(nodes):
            for each in range(2):
                play.client(self, f"mortal{at}{each}", node, 5, Mortal, roams=play.loads.takeover and random.random() < 0.8,
                            anew=play.loads.anew)
        for at in range(2):
            play.client(self, f"watcher{at}", random.choice(nodes), subscribes=True, stays=True)
        play.client(self, "rover", random.choice(nodes), roams=play.loads.takeover, subscribes=True, stays=True)

    def _owed_to(self, mail: Owed, node: Node) -> list[str]:
        """Those who stay where they are: of others it is not known who knows of them by the time when it is published."""
        return [name for name, reader in self.readers.items() if not reader.client.roams and any(
            self._knows(node, reader, held) for held in reader.held.values())]

    # Who has a Will.

    def will(self, client: Mortal) -> Will:
        """That of the connection that it begins."""
        random, node = self.world.random, client.node
        assert client.peer is not None
        mail = self.mail(client.client_id, random.choice(self.topics), random.choice((1, 2, 2)), False)
        life = Life(client, mail, random.choice(DELAYS), node, node.starts, client.peer.connection)
        mail.owed = dict.fromkeys(self._owed_to(mail, node))
        life.open = any(other.client is client and not other.begun and other.node is not node
                        and other.mail.first > self.world.now - ASKED for other in self.lives.values())
        mail.first = self.world.now
        self.lives[mail.number] = self._last[client.client_id] = life
        self.world.say(client.client_id, f"has the Will {mail.name} at {mail.qos}, {life.delay} s behind it")
        return Will(mail.topic.encode(), mail.payload, mail.qos, False, properties(will_delay_interval=life.delay))

    def enters(self, client: SimClient, node: Node) -> None:
        super().enters(client, node)
        for life in self._earlier(client):
            life.came = True
            life.open = life.open or not life.is_due(self.world.now)
        if client.begins:
            self._may_end(client)  # it has tried before, and may have begun a session

    def connected(self, client: SimClient, present: bool) -> None:
        """What is decided by then is stored."""
        super().connected(client, present)
        if not isinstance(client, Mortal):
            return
        last = self._last[client.client_id]
        last.begun = True
        if not present or self.readers[client.client_id].stale:
            self._may_end(client)
            return
        for life in self._earlier(client):
            if life is not last:
                life.back = life.back or life.until > self.world.now
                life.sure = life.sure or life.is_due(self.world.now)

    def ends_session(self, client: SimClient) -> None:
        super().ends_session(client)
        self._may_end(client)

    def _may_end(self, client: SimClient) -> None:
        """The sessions that it had end as soon as their nodes hear of that, and no Will waits longer [MQTT-3.1.2-8]."""
        for life in self._earlier(client):
            life.until, life.open = 0.0, True

    def departs(self, client: Mortal, revokes: bool) -> None:
        """It has no connection any more, or is about to have none."""
        life = self._last.get(client.client_id)
        if life is None or life.ended is not None:
            return
        self._end(life)
        if revokes:
            life.revoked = True
            life.note()

    def leaves(self, client: SimClient) -> None:
        life = self._last.get(client.client_id)
        if life is not None and life.ended is None:
            self._ended_by_broker(life)

    def crashed(self, node: Node) -> None:
        if node.alive:
            return  # it is to stop, and ends its connections first
        for life in self.lives.values():
            if life.node is node and not life.sure:
                self._lose(life)

    def _lose(self, life: Life) -> None:
        """The process that was to publish its Will is gone."""
        if life.ended is None and life.connection.state == CLOSED:
            self._ended_by_broker(life)
        elif life.ended is None:
            self._end(life)
        if not life.is_stored():
            life.due = None
            life.restored, life.revoked = life.restored or life.revoked, False
        life.since = None
        life.open = life.open or life.came

    def _end(self, life: Life) -> None:
        life.ended = self.world.now
        reader = self.readers[life.client.client_id]
        if reader.stale or (not life.begun and reader.began not in (None, life.node)):
            life.open = True  # its session may be one that is about to end
        else:
            life.until = self.world.now + life.delay

    def _ended_by_broker(self, life: Life) -> None:
        """It is not known when."""
        life.ended, life.open = self.world.now, True

    def _earlier(self, client: SimClient) -> list[Life]:
        return [life for life in self.lives.values() if life.client is client and life.ended is not None]

    # Who hears of it.

    def arrives(self, client: SimClient, arrival: Arrival) -> None:
        number, name, now = int(arrival.payload[:6]), client.client_id, self.world.now
        life = self.lives[number]
        mail, whose = life.mail, life.client.client_id
        mail.owed.pop(name, None)
        if arrival.qos == 2:
            self._check(life, (name, number) not in self._got, f"{name} gets it twice, at QoS 2")
            self._got[name, number] = None
        self._check(life, life.ended is not None or not life.lasts(), f"{whose} is connected")
        self._check(life, not life.revoked, f"{whose} has revoked it")
        self._check(life, not life.back, f"{whose} was back in time")
        self._check(life, life.ended is None or now > life.until - 0.01, f"its delay of {life.delay} s is not over")

    def _check(self, life: Life, holds: bool, what: str) -> None:
        if not holds:
            raise Found(f"G5: the Will {life.mail.name} of {life.client.client_id} is published: {what}", life.mail.name,
                        life.client.client_id)

    def look(self) -> None:
        super().look()
        now = self.world.now
        for life in self.lives.values():
            if life.ended is None or life.sure:
                continue
            if not life.node.alive or life.node.paused or life.lasts():
                life.since = None
                continue
            if life.since is None:
                life.since = now
            if life.due is None and not life.revoked:
                life.due = now + life.delay
                life.note()
            if not life.came and life.is_due(now - STORED):
                life.sure = True

    def lacking(self) -> list[tuple[Owed, str]]:
        return [(life.mail, name) for life in self.lives.values() if life.has_to_be(self.world.now) for name in life.mail.owed]

    def epilogue(self, play: "Simulation") -> None:
        """In peace all of them leave, in any way, and come back sooner or later."""
        for client in play.of(self):
            if isinstance(client, Mortal):
                client.depart(self.world.random.random())
        play.settle()

    def check(self) -> None:
        for mail, name in self.lacking():
            raise Found(f"G5: {name} lacks the Will {mail.name} of {mail.sender}", mail.name, mail.sender, name)
