"""Gauges go up and down with what they count; maxima stay."""
import pytest

from tests.peers import World

NAMES = ("clients", "sessions", "topics", "subscribers", "subscriptions", "routes", "retained", "delayed")


def gauges(world: World) -> dict[str, int]:
    return world.broker.count().gauges()


def up(world: World, name: str) -> None:
    """One more of it."""
    bob = world.connect("bob", version=4, clean_start=False)
    if name == "retained":
        bob.publish("t", b"x", retain=True)
    elif name == "delayed":
        world.broker.delayed.open = True
        bob.publish("$delayed/5/t", b"x")
    elif name not in ("clients", "sessions"):
        bob.subscribe("t/+")


def down(world: World, name: str) -> None:
    """One less."""
    bob = world.connect("bob", version=4, clean_start=True)
    if name == "retained":
        bob.publish("t", b"", retain=True)
    elif name == "delayed":
        world.advance(5.0)
    bob.drop()


def test_there_are_a_count_and_a_maximum_of_each() -> None:
    assert list(gauges(World())) == [f"{name}/{kind}" for name in NAMES for kind in ("count", "max")]


@pytest.mark.parametrize("name", NAMES)
def test_a_gauge_follows_what_it_counts_and_its_maximum_stays(name: str) -> None:
    world = World()
    counts = []
    for step in (up, down):
        step(world, name)
        counts.append(gauges(world)[f"{name}/count"])
    assert counts == [1, 0]
    assert gauges(world)[f"{name}/max"] == 1


def test_topics_count_once_and_subscriptions_each() -> None:
    world = World()
    for client_id in ("alice", "bob"):
        world.connect(client_id).subscribe("t", "t/#")
    found = gauges(world)
    assert (found["topics/count"], found["routes/count"], found["subscriptions/count"]) == (2, 2, 4)


def test_a_subscription_counts_whatever_stands_before_its_filter() -> None:
    world = World()
    alice, bob = world.connect("alice"), world.connect("bob")
    counts = []

    def count() -> None:
        sessions = world.broker.sessions.by_id.values()
        counts.append(gauges(world)["subscriptions/count"])
        assert counts[-1] == gauges(world)["subscribers/count"] == sum(len(session.subscriptions) for session in sessions)

    for peer in (alice, bob):
        peer.subscribe("$share/g/t", "$queue/t", "$share/h/+", "$local/t", "t", "#", "$local/#")
        count()
        peer.subscribe("$share/g/t", "t", "$local/#", qos=2)  # again
        count()
    alice.subscribe("$exclusive/t")
    count()
    alice.unsubscribe("$share/g/t", "t", "$local/#", "$exclusive/t", "$share/g/t")
    count()
    bob.drop()
    count()
    alice.unsubscribe("$queue/t", "$share/h/+", "#", "$local/t")
    count()
    assert counts == [7, 7, 14, 14, 15, 11, 4, 0]


def test_a_client_that_waits_for_nobody_else_to_look_counts_in_the_maximum() -> None:
    world = World()
    for client_id in ("alice", "bob"):
        world.connect(client_id).drop()
    alice, bob = world.connect("alice"), world.connect("bob")
    alice.drop()
    bob.drop()
    found = gauges(world)
    assert (found["clients/count"], found["clients/max"], found["sessions/max"]) == (0, 2, 2)


def test_who_is_taken_over_counts_once() -> None:
    world = World()
    world.connect("alice")
    world.connect("alice")
    assert (gauges(world)["clients/count"], gauges(world)["clients/max"]) == (1, 1)


def test_who_is_refused_does_not_count() -> None:
    world = World("mqtt.allow_anonymous = off")
    world.peer().connect("alice")
    assert gauges(world)["clients/max"] == 0


def test_the_gauges_are_noted_once_a_second() -> None:
    world = World()
    world.connect("alice").subscribe("t")
    assert world.broker.stats.gauges()["subscriptions/count"] == 0
    world.advance(1.0)
    assert world.broker.stats.gauges()["subscriptions/count"] == 1
