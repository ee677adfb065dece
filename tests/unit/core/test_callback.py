"""Subscribers within the process."""
import pytest

from emqtwist.core.callback import Callback
from emqtwist.core.message import NEVER, Message
from emqtwist.mqtt.constants import QUOTA_EXCEEDED
from emqtwist.mqtt.errors import MalformedPacket, QuotaExceeded, TopicFilterInvalid
from emqtwist.mqtt.packets import Puback, Publish
from tests.peers import World


class Inbox:
    """A function that keeps the messages it is called with."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def take(self, message: Message) -> None:
        self.messages.append(message)

    def brief(self) -> list[tuple[str, bytes, int, bool]]:
        return [(each.topic_name, each.payload, each.qos, each.retain) for each in self.messages]


def failing(message: Message) -> None:
    raise ZeroDivisionError("a mistake of the host")


def local(world: World, topic: str, payload: bytes = b"x", retain: bool = False) -> int:
    reached = world.broker.publish(world.broker.local_message(topic, payload, 0, retain, b"", NEVER))
    world.settle()
    return reached


def test_a_function_is_called_with_what_clients_and_the_host_publish() -> None:
    world, inbox = World(), Inbox()
    world.broker.subscribe("a/+", inbox.take, 2)
    world.connect("alice").publish("a/b", b"1", qos=2)
    local(world, "a/c", b"2")
    local(world, "b", b"3")
    assert inbox.brief() == [("a/b", b"1", 2, False), ("a/c", b"2", 0, False)]


def test_a_function_counts_as_a_subscriber() -> None:
    world, inbox = World(), Inbox()
    world.broker.subscribe("a", inbox.take, 0)
    alice = world.connect("alice")
    alice.publish("a", b"x", qos=1)
    assert alice.answer(Puback) == (1, 0)
    assert local(world, "a") == 1
    assert world.drops == {}


def test_each_function_is_called_although_their_filters_are_the_same() -> None:
    world, first, second = World(), Inbox(), Inbox()
    world.broker.subscribe("a", first.take, 0)
    world.broker.subscribe("a", second.take, 0)
    world.broker.subscribe("#", first.take, 0)
    local(world, "a")
    assert (len(first.messages), len(second.messages)) == (2, 1)


def test_an_unsubscribed_function_is_not_called_any_more() -> None:
    world, inbox = World(), Inbox()
    callback = world.broker.subscribe("a", inbox.take, 0)
    assert world.broker.unsubscribe(callback)
    assert not world.broker.unsubscribe(callback)
    local(world, "a")
    assert inbox.messages == []
    assert world.broker.router.subscriptions == 0


def test_what_a_function_raises_is_told_and_harms_nobody() -> None:
    world, inbox = World(), Inbox()
    bob = world.connect("bob")
    bob.subscribe("a")
    world.broker.subscribe("a", failing, 0)
    world.broker.subscribe("a", inbox.take, 0)
    alice = world.connect("alice")
    alice.publish("a", b"x", qos=1)
    assert alice.answer(Puback) == (1, 0)
    assert bob.payloads() == [b"x"]
    assert len(inbox.messages) == 1
    [(topic_filter, error)] = world.witness.told("callback_failed")
    assert (topic_filter, type(error)) == (b"a", ZeroDivisionError)
    assert world.ends == {}


def test_retained_messages_come_first() -> None:
    world, inbox = World(), Inbox()
    for topic in ("a/1", "a/2"):
        local(world, topic, b"kept", retain=True)
    world.broker.subscribe("a/+", inbox.take, 0)
    world.settle()
    local(world, "a/3", b"new")
    assert inbox.brief() == [("a/1", b"kept", 0, True), ("a/2", b"kept", 0, True), ("a/3", b"new", 0, False)]


def test_all_retained_messages_come_however_many() -> None:
    world, inbox = World("retainer.replay_batch = 7"), Inbox()
    for number in range(50):
        local(world, f"a/{number}", retain=True)
    world.broker.subscribe("#", inbox.take, 0)
    world.settle()
    assert len(inbox.messages) == 50


def test_an_unsubscribed_function_gets_no_more_retained_messages() -> None:
    world, inbox = World(), Inbox()
    local(world, "a", retain=True)
    callback = world.broker.subscribe("a", inbox.take, 0)
    world.broker.unsubscribe(callback)
    world.settle()
    assert inbox.messages == []


def test_a_function_may_unsubscribe_itself_amid_the_retained_messages() -> None:
    world = World()
    for topic in ("a/1", "a/2", "a/3"):
        local(world, topic, retain=True)
    seen: list[str] = []
    callbacks: list[Callback] = []

    def once(message: Message) -> None:
        seen.append(message.topic_name)
        world.broker.unsubscribe(callbacks[0])

    callbacks.append(world.broker.subscribe("a/+", once, 0))
    world.settle()
    local(world, "a/1")
    assert seen == ["a/1"]
    assert world.witness.told("callback_failed") == []


def test_a_function_may_publish() -> None:
    world = World()
    bob = world.connect("bob")
    bob.subscribe("#")
    world.broker.subscribe("question", lambda message: local(world, "answer", message.payload + b"!"), 0)
    world.connect("alice").publish("question", b"why")
    assert sorted(bob.payloads()) == [b"why", b"why!"]


def test_a_function_may_subscribe_and_unsubscribe_others() -> None:
    world, inbox, late = World(), Inbox(), Inbox()
    other = world.broker.subscribe("a", inbox.take, 0)

    def change(message: Message) -> None:
        world.broker.unsubscribe(other)
        world.broker.subscribe("a", late.take, 0)

    world.broker.subscribe("a", change, 0)
    local(world, "a")
    local(world, "a")
    assert len(inbox.messages) == 1  # the route of the first message was fixed
    assert len(late.messages) == 1


def test_functions_may_see_what_clients_may_not_publish_to() -> None:
    world, inbox = World(), Inbox()
    world.broker.subscribe("$SYS/#", inbox.take, 0)
    bob = world.connect("bob")
    bob.subscribe("$SYS/#")
    assert local(world, "$SYS/brokers") == 2
    assert len(inbox.messages) == 1
    assert bob.one(Publish).topic_name == b"$SYS/brokers"


@pytest.mark.parametrize("topic_filter", ["", "a#", "a/#/b"])
def test_a_bad_filter_is_an_error(topic_filter: str) -> None:
    with pytest.raises(TopicFilterInvalid):
        World().broker.subscribe(topic_filter, failing, 0)


def test_a_filter_that_is_no_string_of_the_standard_is_an_error() -> None:
    with pytest.raises(MalformedPacket):
        World().broker.subscribe("a\0", failing, 0)


@pytest.mark.parametrize("topic_filter", ["$share/g/a", "$queue/a"])
def test_functions_and_clients_share_a_subscription(topic_filter: str) -> None:
    world, inbox = World(), Inbox()
    callback = world.broker.subscribe(topic_filter, inbox.take, 1)
    bob = world.connect("bob")
    bob.subscribe(topic_filter, qos=1)
    for payload in (b"1", b"2", b"3", b"4"):
        local(world, "a", payload)
    assert [message.payload for message in inbox.messages] == [b"1", b"3"]
    assert bob.payloads() == [b"2", b"4"]
    assert world.broker.unsubscribe(callback)
    local(world, "a", b"5")
    assert bob.payloads() == [b"5"]
    assert callback not in world.broker.subscriptions.groups._joined


def test_a_function_that_shares_gets_what_the_host_publishes_whatever_clients_get() -> None:
    world, inbox = World("mqtt.session.ignore_loop_deliver = on"), Inbox()
    world.broker.subscribe("$share/g/a", inbox.take, 1)
    local(world, "a")
    assert len(inbox.messages) == 1


def test_a_function_that_shares_gets_no_retained_messages() -> None:
    world, inbox = World(), Inbox()
    local(world, "a", retain=True)
    world.broker.subscribe("$share/g/a", inbox.take, 1)
    world.settle()
    assert inbox.messages == []


def test_a_function_excludes_clients() -> None:
    world, inbox = World(), Inbox()
    bob = world.connect("bob")
    callback = world.broker.subscribe("$exclusive/a", inbox.take, 1)
    assert bob.subscribe("$exclusive/a") == [QUOTA_EXCEEDED]
    world.broker.unsubscribe(callback)
    assert bob.subscribe("$exclusive/a") == [0]
    with pytest.raises(QuotaExceeded):
        world.broker.subscribe("$exclusive/a", inbox.take, 1)
