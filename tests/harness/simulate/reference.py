"""What has to hold of messages, by a naive account of who subscribed to what, who knew it, and who got what."""
from typing import TYPE_CHECKING

from tests.harness.simulate.account import Mail
from tests.harness.simulate.knowing import Knowing, Owed, Reader, is_moving, matches
from tests.harness.simulate.world import Found
from tests.properties.journal.clients import Arrival

if TYPE_CHECKING:
    from tests.harness.simulate.clients import SimClient
    from tests.harness.simulate.node import Node
    from tests.harness.simulate.run import Simulation


class Reference(Knowing):
    """Of subscriptions that are nobody else's: what is owed, is owed to clients."""

    topics = ("t/0", "t/1", "t/2")
    filters = (*topics, "t/+", "#")

    def people(self, play: "Simulation") -> None:
        random, nodes = self.world.random, list(play.nodes.values())
        readers = random.random() < 0.7  # without them little is kept
        for at, node in enumerate(nodes):
            version = random.choice((4, 5))
            roams = play.loads.takeover and random.random() < 0.7
            play.client(self, f"writer{at}", node, version, roams=roams, publishes=True, anew=play.loads.anew)
            if readers:
                play.client(self, f"reader{at}", node, version, roams=roams, subscribes=True, anew=play.loads.anew)
        for at in range(2):
            node, version = random.choice(nodes), random.choice((4, 5))
            play.client(self, f"sender{at}", node, version, persistent=False, roams=True, publishes=True)
            play.client(self, f"guest{at}", node, version, persistent=False, roams=True, subscribes=True)

    def _owed_to(self, mail: Mail, node: "Node") -> list[str]:
        return [name for name, reader in self.readers.items() if self._is_owed(mail, node, reader)]

    def _is_owed(self, mail: Mail, node: "Node", reader: Reader) -> bool:
        return (reader.client.here or reader.client.persistent) and any(
            matches(held.topic_filter, mail.topic) and self._knows(node, reader, held) for held in reader.held.values())

    def _has(self, name: str, mail: Owed) -> bool:
        return mail.number in self.readers[name].got

    def ends(self, client: "SimClient", topic_filter: str) -> None:
        """It asks for no more: what is under way may come, or not."""
        super().ends(client, topic_filter)
        for mail in self.letters:
            if matches(topic_filter, mail.topic):
                mail.owed.pop(client.client_id, None)
                mail.sure.pop(client.client_id, None)  # it may come to a later subscription, behind others or not

    def ends_session(self, client: "SimClient") -> None:
        """What it was owed ends with it."""
        super().ends_session(client)
        for mail in self.letters:
            mail.owed.pop(client.client_id, None)
            mail.sure.pop(client.client_id, None)

    def crashed(self, node: "Node") -> None:
        """What this node had for those without a session goes with it."""
        for mail in self.letters:
            if mail.nodes and mail.nodes[-1][0] == node.name:
                for name in [name for name in mail.owed if not self.readers[name].client.persistent]:
                    del mail.owed[name]

    # What arrives.

    def arrives(self, client: "SimClient", arrival: Arrival) -> None:
        reader, name = self.readers[client.client_id], client.client_id
        mail = self.letters[int(arrival.payload[:6]) - 1]
        reader.got[mail.number] = reader.got.get(mail.number, 0) + 1
        reader.moved = len(self.letters) if is_moving(client) else reader.moved
        mail.owed.pop(name, None)
        self.check_life(client, mail, arrival)
        if not reader.expects(mail):
            raise Found(f"{name} gets {mail.name}, and has not subscribed", name, mail.name)
        if arrival.qos == 2:
            if mail.number in reader.twice and not (reader.stale or mail.stale):
                raise Found(f"G2: {name} gets {mail.name} twice, at QoS 2", name, mail.name)
            reader.twice[mail.number] = None
        if reader.got[mail.number] == 1 and name in mail.sure and len(dict(mail.nodes)) == 1 and mail.number > reader.moved:
            line = mail.sender, mail.nodes[0][0], mail.topic, mail.qos, arrival.qos
            if reader.last.get(line, 0) > mail.number:
                raise Found(f"G3: {name} gets {mail.name} after {reader.last[line]:06}", name, mail.name,
                            f"{reader.last[line]:06}")
            reader.last[line] = mail.number

    def check(self) -> None:
        for mail, name in self.lacking():
            kept = self.readers[name].client.persistent
            raise Found(f"{'G1' if kept else 'G7'}: {name} lacks {mail.name} on {mail.topic}, which was accepted", name,
                        mail.name)
