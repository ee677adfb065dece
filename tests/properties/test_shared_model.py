"""A group under any history: each message has one member at a time, and none is lost.

Members join, leave, read slowly, take messages and come back, while others are published. At every moment a message that
nobody has taken yet is with exactly one session; the exception is QoS 2 that was sent to a session that then ended.
"""
from hypothesis import given
from hypothesis import strategies as st

from emqtwist.core.message import Delivery
from emqtwist.core.strategies import STRATEGIES
from emqtwist.mqtt.packets import Publish
from tests.peers import Peer, World
from tests.scenes import LASTING

NAMES = ("p0", "p1", "t0", "t1")  # two with sessions that stay, two whose sessions end; p0 never leaves the group
GROUP = "$share/g/a"
Step = tuple[str, str, int]
STEPS = st.lists(st.tuples(
    st.sampled_from(["publish", "publish", "publish", "take", "take", "come", "come", "go", "stall", "relieve", "unsubscribe"]),
    st.sampled_from(NAMES), st.integers(0, 2)), max_size=60)


class Stage:

    def __init__(self, strategy: str) -> None:
        self.world = World("mqtt.session.max_inflight = 3", f"mqtt.shared_subscription_strategy = {strategy}")
        self.publisher = self.world.connect("publisher")
        self.here: dict[str, Peer] = {}
        self.members: set[str] = set()
        self.given: dict[str, dict[bytes, Publish]] = {name: {} for name in NAMES}  # what a peer has not taken yet
        self.owed: dict[bytes, int] = {}  # payload to QoS, of what nobody has taken yet
        self.reached: dict[bytes, list[str]] = {}  # payload to the peers that got it, at QoS 0
        self.count = 0
        self.come("p0")

    # Steps.

    def publish(self, name: str, qos: int) -> None:
        self.count += 1
        payload = b"%d" % self.count
        self.publisher.publish("a", payload, qos=qos)
        self.publisher.received()
        if qos:
            self.owed[payload] = qos
        self.collect()
        [holder] = self.holders(payload) or self.reached[payload]
        online = self.members & self.here.keys()
        assert holder in (online or self.members)

    def take(self, name: str, qos: int) -> None:
        if name in self.here and self.given[name]:
            payload, publish = next(iter(self.given[name].items()))
            del self.given[name][payload], self.owed[payload]  # a KeyError when it was taken before
            self.here[name].acknowledge(publish)

    def come(self, name: str, qos: int = 2) -> None:
        if name not in self.here:
            options = LASTING[5] if name[0] == "p" else {}
            self.here[name] = self.world.connect(name, **options)
            self.collect()
        self.here[name].subscribe(GROUP, qos=2)
        self.members.add(name)

    def go(self, name: str, qos: int) -> None:
        if name not in self.here:
            return
        sent = [delivery[0].payload for delivery in self.world.session(name).inflight.held.values()
                if delivery is not None and delivery[0].qos == 2]
        self.here.pop(name).drop()
        self.given[name].clear()
        if name[0] == "t":
            self.members.discard(name)
            for payload in sent:
                del self.owed[payload]
        elif self.members & self.here.keys():
            assert sorted(delivery[0].payload for delivery in self.held(name)) == sorted(sent)

    def stall(self, name: str, qos: int) -> None:
        if name in self.here:
            self.here[name].stall()

    def relieve(self, name: str, qos: int) -> None:
        if name in self.here:
            self.here[name].relieve()

    def unsubscribe(self, name: str, qos: int) -> None:
        if name in self.here and name != "p0":
            self.here[name].unsubscribe(GROUP)
            self.members.discard(name)

    # What holds.

    def held(self, name: str) -> list[Delivery]:
        session = self.world.broker.sessions.by_id.get(name)
        if session is None:
            return []
        waiting = session.backlog.queue.waiting() if session.backlog is not None else []
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
        for payload in self.owed:
            assert len(self.holders(payload)) == 1, payload
        assert all(len(names) == 1 for names in self.reached.values())
        for name, publishes in self.given.items():
            assert set(publishes) <= {delivery[0].payload for delivery in self.held(name)}

    def finish(self) -> None:
        """Everybody comes and takes all: nothing is owed any more."""
        for name in NAMES:
            self.come(name)
            self.relieve(name, 0)
            self.check()
        while any(self.given.values()):
            for name in NAMES:
                self.take(name, 0)
            self.check()
        assert self.owed == {}


@given(st.sampled_from(sorted(STRATEGIES)), STEPS)
def test_each_message_of_a_group_has_one_member_and_none_is_lost(strategy: str, steps: list[Step]) -> None:
    stage = Stage(strategy)
    for what, name, qos in steps:
        getattr(stage, what)(name, qos)
        stage.check()
    stage.finish()
