"""BrokerService inside a program: several in one process, in-process publish and subscribe, start and stop."""
import gc
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from twisted.internet import reactor
from twisted.internet.defer import DeferredQueue
from twisted.internet.error import CannotListenError
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from emqtwist import BrokerService
from emqtwist.config import parse
from emqtwist.core.message import Message
from emqtwist.mqtt.constants import SERVER_SHUTTING_DOWN
from emqtwist.mqtt.errors import TopicFilterInvalid, TopicNameInvalid
from emqtwist.mqtt.packets import Disconnect, Publish
from emqtwist.mqtt.properties import Properties, decode_forwarded
from tests.integration.raw import RawClient
from tests.transports import CLASSES, IO, classes_in_use


def make_broker(port: int = 0) -> BrokerService:
    return BrokerService(parse(f"node.io = {IO}\nlistener.tcp.default.bind = 127.0.0.1:{port}"), reactor)


@asynccontextmanager
async def running(broker: BrokerService) -> AsyncIterator[BrokerService]:
    broker.startService()
    try:
        yield broker
    finally:
        await broker.stopService()


@contextmanager
def raw_client(broker: BrokerService) -> Iterator[RawClient]:
    """A client whose calls block: they belong into a thread."""
    with RawClient(broker.port()) as client:
        yield client


def connect(client: RawClient, topic_filter: bytes) -> None:
    client.connect("c")
    assert client.subscribe(topic_filter, 1) == [1]


async def test_two_brokers_in_one_process_do_not_know_of_each_other() -> None:
    async with running(make_broker()) as one, running(make_broker()) as other:
        assert one.port() != other.port()
        with raw_client(one) as of_one, raw_client(other) as of_other:
            for client in of_one, of_other:  # both are called "c"
                await deferToThread(connect, client, b"#")
            assert classes_in_use(one) == classes_in_use(other) == {CLASSES[IO]}
            assert one.publish("a/b", b"one", qos=1) == 1
            assert other.publish("a/b", b"other", qos=1) == 1
            assert (await deferToThread(of_one.next, Publish)).payload == b"one"
            assert (await deferToThread(of_other.next, Publish)).payload == b"other"
            await one.stopService()
            assert (await deferToThread(of_one.next, Disconnect)).reason_code == SERVER_SHUTTING_DOWN
            assert other.publish("a/b", b"alone", qos=1) == 1
            assert (await deferToThread(of_other.next, Publish)).payload == b"alone"


async def test_what_the_program_publishes_reaches_clients_as_it_was_said() -> None:
    said = Properties()
    said.content_type, said.response_topic, said.correlation_data = "text/plain", "answers", b"\0\xff"
    said.user_properties = [("z", "1"), ("a", "2"), ("z", "3")]
    async with running(make_broker()) as broker:
        with raw_client(broker) as client:
            await deferToThread(connect, client, b"a/+")
            assert broker.publish("a/b", b"x", qos=1, expiry=60, properties=said) == 1
            publish = await deferToThread(client.next, Publish)
    got = publish.properties
    assert (publish.topic_name, publish.payload, publish.qos, publish.retain) == (b"a/b", b"x", 1, False)
    assert got is not None
    assert (got.content_type, got.response_topic, got.correlation_data) == ("text/plain", "answers", b"\0\xff")
    assert got.user_properties == said.user_properties
    assert got.message_expiry_interval is not None
    assert 0 < got.message_expiry_interval <= 60


async def test_what_clients_publish_reaches_the_program_as_it_was_said() -> None:
    messages: DeferredQueue[Message] = DeferredQueue()
    said = Properties()
    said.user_properties = [("z", "1"), ("a", "2")]
    async with running(make_broker()) as broker:
        broker.subscribe("a/+", messages.put)
        with raw_client(broker) as client:
            await deferToThread(client.connect, "c")
            client.send(Publish(b"a/b", b"x", 1, packet_id=1, properties=said))
            message = await messages.get()
    assert (message.topic_name, message.payload, message.qos, message.publisher) == ("a/b", b"x", 1, "c")
    assert decode_forwarded(message.properties).user_properties == said.user_properties


async def test_the_program_gets_retained_messages_first_and_none_once_it_unsubscribed() -> None:
    messages: DeferredQueue[Message] = DeferredQueue()
    async with running(make_broker()) as broker:
        assert broker.publish("a/b", b"kept", retain=True) == 0
        callback = broker.subscribe("a/#", messages.put)
        assert (await messages.get()).payload == b"kept"
        assert broker.publish("a/b", b"live") == 1
        assert (await messages.get()).payload == b"live"
        assert broker.unsubscribe(callback)
        assert not broker.unsubscribe(callback)
        assert broker.publish("a/b", b"unheard") == 0
    assert messages.pending == []


async def test_a_subscriber_that_leaves_amid_retained_messages_gets_no_more() -> None:
    messages: DeferredQueue[Message] = DeferredQueue()

    def take_one(message: Message) -> None:
        assert broker.unsubscribe(callback)
        messages.put(message)

    async with running(make_broker()) as broker:
        for number in range(3):
            broker.publish(f"a/{number}", b"kept", retain=True)
        callback = broker.subscribe("a/+", take_one)
        assert (await messages.get()).topic_name == "a/0"
        with raw_client(broker) as client:  # which is served as ever
            await deferToThread(connect, client, b"a/1")
            assert (await deferToThread(client.next, Publish)).payload == b"kept"
    assert messages.pending == []


async def test_a_subscriber_in_the_program_that_fails_disturbs_nobody(logged_failures: list[Failure]) -> None:
    def fail(message: Message) -> None:
        raise ZeroDivisionError(message.topic_name)

    async with running(make_broker()) as broker:
        with raw_client(broker) as client:
            await deferToThread(connect, client, b"a/b")
            broker.subscribe("a/b", fail)
            assert broker.publish("a/b", b"x") == 2
            assert (await deferToThread(client.next, Publish)).payload == b"x"
    assert logged_failures.pop().type is ZeroDivisionError


async def test_topics_that_are_none_are_refused() -> None:
    broker = make_broker()
    with pytest.raises(TopicNameInvalid):
        broker.publish("a/#", b"")
    with pytest.raises(TopicFilterInvalid):
        broker.subscribe("a/#/b", print)


async def test_a_broker_starts_again_with_what_it_kept() -> None:
    broker = make_broker()
    async with running(broker):
        broker.publish("a/b", b"kept", retain=True)
    assert broker.port() == 0
    async with running(broker):
        with raw_client(broker) as client:
            await deferToThread(connect, client, b"a/b")
            publish = await deferToThread(client.next, Publish)
    assert (publish.payload, publish.retain) == (b"kept", True)


async def test_a_port_in_use_is_told_to_the_program() -> None:
    async with running(make_broker()) as broker:
        with pytest.raises(CannotListenError):
            make_broker(broker.port()).startService()


async def test_an_embedded_broker_changes_nothing_global() -> None:
    def global_state() -> list[object]:
        return [gc.isenabled(), gc.get_threshold(), gc.get_freeze_count(),
                *[signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)]]

    before = global_state()
    async with running(make_broker()) as broker:
        with raw_client(broker) as client:
            await deferToThread(connect, client, b"a/b")
            assert global_state() == before
