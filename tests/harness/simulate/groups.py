"""Groups: clients at all nodes share subscriptions, come, go and leave, and each message goes to one of them.

One member never leaves, and its session is persistent. Where all others have such sessions too nothing is lost that was accepted;
else what was given to one whose session ends, or whose node crashes, may be gone with it.

- At QoS 1 a message may come again once something was lost behind its PUBLISH: a client, its session, a link, a node.
- What was sent at QoS 2, nobody else is sent; but if the node of who got it crashes, and its session with it, before it is stored
  there that it came, it comes again.
- When all is well, who is away gets nothing while another is connected.
"""
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.harness.simulate.account import Mail
from tests.harness.simulate.knowing import Knowing, Owed
from tests.harness.simulate.world import Found, World
from tests.properties.journal.clients import Arrival

if TYPE_CHECKING:
    from tests.harness.simulate.clients import SimClient
    from tests.harness.simulate.node import Node
    from tests.harness.simulate.run import Simulation

KEPT: Final = "$share/kept/$s/+"  # Topic Names with a $ are nobody's who subscribes to #
MIXED: Final = "$share/mixed/$s/+"


@dataclass
class Taken:
    """Who got a message of a group last, at which QoS, and of which process of its node: it may have ended before that came."""

    client: "SimClient"
    qos: int
    node: "Node"
    start: int

    def is_past(self) -> bool:
        """Whether the process of its node is gone."""
        return not (self.node.alive and self.node.starts == self.start)

    def is_gone(self) -> bool:
        """Whether its session has gone with its node."""
        return not self.client.persistent and self.is_past()

    def is_closed(self) -> bool:
        """Whether its node has closed its connection, and it has not seen that yet: what it acknowledges is read by nobody."""
        peer = self.client.peer
        return self.client.start == self.start and peer is not None and peer.closed

    def is_ended(self) -> bool:
        """Whether its node has ended its session, of which it need not have heard yet: by the clocks another one began later."""
        return self.node.alive and self.client.client_id not in self.node.broker.sessions.by_id


class Groups(Knowing):
    """What is owed, is owed to groups, by their filters. `taken` is what each of them got, by number."""

    topics = ("$s/0", "$s/1")
    filters = (KEPT, MIXED)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.taken: dict[str, dict[int, Taken]] = {KEPT: {}, MIXED: {}}
        self._began: dict[int, float] = {}  # when a message was sent first
        self._trouble = self._crash = 0.0  # when somebody was lost, and when a node was

    def people(self, play: "Simulation") -> None:
        random, nodes = self.world.random, list(play.nodes.values())
        for at, node in enumerate(nodes):
            roams = play.loads.takeover and random.random() < 0.7
            play.client(self, f"keeper{at}", node, roams=roams, subscribes=True, filters=(KEPT,), stays=not at)
        play.client(self, "mixer", random.choice(nodes), subscribes=True, filters=(MIXED,), stays=True)
        for at in range(2):
            play.client(self, f"temp{at}", random.choice(nodes), persistent=False, roams=True, subscribes=True, filters=(MIXED,))
            play.client(self, f"giver{at}", random.choice(nodes), publishes=True)
        play.client(self, "tosser", random.choice(nodes), persistent=False, roams=True, publishes=True)

    def _owed_to(self, mail: Owed, node: "Node") -> list[str]:
        """What is sent to one whose node has crashed may be for another whose session has gone with that."""
        names = (KEPT,) if self.network.is_unheard() else self.filters
        return [name for name in names if any(
            reader.client.stays and name in reader.held and self._knows(node, reader, reader.held[name])
            for reader in self.readers.values())]

    def _has(self, name: str, mail: Owed) -> bool:
        return mail.number in self.taken[name]

    def sends(self, client: "SimClient", mail: Mail) -> None:
        self._began.setdefault(mail.number, self.world.now)
        super().sends(client, mail)

    def leaves(self, client: "SimClient") -> None:
        self._trouble = self.world.now
        if not client.persistent:
            self._forget()

    def crashed(self, node: "Node") -> None:
        self._trouble = self._crash = self.world.now
        self._forget()

    def _forget(self) -> None:
        """Somebody is gone who may have had what was for others, too."""
        for mail in self.letters:
            mail.owed.pop(MIXED, None)

    def arrives(self, client: "SimClient", arrival: Arrival) -> None:
        mail, name = self.letters[int(arrival.payload[:6]) - 1], client.client_id
        if not self.readers[name].expects(mail):
            raise Found(f"{name} gets {mail.name}, and has not subscribed", name, mail.name)
        self.check_life(client, mail, arrival)
        [group] = client.filters
        mail.owed.pop(group, None)
        taken = self.taken[group].get(mail.number)
        if taken is not None and not self._may_repeat(mail, taken, client):
            raise Found(f"G8: {name} gets {mail.name} at {arrival.qos}, which {taken.client.client_id} got at {taken.qos}", name,
                        mail.name, taken.client.client_id)
        self.taken[group][mail.number] = Taken(client, arrival.qos, client.node, client.start)

    def _may_repeat(self, mail: Owed, taken: Taken, client: "SimClient") -> bool:
        began = self._began[mail.number]
        if taken.qos == 0 and client.persistent and self._crash >= began:
            if taken.client is client or (taken.node is client.node and taken.is_past()):
                return True  # it waited for this one, and its node did not store that it was sent, or given to another
        if taken.is_gone():
            return True
        if mail.qos != 1 and taken.qos != 1:
            return False
        return taken.is_ended() or taken.is_closed() or max(self._trouble, *self.network.trouble.values()) >= began

    def epilogue(self, play: "Simulation") -> None:
        """Some are away: nothing is for them."""
        keepers = [client for client in play.of(self) if client.subscribes and client.persistent]
        resting = self.world.random.sample(keepers, self.world.random.randrange(1, len(keepers) - 1))
        for client in resting:
            client.rests = True
            client.disconnect()
        play.calm()
        for qos in range(3):
            for client in play.of(self):
                if client.publishes:
                    client.send_one(self.world.random.choice(self.topics), qos, calm=True)
        play.settle()
        for client in resting:
            client.rests = False
        play.settle()

    def check(self) -> None:
        for mail, group in self.lacking():
            raise Found(f"G8: nobody of {group} got {mail.name} on {mail.topic}, which was accepted", mail.name)
