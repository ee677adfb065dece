"""Statements of the standard that no other file has to do with."""
from collections.abc import Callable
from string import ascii_letters, digits

import pytest

from emqtwist.core import causes
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import MQTTError
from emqtwist.mqtt.packets import (
    Connect,
    Disconnect,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
)
from tests.peers import Peer, World, every_version, properties
from tests.scenes import acknowledged, bob_subscribed, publish


@every_version
@pytest.mark.mqtt5("3.1.3-5")
def test_letters_and_digits_up_to_23_bytes_are_an_identifier_whatever_the_bound(version: int) -> None:
    world = World("mqtt.max_clientid_len = 23")
    every = ascii_letters + digits
    wanted = ["x", *[every[start:start + 23] for start in range(0, len(every), 23)]]
    for client_id in wanted:
        world.connect(client_id, version=version)
    assert list(world.broker.sessions.by_id) == wanted


@every_version
@pytest.mark.mqtt3("3.1.2-12")
def test_without_will_nothing_is_published_at_the_end(version: int) -> None:
    world = World()
    watcher = world.connect("watcher")
    watcher.subscribe("#")
    world.connect("alice", version=version).drop()
    assert watcher.received() == []


@pytest.mark.mqtt5("3.1.2-28")
@pytest.mark.parametrize("wanted", [0, None])
def test_response_information_is_not_given_to_who_did_not_ask(wanted: int | None) -> None:
    assert World().connect("alice", request_response_information=wanted).told.response_information is None


@pytest.mark.mqtt5("3.2.2-9")
@pytest.mark.parametrize(("most", "told"), [(0, 0), (1, 1), (2, None)])
def test_a_client_is_told_the_highest_qos_that_it_may_use(most: int, told: int | None) -> None:
    assert World(f"mqtt.max_qos_allowed = {most}").connect("alice").told.maximum_qos == told


# The server's DISCONNECT.

def broken_rule(world: World, peer: Peer) -> None:
    peer.send(Connect(5, "again"))


def taken_over(world: World, peer: Peer) -> None:
    world.connect("alice", clean_start=False)


def silent(world: World, peer: Peer) -> None:
    world.advance(100)


def shut_down(world: World, peer: Peer) -> None:
    world.broker.shut_down()
    world.settle()


@pytest.mark.parametrize("end", [broken_rule, taken_over, silent, shut_down])
@pytest.mark.mqtt5("3.14.2-2", "3.14.4-2", "4.13.2-1")
def test_a_disconnect_of_the_server_says_nothing_of_the_session_and_closes(end: Callable[[World, Peer], None]) -> None:
    world = World()
    peer = world.connect("alice", session_expiry_interval=1000, keep_alive=10)
    end(world, peer)
    packet = peer.one(Disconnect)
    assert packet.reason_code >= 0x80
    assert packet.properties is None or packet.properties.session_expiry_interval is None
    assert peer.closed


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.mqtt5("3.14.4-1")
def test_nothing_follows_a_disconnect_of_the_server(qos: int) -> None:
    world = World()
    bob = bob_subscribed(world)
    alice = world.connect("alice")
    bob.connection.fail(MQTTError("because", c.ADMINISTRATIVE_ACTION))  # not flushed yet
    alice.publish("a", b"x", qos=qos)
    bob.one(Disconnect)


# A window without room.

@pytest.mark.mqtt5("3.3.4-10", "4.9.0-3")
def test_a_full_window_holds_up_nothing_but_publish() -> None:
    world = World()
    bob = bob_subscribed(world, receive_maximum=1)
    publish(world, b"1", b"waits", qos=2)
    first = bob.one(Publish)
    bob.send(Publish(b"b", b"x", 1, packet_id=5), Publish(b"b", b"x", 2, packet_id=6), Pubrel(6), Subscribe(7, [(b"c", 0)]),
             Unsubscribe(8, [b"c"]), Pingreq(), Pubrec(first.packet_id))
    assert [type(packet) for packet in bob.received()] == [Puback, Pubrec, Pubcomp, Suback, Unsuback, Pingresp, Pubrel]


@acknowledged
@pytest.mark.mqtt5("4.9.0-2", "3.3.4-9")
def test_the_window_counts_what_waits_for_pubcomp_too(qos: int) -> None:
    world = World()
    bob = bob_subscribed(world, receive_maximum=2)
    publish(world, b"1", b"2", b"3", qos=qos)
    assert bob.payloads() == [b"1", b"2"]


# Messages.

@pytest.mark.mqtt5("4.3.3-13")
def test_qos_2_goes_on_for_a_message_that_expired() -> None:
    world = World()
    bob = bob_subscribed(world)
    bob.drop()
    alice = world.connect("alice")
    alice.publish("a", b"x", qos=2, packet_id=77, message_expiry_interval=5)
    assert alice.answer(Pubrec) == (77, c.SUCCESS)
    world.advance(6)
    world.connect("bob", clean_start=False)
    assert world.drops == {causes.EXPIRED: 1}
    alice.send(Pubrel(77))
    assert alice.answer(Pubcomp) == (77, c.SUCCESS)


@pytest.mark.mqtt5("3.3.4-2")
@pytest.mark.parametrize("filters", [("a", "+"), ("+", "a")])
def test_the_highest_qos_holds_whatever_the_other_options(filters: tuple[str, str]) -> None:
    world = World()
    bob = world.connect("bob")
    for topic_filter, options in zip(filters, (c.OPTION_RETAIN_AS_PUBLISHED, c.GRANTED_QOS_1), strict=True):
        bob.subscribe(topic_filter, options=options)
    world.connect("alice").publish("a", b"x", qos=2)
    assert bob.one(Publish).qos == 1


@pytest.mark.mqtt5("3.3.4-5")
def test_each_copy_of_a_retained_message_bears_the_identifier_of_its_own_subscription() -> None:
    world = World()
    world.connect("alice").publish("a", b"x", retain=True)
    bob = world.connect("bob")
    for topic_filter, identifier in ((b"a", 3), (b"+", 4)):
        bob.send(Subscribe(identifier, [(topic_filter, 0)], properties(subscription_identifiers=[identifier])))
        (publish,) = [packet for packet in bob.received() if isinstance(packet, Publish)]
        assert publish.properties is not None
        assert publish.properties.subscription_identifiers == [identifier]


@pytest.mark.mqtt5("3.3.1-9", "3.3.1-10", "3.3.1-11")
@pytest.mark.parametrize(("handling", "wanted"), [(0x00, [1, 1]), (0x10, [1, 0]), (0x20, [0, 0])])
@pytest.mark.parametrize("kept", [True, False])
def test_retain_handling_decides_at_the_first_and_at_the_second_subscribe(
        handling: int, wanted: list[int], kept: bool) -> None:
    world = World()
    if kept:
        world.connect("alice").publish("a", b"x", retain=True)
    bob = world.connect("bob")
    seen: list[int] = []
    for _ in range(2):
        bob.subscribe("a", qos=1, options=handling)
        seen.append(len(bob.all(Publish)))
    assert seen == (wanted if kept else [0, 0])


@every_version
@acknowledged
@pytest.mark.mqtt5("3.8.4-4")
def test_what_waits_stays_when_its_subscription_is_replaced(version: int, qos: int) -> None:
    world = World()
    bob = bob_subscribed(world, version)
    bob.stall()
    publish(world, b"waits", qos=qos)
    bob.subscribe("a", qos=qos)
    publish(world, b"new", qos=qos)
    bob.relieve()
    assert bob.payloads() == [b"waits", b"new"]
