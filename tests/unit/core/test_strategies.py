"""Which member of a group gets a message, by strategy."""
from collections import Counter

import pytest

from emqtwist.config.sections.mqtt import STRATEGIES as CHOICES
from emqtwist.core.members import Members
from emqtwist.core.message import Message
from emqtwist.core.prefixes import Prefix, Prefixed
from emqtwist.core.session import Session
from emqtwist.core.strategies import MOST_PUBLISHERS, STRATEGIES, Dice, Memory, local, round_robin
from emqtwist.mqtt.packets import Publish
from tests.peers import Peer, World

NAMES = ("m0", "m1", "m2")


def member(client_id: str, load: int = 0, node: str = "") -> Prefixed:
    """The subscription of somebody who has `load` messages in flight."""
    session = Session(client_id, World().broker.circle)
    session.inflight.held = dict.fromkeys(range(load))
    subscription = Prefixed(session, Prefix(b"$share/g/a", b"a", b"g", False, False), 0, ())
    subscription.node = node
    return subscription


def members_of(*subscriptions: Prefixed) -> Members:
    members = Members()
    for subscription in subscriptions:
        members.put(subscription)
    return members


def message(topic: bytes = b"a", publisher: str = "alice") -> Message:
    return Message(topic, b"x", publisher=publisher)


def chosen(strategy: str, count: int, members: Members, **values: str) -> list[str]:
    memory = Memory(Dice(1))
    function = STRATEGIES[strategy]
    return [function(members, memory, message(publisher=values.get("publisher", "alice"))).client_id for _ in range(count)]


def group(world: World, qos: int = 0) -> list[Peer]:
    peers = [world.connect(name) for name in NAMES]
    for peer in peers:
        peer.subscribe("$share/g/#", qos=qos)
    return peers


def served(world: World, peers: list[Peer], *publications: tuple[str, str]) -> list[int]:
    """Which of the peers gets each message (publisher, topic)."""
    found = []
    publishers: dict[str, Peer] = {}
    for client_id, topic in publications:
        if client_id not in publishers:
            publishers[client_id] = world.connect(client_id)
        publishers[client_id].publish(topic)
        counts = [len(peer.all(Publish)) for peer in peers]
        assert sum(counts) == 1
        found.append(counts.index(1))
    return found


def test_each_name_of_the_configuration_is_a_strategy() -> None:
    assert sorted(CHOICES.choices) == sorted(STRATEGIES)


def test_mqtt_shared_subscription_strategy() -> None:
    world = World("mqtt.shared_subscription_strategy = sticky")
    peers = group(world)
    assert len(set(served(world, peers, *[("alice", "a")] * 6))) == 1
    world.configure("mqtt.shared_subscription_strategy = round_robin_per_group")
    assert served(world, peers, *[("alice", "a")] * 6) == [0, 1, 2] * 2


# Least loaded.

def test_least_loaded_is_the_default_and_goes_round_while_nobody_is_loaded() -> None:
    world = World()
    assert served(world, group(world), *[("alice", "a")] * 7) == [0, 1, 2, 0, 1, 2, 0]


def test_least_loaded_counts_what_is_in_flight_and_what_waits() -> None:
    world = World("mqtt.session.max_inflight = 1")
    peers = group(world, qos=1)
    alice = world.connect("alice")
    for _ in range(6):
        alice.publish("a", qos=1)
    assert [world.session(name).load() for name in NAMES] == [2, 2, 2]
    for publish in peers[1].all(Publish):
        peers[1].acknowledge(publish)
    for _ in range(2):
        alice.publish("b", b"next", qos=1)
    assert [world.session(name).load() for name in NAMES] == [3, 2, 2]


def test_least_loaded_takes_the_one_with_the_fewest() -> None:
    members = members_of(member("m0", 3), member("m1", 1), member("m2", 2))
    assert chosen("least_loaded", 1, members) == ["m1"]


def test_of_equally_loaded_the_one_served_longest_ago_is_next() -> None:
    one, two, three = (member(name, 5) for name in NAMES)
    members = members_of(one, two, three)
    for subscription in (one, three, two):
        members.serve(subscription.subscriber)
    assert chosen("least_loaded", 1, members) == ["m0"]
    members.serve(one.subscriber)
    assert chosen("least_loaded", 1, members) == ["m2"]


# Chance.

def test_random_reaches_each_equally_often() -> None:
    counts = Counter(chosen("random", 3000, members_of(*[member(name) for name in NAMES])))
    assert all(900 < counts[name] < 1100 for name in NAMES), counts


def test_random_follows_no_order() -> None:
    names = chosen("random", 300, members_of(*[member(name) for name in NAMES]))
    pairs = Counter(zip(names, names[1:], strict=False))
    assert len(pairs) == 9
    assert all(15 < count < 55 for count in pairs.values()), pairs


def test_the_seed_is_all_the_chance_there_is() -> None:
    assert [Dice(7).below(1000) for _ in range(3)] == [Dice(7).below(1000)] * 3
    assert len({Dice(seed).below(10 ** 9) for seed in range(100)}) == 100
    dice = Dice(0)
    assert len({dice.below(10 ** 9) for _ in range(10)}) == 10


# One after the other.

def test_round_robin_goes_round_for_each_publisher() -> None:
    world = World("mqtt.shared_subscription_strategy = round_robin")
    peers = group(world)
    found = served(world, peers, *[("alice", "a"), ("bob", "a")] * 6)
    for one in (found[::2], found[1::2]):
        assert [(number - one[0]) % 3 for number in one] == [0, 1, 2, 0, 1, 2]


def test_round_robin_begins_anywhere() -> None:
    members, memory = members_of(*[member(name) for name in NAMES]), Memory(Dice(1))
    first = Counter(round_robin(members, memory, message(publisher=f"p{n}")).client_id for n in range(300))
    assert set(first) == set(NAMES)


def test_round_robin_remembers_no_more_publishers_than_it_may() -> None:
    members, memory = members_of(member("m0"), member("m1")), Memory(Dice(1))
    round_robin(members, memory, message(publisher="first"))
    for number in range(MOST_PUBLISHERS):
        if number == 10:
            round_robin(members, memory, message(publisher="p1"))
        round_robin(members, memory, message(publisher=f"p{number}"))
    assert len(memory.turns) == MOST_PUBLISHERS
    assert "first" not in memory.turns
    for publisher in ("late", "later"):
        round_robin(members, memory, message(publisher=publisher))
    assert ("p0" in memory.turns, "p1" in memory.turns) == (False, True)


def test_round_robin_per_group_goes_round_whoever_publishes() -> None:
    world = World("mqtt.shared_subscription_strategy = round_robin_per_group")
    assert served(world, group(world), *[("alice", "a"), ("bob", "b")] * 3) == [0, 1, 2, 0, 1, 2]


# The same again.

def test_sticky_stays_with_one_while_it_is_there() -> None:
    world = World("mqtt.shared_subscription_strategy = sticky")
    peers = group(world)
    first = served(world, peers, ("alice", "a"), ("bob", "b"), ("carol", "c"))
    assert len(set(first)) == 1
    peers.pop(first[0]).drop()
    assert world.broker.subscriptions.groups.by_name[b"$share/g/#"]._memory.favourite is None
    second = served(world, peers, ("alice", "a"), ("bob", "b"), ("carol", "c"))
    assert len(set(second)) == 1


@pytest.mark.parametrize(("strategy", "by_publisher"), [("hash_clientid", True), ("hash_topic", False)])
def test_a_hash_gives_the_same_to_the_same(strategy: str, by_publisher: bool) -> None:
    world = World(f"mqtt.shared_subscription_strategy = {strategy}")
    peers = group(world)
    publications = [(f"p{n % 6}", f"t{n % 5}") for n in range(30)]
    by_key: dict[str, set[int]] = {}
    for publication, number in zip(publications, served(world, peers, *publications), strict=True):
        by_key.setdefault(publication[0 if by_publisher else 1], set()).add(number)
    assert all(len(numbers) == 1 for numbers in by_key.values()), by_key
    assert len({number for numbers in by_key.values() for number in numbers}) > 1


# Nodes.

def test_local_takes_members_of_other_nodes_only_when_there_is_none_here() -> None:
    memory = Memory(Dice(1))
    far = [member("far0", node="other@127.0.0.1"), member("far1", node="other@127.0.0.1")]
    near = [member("near0"), member("near1")]
    mixed = members_of(far[0], *near, far[1])
    assert {local(mixed, memory, message()).client_id for _ in range(50)} == {"near0", "near1"}
    assert {local(members_of(*far), memory, message()).client_id for _ in range(50)} == {"far0", "far1"}


def test_local_shares_among_the_members_of_this_node() -> None:
    world = World("mqtt.shared_subscription_strategy = local")
    assert set(served(world, group(world), *[("alice", "a")] * 40)) == {0, 1, 2}
