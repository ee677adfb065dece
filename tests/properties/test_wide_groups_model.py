"""A group with members on three nodes under any history: each message has one member at a time, and none is lost.

Members join, leave, read slowly, take messages and come back, each on its node, while others are published on any; links stall,
are cut and joined, nodes crash. The reference knows for each message who has taken it, and what may have befallen it:

- at QoS 1 it may come again once a member, a link or a node was lost while nobody had taken it, or was known to have,
- at QoS 2 nobody gets it once somebody has taken it, and one who was sent it keeps it, or loses it with its session,
- at QoS 0 nobody gets it twice,
- when a node crashes, what no store has may be gone.
"""
from random import Random, SystemRandom

import pytest

from emqtwist.core.message import Delivery, Message
from emqtwist.core.strategies import STRATEGIES
from emqtwist.mqtt.packets import Publish
from tests.clusters import Net
from tests.peers import Peer
from tests.scenes import LASTING

NODES = ("a", "b", "c")
NAMES = ("pa", "pb", "pc", "ta", "tb", "tc")  # the sessions of p stay; the last letter is the node. pa never leaves.
GROUP = "$share/g/t"
PAIRS = (("a", "b"), ("a", "c"), ("b", "c"))
CALM = ["publish", "publish", "publish", "publish", "take", "take", "take", "come", "come", "go", "stall", "relieve",
        "unsubscribe"]
WILD = [*CALM, "hold", "hold", "let_go", "let_go", "cut", "join", "join"]
DEADLY = [*WILD, "join", "join", "crash"]
LENGTH = 120
SEEDS = range(16)
Step = tuple[str, int, int]


def history(whats: list[str], seed: int) -> list[Step]:
    """Everybody is here at the start; then anything."""
    random = Random(seed)
    begin = [("come", number, 0) for number in range(1, 6)]
    return begin + [(random.choice(whats), random.randrange(6), random.choice((0, 1, 2, 2))) for _ in range(LENGTH)]


class Stage:

    def __init__(self, strategy: str, wild: bool) -> None:
        self.net = Net(*NODES, lines=("mqtt.session.max_inflight = 3", f"mqtt.shared_subscription_strategy = {strategy}"))
        self.wild = wild
        self.publishers = [self.net[node].connect(f"publisher-{node}") for node in NODES]
        self.here: dict[str, Peer] = {}
        self.members: set[str] = set()
        self.given: dict[str, dict[bytes, Publish]] = {name: {} for name in NAMES}  # what a peer has not taken yet
        self.owed: dict[bytes, int] = {}  # payload to QoS, of what nobody has taken yet
        self.doubtful: set[bytes] = set()  # at QoS 1, may come again
        self.risked: set[bytes] = set()  # may be gone
        self.reached: dict[bytes, list[str]] = {}  # payload to the peers that got it, at QoS 0
        self.count = 0
        self.come(0, 0)

    # Steps.

    def publish(self, number: int, qos: int) -> None:
        self.count += 1
        payload = b"%d" % self.count
        if qos:
            self.owed[payload] = qos
        self.publishers[number % 3].publish("t", payload, qos=qos)
        self.publishers[number % 3].received()
        self.collect()
        if not self.wild:
            [holder] = self.holders(payload) or self.reached[payload]
            assert holder in (self.members & self.here.keys() or self.members)

    def take(self, number: int, qos: int) -> None:
        name = NAMES[number]
        if name in self.here and self.given[name]:
            payload, publish = next(iter(self.given[name].items()))
            del self.given[name][payload]
            if publish.qos == 2 or payload not in self.doubtful:
                del self.owed[payload]  # a KeyError when it was taken before
            else:
                self.owed.pop(payload, None)
            self.here[name].acknowledge(publish)

    def come(self, number: int, qos: int) -> None:
        name = NAMES[number]
        if name not in self.here:
            self.here[name] = self.net[name[1]].connect(name, **LASTING[5] if name[0] == "p" else {})
            self.collect()
        if name not in self.members:
            self.let_all_go()  # or its SUBACK would wait
            self.here[name].subscribe(GROUP, qos=2)
            self.members.add(name)

    def go(self, number: int, qos: int) -> None:
        name = NAMES[number]
        if name not in self.here:
            return
        sent = [delivery[0].payload for delivery in self.held(name, True) if delivery[0].qos == 2]
        self.doubt()
        self.here.pop(name).drop()
        self.given[name].clear()
        if name[0] == "t":
            self.members.discard(name)
            for payload in sent:
                del self.owed[payload]

    def stall(self, number: int, qos: int) -> None:
        if NAMES[number] in self.here:
            self.here[NAMES[number]].stall()

    def relieve(self, number: int, qos: int) -> None:
        if NAMES[number] in self.here:
            self.here[NAMES[number]].relieve()

    def unsubscribe(self, number: int, qos: int) -> None:
        name = NAMES[number]
        if name in self.here and name != "pa":
            self.here[name].unsubscribe(GROUP)
            self.members.discard(name)

    def hold(self, number: int, qos: int) -> None:
        source, target = PAIRS[number % 3][::1 if number < 3 else -1]
        if (source, target) in self.net.ends:
            self.net.stall(source, target)

    def let_go(self, number: int, qos: int) -> None:
        source, target = PAIRS[number % 3][::1 if number < 3 else -1]
        if (source, target) in self.net.ends:
            self.net.stall(source, target, False)

    def let_all_go(self) -> None:
        for source, target in list(self.net.ends):
            self.net.stall(source, target, False)

    def cut(self, number: int, qos: int) -> None:
        self.doubt()
        self.net.cut(*PAIRS[number % 3])
        self.net.settle()

    def join(self, number: int, qos: int) -> None:
        self.net.join_all()

    def crash(self, number: int, qos: int) -> None:
        node = NODES[number % 3]
        self.doubt()
        stored = {delivery[0].payload for name in NAMES if name[0] == "p" for delivery in self.held(name)}
        stored |= {message.payload for message in self.on_their_way(True)}
        stored -= {delivery[0].payload for delivery in self.held(f"t{node}")}  # whoever still has it, will be told that it came
        self.risked |= self.owed.keys() - stored
        self.net[node].crash()
        for name in [name for name in self.here if name[1] == node]:
            del self.here[name]
        for name in [name for name in NAMES if name[1] == node]:
            self.given[name].clear()
            if name[0] == "t":
                self.members.discard(name)
        self.publishers[number % 3] = self.net[node].connect(f"publisher-{node}")

    # What holds.

    def doubt(self) -> None:
        """Something is lost: what nobody has taken at QoS 1, or nobody knows to be taken, may come again."""
        self.doubtful.update([payload for payload, qos in self.owed.items() if qos == 1])
        self.doubtful.update([message.payload for message in self.on_their_way() if message.qos == 1])

    def on_their_way(self, stored: bool = False) -> list[Message]:
        """What nodes have for others: all of it, or what a store has that the other has not taken yet."""
        found: list[Delivery] = []
        for node in NODES:
            for peer in self.net[node].cluster.peers.values():
                outbox, mark = peer.outbox, self.net[peer.name].cluster.inbox.marks.get(node)
                taken = mark.kept if stored and mark is not None else 0
                found += [sent[2] for sent in [*outbox._kept, *outbox._fleeting] if not 0 < sent[2][3] <= taken]
                found += outbox.backlog.queue.waiting() if outbox.backlog is not None else []
        return [delivery[0] for delivery in found if delivery[3] or not stored]

    def held(self, name: str, sent: bool = False) -> list[Delivery]:
        session = self.net[name[1]].broker.sessions.by_id.get(name)
        if session is None:
            return []
        waiting = session.backlog.queue.waiting() if session.backlog is not None and not sent else []
        return [delivery for delivery in session.inflight.held.values() if delivery is not None] + waiting

    def holders(self, payload: bytes) -> list[str]:
        return [name for name in NAMES for delivery in self.held(name) if delivery[0].payload == payload]

    def collect(self) -> None:
        for name, peer in self.here.items():
            for publish in peer.all(Publish):
                if publish.qos:
                    self.given[name][publish.payload] = publish
                else:
                    self.reached.setdefault(publish.payload, []).append(name)

    def check(self) -> None:
        self.collect()
        if not self.wild:
            for payload in self.owed:
                assert len(self.holders(payload)) == 1, payload
        for payload, qos in self.owed.items():
            if qos == 2:
                assert len(self.holders(payload)) <= 1, payload
        assert all(len(names) == 1 for names in self.reached.values())

    def finish(self) -> None:
        """All is well again, everybody comes and takes all: nothing is owed any more."""
        self.net.join_all()
        self.let_all_go()
        for number in range(len(NAMES)):
            self.come(number, 0)
            self.relieve(number, 0)
            self.check()
        while any(self.given.values()):
            for number in range(len(NAMES)):
                self.take(number, 0)
            self.check()
        assert self.owed.keys() <= self.risked
        outboxes = [peer.outbox for node in NODES for peer in self.net[node].cluster.peers.values()]
        assert [len(outbox) for outbox in outboxes] == [0] * 6


def play(whats: list[str], seed: int) -> None:
    names = sorted(STRATEGIES)
    stage = Stage(names[seed % len(names)], whats is not CALM)
    for what, number, qos in history(whats, seed):
        getattr(stage, what)(number, qos)
        stage.check()
    stage.finish()


@pytest.mark.parametrize("seed", SEEDS)
def test_each_message_of_a_group_has_one_member_of_all_nodes_and_none_is_lost(seed: int) -> None:
    play(CALM, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_none_is_lost_and_none_comes_twice_whatever_links_do(seed: int) -> None:
    play(WILD, seed)


@pytest.mark.parametrize("seed", [*SEEDS, 1173503697])
def test_none_is_lost_that_a_store_has_and_none_comes_twice_whatever_crashes(seed: int) -> None:
    play(DEADLY, seed)


@pytest.mark.sweep
@pytest.mark.parametrize("whats", [CALM, WILD, DEADLY], ids=["calm", "wild", "deadly"])
def test_each_message_has_one_member_in_many_new_histories(whats: list[str]) -> None:
    for _ in range(1000):
        seed = SystemRandom().randrange(1 << 32)
        try:
            play(whats, seed)
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
