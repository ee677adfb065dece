"""Clients that others wrote, in each version that they speak, against a real broker: one list of scenarios for all."""
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path
from secrets import token_hex

import pytest

from tests.integration.brokers import RunningBroker
from tests.integration.clients.kinds import KINDS, OVER_WEBSOCKET, Kind
from tests.integration.clients.vocabulary import Client, Message, Opening

KIB = 1024
EVERY = (*KINDS, *OVER_WEBSOCKET)
WEBSOCKETS = "listener.ws.browsers.bind = 127.0.0.1:0\n"
ALL = [pytest.param((kind, version), id=f"{kind.name}-{version}") for kind in EVERY for version in kind.versions]
MQTT_5 = [pytest.param((kind, "5.0"), id=kind.name) for kind in EVERY if "5.0" in kind.versions]
in_mqtt_5 = pytest.mark.parametrize("speaker", MQTT_5, indirect=True)
numbers = count(1)
Resting = dict[str, list[Client]]


class Speaker:
    """Makes clients of one kind that speak one version."""

    def __init__(self, kind: Kind, version: str, broker: RunningBroker, resting: Resting, leaving: ExitStack) -> None:
        self.kind = kind
        self.version = version
        self.broker = broker
        self._resting = resting.setdefault(kind.name, [])
        self._leaving = leaving

    def opening(self) -> Opening:
        """That of a client whose session begins and ends with its connection."""
        listener = "ws.browsers" if self.kind.websocket else "tcp.default"
        return Opening(port=self.broker.ports[listener], version=self.version, client_id=f"c{next(numbers)}",
                       websocket=self.kind.websocket)

    def client(self) -> Client:
        client = self._resting.pop() if self._resting else self.kind.make()
        self._leaving.callback(self._leave, client)
        return client

    def connected(self) -> Client:
        client = self.client()
        client.open(self.opening())
        return client

    def subscribed(self, topic_filter: str, qos: int = 1) -> Client:
        client = self.connected()
        client.subscribe(topic_filter, qos)
        return client

    def _leave(self, client: Client) -> None:
        if client.rest():
            self._resting.append(client)


Speaking = Callable[[Kind, str], Speaker]


@pytest.fixture(scope="module")
def resting() -> Iterator[Resting]:
    """Clients that wait for the next test, by kind."""
    clients: Resting = {}
    yield clients
    for client in [client for kind in clients.values() for client in kind]:
        client.kill()


def run_broker(folder: Path, configuration: str = "") -> Iterator[RunningBroker]:
    broker = RunningBroker(folder, WEBSOCKETS + configuration)
    yield broker
    broker.program.terminate()
    output = [*broker.program.output, *broker.program.rest()]
    assert [line for line in output if "#info]" not in line and "[-]" not in line] == []  # nothing to warn of


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    yield from run_broker(tmp_path_factory.mktemp("broker"))


@pytest.fixture(scope="module")
def roomy_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    yield from run_broker(tmp_path_factory.mktemp("roomy"), "[mqtt]\nmax_packet_size = 9MB\n")


@pytest.fixture
def speaking(broker: RunningBroker, resting: Resting) -> Iterator[Speaking]:
    """Makes a Speaker, whose clients leave the broker at the end."""
    with ExitStack() as leaving:
        yield lambda kind, version: Speaker(kind, version, broker, resting, leaving)


@pytest.fixture(params=ALL)
def speaker(request: pytest.FixtureRequest, speaking: Speaking) -> Speaker:
    kind, version = request.param
    if kind.missing():
        pytest.skip(kind.missing())
    return speaking(kind, version)


@pytest.fixture
def topic() -> str:
    """A topic that no other test uses."""
    return f"Prüfstand/{token_hex(4)}/a b"


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.mqtt3("7.0.0-2")
def test_messages_arrive_once_and_in_order(speaker: Speaker, topic: str, qos: int) -> None:
    subscriber, publisher = speaker.subscribed(topic, qos), speaker.connected()
    sent = [Message(topic=topic, payload=payload, qos=qos) for payload in (b"1", bytes(range(256)), b"", "ä".encode())]
    for message in sent:
        publisher.publish(message)
    assert [subscriber.receive() for _ in sent] == sent


def test_the_lower_qos_of_publication_and_subscription_is_delivered(speaker: Speaker, topic: str) -> None:
    subscriber, publisher = speaker.subscribed(f"{topic}/+/#", 1), speaker.connected()
    for qos in (0, 1, 2):
        publisher.publish(Message(topic=f"{topic}/{qos}/x", qos=qos))
    assert [subscriber.receive() for _ in range(3)] == [
        Message(topic=f"{topic}/{qos}/x", qos=min(qos, 1)) for qos in (0, 1, 2)]


def test_a_retained_message_meets_later_subscribers(speaker: Speaker, topic: str) -> None:
    message = Message(topic=topic, payload=b"kept", qos=1, retain=True)
    early, publisher = speaker.subscribed(topic), speaker.connected()
    publisher.publish(replace(message, payload=b"replaced"))
    publisher.publish(message)
    assert [early.receive() for _ in range(2)] == [
        replace(message, retain=False, payload=b"replaced"), replace(message, retain=False)]
    assert speaker.subscribed(topic).receive() == message


def test_an_empty_retained_message_deletes(speaker: Speaker, topic: str) -> None:
    publisher = speaker.connected()
    publisher.publish(Message(topic=topic, payload=b"kept", qos=1, retain=True))
    publisher.publish(Message(topic=topic, qos=1, retain=True))
    late = speaker.subscribed(topic)
    live = Message(topic=topic, payload=b"live", qos=1)
    publisher.publish(live)
    assert late.receive() == live


@pytest.mark.parametrize("retain", [False, True], ids=["plain", "retained"])
def test_the_will_of_a_killed_client_is_published(speaker: Speaker, topic: str, retain: bool) -> None:
    will = Message(topic=topic, payload=b"killed", qos=1, retain=retain)
    subscriber, mortal = speaker.subscribed(topic), speaker.client()
    mortal.open(replace(speaker.opening(), will=will))
    mortal.kill()
    assert subscriber.receive() == replace(will, retain=False)
    if retain:
        assert speaker.subscribed(topic).receive() == will


@pytest.mark.parametrize("speaker", [
    param for param in ALL if param.id != "mosquitto-5.0"  # mosquitto_sub ends by DISCONNECT 0x04: the next test
], indirect=True)
def test_a_client_that_disconnects_leaves_no_will(speaker: Speaker, topic: str) -> None:
    subscriber, publisher, mortal = speaker.subscribed(topic), speaker.connected(), speaker.client()
    mortal.open(replace(speaker.opening(), will=Message(topic=topic, payload=b"killed", qos=1)))
    mortal.close()
    later = Message(topic=topic, payload=b"later", qos=1)
    publisher.publish(later)
    assert subscriber.receive() == later


@pytest.mark.parametrize("speaker", [param for param in ALL if param.id == "mosquitto-5.0"], indirect=True)
def test_disconnect_with_will_publishes_it(speaker: Speaker, topic: str) -> None:
    subscriber, mortal = speaker.subscribed(topic), speaker.client()
    will = Message(topic=topic, payload=b"wanted", qos=1, content_type="text/plain", user_properties=(("a", "b"),))
    mortal.open(replace(speaker.opening(), will=will))
    mortal.close()
    assert subscriber.receive() == will


def test_a_persistent_session_keeps_what_came_meanwhile(speaker: Speaker, topic: str) -> None:
    opening = replace(speaker.opening(), clean=False)
    subscriber, publisher = speaker.client(), speaker.connected()
    assert not subscriber.open(opening)
    subscriber.subscribe(topic, 2)
    subscriber.close()
    sent = [Message(topic=topic, payload=b"%d" % number, qos=1 + number % 2) for number in range(20)]
    for message in sent:
        publisher.publish(message)
    present = subscriber.open(opening)
    assert present is None or present == (speaker.version != "3.1")  # 3.1 has no way to say it
    received = [subscriber.receive() for _ in sent]  # clients give out QoS 2 messages at PUBREL: in order among themselves
    assert sorted(received, key=lambda message: message.qos) == sorted(sent, key=lambda message: message.qos)
    subscriber.close()
    assert not subscriber.open(replace(opening, clean=True))  # it ends the session
    subscriber.close()
    assert not subscriber.open(opening)


def test_900_kib_pass_with_the_defaults(speaker: Speaker, topic: str) -> None:
    subscriber, publisher = speaker.subscribed(topic), speaker.connected()
    message = Message(topic=topic, payload=bytes(range(256)) * (900 * KIB // 256), qos=1)
    publisher.publish(message)
    assert subscriber.receive() == message


@pytest.mark.parametrize("speaker", [
    param for param in ALL if not str(param.id).startswith(("paho-websocket", "aiomqtt-websocket"))
], indirect=True)  # over WebSocket paho-mqtt 2.2 forgets a packet of which the socket takes a part only
def test_8_mib_pass_with_the_limit_raised(speaker: Speaker, topic: str, roomy_broker: RunningBroker) -> None:
    speaker.broker = roomy_broker
    subscriber, publisher = speaker.subscribed(topic, 2), speaker.connected()
    message = Message(topic=topic, payload=bytes(range(256)) * (8 * KIB * KIB // 256), qos=2)
    publisher.publish(message)
    assert subscriber.receive() == message


@in_mqtt_5
def test_a_request_is_answered_where_it_says(speaker: Speaker, topic: str) -> None:
    requester, responder = speaker.subscribed(f"{topic}/answers/1"), speaker.subscribed(f"{topic}/requests")
    requester.publish(Message(topic=f"{topic}/requests", payload=b"6 * 7", qos=1, response_topic=f"{topic}/answers/1",
                              correlation_data=speaker.kind.correlation_data))
    request = responder.receive()
    assert request.response_topic is not None
    responder.publish(Message(topic=request.response_topic, payload=b"42", qos=1, correlation_data=request.correlation_data))
    answer = requester.receive()
    assert (answer.payload, answer.correlation_data) == (b"42", speaker.kind.correlation_data)


@in_mqtt_5
def test_the_receiver_sees_what_the_publisher_said(speaker: Speaker, topic: str) -> None:
    subscriber, publisher = speaker.subscribed(topic), speaker.connected()
    message = Message(topic=topic, payload=b"{}", qos=1, content_type="application/json; ä",
                      user_properties=speaker.kind.user_properties, message_expiry_interval=1000)
    publisher.publish(message)
    received = subscriber.receive()
    left = received.message_expiry_interval
    assert received == replace(message, message_expiry_interval=left)
    assert left is not None
    assert 0 < left <= 1000


def test_all_clients_hear_each_other(speaking: Speaking, topic: str) -> None:
    speakers = [speaking(kind, version) for kind in EVERY if not kind.missing() for version in kind.versions]
    subscribers = [speaker.subscribed(topic, 2) for speaker in speakers]
    sent = [Message(topic=topic, payload=f"{speaker.kind.name} {speaker.version}".encode(), qos=number % 3)
            for number, speaker in enumerate(speakers)]
    for speaker, message in zip(speakers, sent, strict=True):
        speaker.connected().publish(message)
    for subscriber in subscribers:
        assert sorted([subscriber.receive() for _ in sent], key=sent.index) == sent


@pytest.mark.parametrize("prefix", ["$share/workers/", "$queue/"])
def test_a_group_shares_the_messages_and_takes_over_from_who_is_lost(speaker: Speaker, topic: str, prefix: str) -> None:
    mortal, survivor = (speaker.subscribed(prefix + topic) for _ in range(2))
    publisher = speaker.connected()
    first, second, last = (Message(topic=topic, payload=payload, qos=1) for payload in (b"first", b"second", b"last"))
    publisher.publish(first)
    publisher.publish(second)
    assert (mortal.receive(), survivor.receive()) == (first, second)
    mortal.kill()
    publisher.publish(last)  # perhaps to the lost one, before its end is seen
    received = survivor.receive()
    if received == first:  # it was lost before its acknowledgement came
        received = survivor.receive()
    assert received == last
