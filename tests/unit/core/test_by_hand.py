"""Subscriptions by hand: one after the other with the client's own, whole or not at all, and over once they are stored."""
import pytest

from emqtwist.core.by_hand import ByHand, Subscribing, Unsubscribing
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import MQTTError, QuotaExceeded
from emqtwist.mqtt.packets import Connect, Publish, Suback, Subscribe
from tests.jobs import Poisoned, Trial
from tests.peers import World, properties
from tests.stores import StoredWorld

KEPT = {"clean_start": False, "session_expiry_interval": 100}


def submit(world: World, job: ByHand) -> ByHand:
    world.broker.pools.server.submit(job)
    world.settle()
    return job


def subscribing(world: World, client_id: str, topic: bytes, qos: int = 1) -> ByHand:
    return submit(world, Subscribing(world.broker, world.session(client_id), topic, qos))


def unsubscribing(world: World, client_id: str, topic: bytes) -> ByHand:
    return submit(world, Unsubscribing(world.broker, world.session(client_id), topic))


@pytest.mark.parametrize("made", [True, False])
def test_the_store_has_it_when_it_is_stored(made: bool) -> None:
    world = StoredWorld(stored=False)
    world.peer().send(Connect(5, "a", False, properties=properties(session_expiry_interval=100)))
    if not made:
        subscribing(world, "a", b"t")
    world.commit()
    job = subscribing(world, "a", b"t") if made else unsubscribing(world, "a", b"t")
    stored = job.stored()
    assert (job.over, stored.decision) == (True, None)
    world.take()
    assert stored.decision is None
    world.answer()
    assert stored.decision is True
    assert job.stored().decision is True
    world.crash()
    assert list(world.session("a").subscriptions) == ([b"t"] if made else [])


def test_a_session_that_no_store_keeps_waits_for_nothing() -> None:
    world = StoredWorld(stored=False)
    world.connect("a")
    assert subscribing(world, "a", b"t").stored().decision is True


@pytest.mark.parametrize("kind", [Subscribing, Unsubscribing])
def test_while_the_store_fails_nothing_is_changed_that_it_keeps(kind: type[ByHand]) -> None:
    world = StoredWorld()
    for name, more in (("kept", KEPT), ("transient", {})):
        world.connect(name, **more).subscribe("t", qos=1)
    world.journal.failing = "there is no space left"
    jobs = []
    for name in ("kept", "transient"):
        session = world.session(name)
        job = Subscribing(world.broker, session, b"u", 1) if kind is Subscribing else Unsubscribing(world.broker, session, b"t")
        jobs.append(submit(world, job))
    assert isinstance(jobs[0].error, QuotaExceeded)
    assert "there is no space left" in jobs[0].error.reason
    assert jobs[1].error is None
    assert list(world.session("kept").subscriptions) == [b"t"]
    assert list(world.session("transient").subscriptions) == ([b"t", b"u"] if kind is Subscribing else [])


def test_it_waits_behind_what_the_client_asked_for_before() -> None:
    world = World()
    client, writer = world.connect("a"), world.connect("writer")
    pubsub = world.broker.pools.pubsub
    before = Trial(b"t", "before", [], 1)
    pubsub.submit(before)
    client.send(Subscribe(1, [(b"t", 2)]))
    job = subscribing(world, "a", b"t", 0)
    last = unsubscribing(world, "a", b"x")
    assert (client.received(), job.over, last.over) == ([], False, False)
    before.decide()
    world.settle()
    assert client.one(Suback).reason_codes == [2]
    assert (job.over, job.error, last.over) == (True, None, True)
    assert world.session("a").subscriptions[b"t"].options & c.OPTION_QOS == 0
    writer.publish("t", b"x", 1)
    assert client.one(Publish).qos == 0


@pytest.mark.parametrize("before", [None, 2])
def test_a_defect_leaves_what_was_there(before: int | None) -> None:
    world = World()
    client, writer = world.connect("a"), world.connect("writer")
    if before is not None:
        client.subscribe("t", qos=before)
    world.bear()
    world.broker.router._exact = Poisoned(world.broker.router._exact, [b"t"])
    job = subscribing(world, "a", b"t", 0)
    assert isinstance(job.error, RuntimeError)
    world.broker.pools.pubsub.worker(b"t").start()
    world.settle()
    writer.publish("t", b"x", 2)
    assert [packet.qos for packet in client.all(Publish)] == ([] if before is None else [before])
    assert list(world.session("a").subscriptions) == ([] if before is None else [b"t"])


def test_a_subscription_that_cannot_be_ended_stays() -> None:
    world = World()
    client, writer = world.connect("a"), world.connect("writer")
    client.subscribe("t", qos=1)
    world.bear()
    world.broker.router._exact = Poisoned(world.broker.router._exact, [b"t"])
    job = unsubscribing(world, "a", b"t")
    assert isinstance(job.error, RuntimeError)
    world.broker.pools.pubsub.worker(b"t").start()
    world.settle()
    writer.publish("t", b"x", 1)
    assert client.one(Publish).qos == 1


@pytest.mark.parametrize("kind", [Subscribing, Unsubscribing])
def test_a_session_that_has_ended_meanwhile_gets_none(kind: type[ByHand]) -> None:
    world = World()
    client = world.connect("a")
    session = world.session("a")
    client.disconnect()
    job = Subscribing(world.broker, session, b"t", 1) if kind is Subscribing else Unsubscribing(world.broker, session, b"t")
    submit(world, job)
    assert isinstance(job.error, MQTTError)
    assert job.error.reason == "the session has ended"
    assert world.broker.router.filters() == []
