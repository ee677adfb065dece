"""Each packet that goes over a traced connection is one line, which says what it is and gives away no secret."""
from collections.abc import Callable

import pytest

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import (
    AliasedPublish,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Puback,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from emqtwist.mqtt.properties import Properties
from emqtwist.services.trace.event import LONGEST, Event, word
from emqtwist.services.trace.summary import MOST_SHOWN, fields_of
from tests.observatory import Observatory
from tests.test_docs import SNIPPETS

PEER = "127.0.0.1:50000"
MARK = "XYZZY"
SECRET = f"{MARK}-secret".encode()


def line_of(packet: Packet, version: int = c.MQTT_5_0, payload: int = 0) -> str:
    topic = packet.topic_name if isinstance(packet, Publish) else None
    known = packet.payload if isinstance(packet, Publish) else b""
    event = Event(0.0, "a", PEER, "sent", c.PACKET_NAMES[packet.type], fields_of(packet, version, topic), known)
    text, columns = event.line(payload)
    assert columns["packet"] == c.PACKET_NAMES[packet.type]
    return text.removeprefix(f"1970-01-01T00:00:00.000Z a {PEER} sent ")


def given(**values: object) -> Properties:
    properties = Properties()
    for name, value in values.items():
        setattr(properties, name, value)
    return properties


def test_what_comes_and_what_goes_is_one_line_a_packet(place: Observatory) -> None:
    place.begin("client", "alice", "alice.log")
    bob = place.client("bob")
    alice = place.caller()
    alice.send(Connect(5, "alice", False, 60, "al", b"pw", Will(b"gone", b"four", 1, True)))
    alice.send(Subscribe(7, [(b"t/#", 1), (b"u", 0x0C)]))
    bob.send(Publish(b"t/1", b"12345", 1, packet_id=1))
    alice.send(Puback(1), Pingreq(), Publish(b"x y", b"abc", 2, True, packet_id=9), Pubrel(9))
    alice.send(Unsubscribe(8, [b"u"]), Disconnect(4))
    assert place.text("alice.log") == [f"alice {line}" for line in (
        f"{PEER} received CONNECT version=5.0 client_id=alice clean_start=0 keep_alive=60 user_name=al password=given "
        "will_topic=gone will_qos=1 will_retain=1 will_length=4",
        f"{PEER} sent CONNACK session_present=0 reason_code=0x00 receive_maximum=1000 maximum_packet_size=1048576 "
        "topic_alias_maximum=32",
        f'{PEER} received SUBSCRIBE packet_id=7 filters=["t/# qos=1", "u qos=0,no_local,retain_as_published"]',
        f"{PEER} sent SUBACK packet_id=7 reason_codes=[0x01, 0x00]",
        f"{PEER} sent PUBLISH dup=0 qos=1 retain=0 packet_id=1 topic=t/1 length=5",
        f"{PEER} received PUBACK packet_id=1 reason_code=0x00",
        f"{PEER} received PINGREQ",
        f'{PEER} received PUBLISH dup=0 qos=2 retain=1 packet_id=9 topic="x y" length=3',
        f"{PEER} received PUBREL packet_id=9 reason_code=0x00",
        '- dropped cause=no_subscribers topic="x y" publisher=alice length=3',
        f"{PEER} sent PINGRESP",
        f'{PEER} sent PUBREC packet_id=9 reason_code=0x10 reason="No matching subscribers"',
        f"{PEER} sent PUBCOMP packet_id=9 reason_code=0x00",
        f"{PEER} received UNSUBSCRIBE packet_id=8 filters=[u]",
        f'{PEER} received DISCONNECT reason_code=0x04 reason="Disconnect with Will Message"',
        f"{PEER} sent UNSUBACK packet_id=8 reason_codes=[0x00]",
        f'{PEER} ended cause=disconnect_with_will reason="the client disconnected: Disconnect with Will Message"',
        "- dropped cause=no_subscribers topic=gone publisher=alice length=4",
    )]


HIDDEN = given(authentication_method="M", authentication_data=SECRET, user_properties=[("name", SECRET.decode())],
               correlation_data=SECRET, content_type=SECRET.decode(), response_information=SECRET.decode())


@pytest.mark.parametrize("packet", [
    Connect(5, "a", user_name="u", password=SECRET, will=Will(b"w", SECRET, properties=HIDDEN), properties=HIDDEN),
    Connack(properties=HIDDEN), Publish(b"t", SECRET, properties=HIDDEN),
    AliasedPublish(b"t", SECRET, 1, False, False, 1, HIDDEN, 3),
    Puback(1, properties=HIDDEN), Pubrec(1, 0x80, HIDDEN), Subscribe(1, [(b"t", 0)], HIDDEN), Suback(1, [0], HIDDEN),
    Unsubscribe(1, [b"t"], HIDDEN), Unsuback(1, [0], HIDDEN), Disconnect(0, HIDDEN), Auth(0x18, HIDDEN),
], ids=lambda packet: type(packet).__name__)
def test_no_secret_is_shown(packet: Packet) -> None:
    assert MARK not in line_of(packet)


def test_no_secret_that_goes_over_a_connection_comes_into_a_file(place: Observatory) -> None:
    for words in (("client", "alice"), ("topic", "#"), ("address", "127.0.0.0/8")):
        place.begin(*words, f"{words[0]}.log")
    for version in (c.MQTT_5_0, c.MQTT_3_1_1):
        alice = place.caller(version)
        alice.send(Connect(version, "alice", True, 0, "al", SECRET, Will(b"w", SECRET)))
        alice.send(Subscribe(1, [(b"#", 2)]), Publish(b"t", SECRET, 1, packet_id=1))
        alice.hang_up()
    stranger = place.caller()
    stranger.send(Connect(5, "alice", properties=given(authentication_method="M", authentication_data=SECRET)))
    files = [path.read_bytes() for path in [*place.folder.iterdir()] if place.text(path.name)]
    assert len(files) == 3
    assert all(b"PUBLISH" in content for content in files)
    assert not [content for content in files if MARK.encode() in content]


def test_of_a_payload_no_more_is_shown_than_was_asked_for(place: Observatory) -> None:
    place.begin("topic", "t", "t.log", "payload=3")
    place.begin("client", "alice", "alice.log")
    place.client("alice").send(Publish(b"t", b"a\nb-secret"), Publish(b"t", b""))
    shown, empty = [line for line in place.text("t.log") if "received" in line]
    assert shown.endswith(r' topic=t length=10 payload="a\nb"')
    assert empty.endswith(" topic=t length=0")
    assert "payload" not in "".join(place.text("alice.log"))


def test_topics_have_their_names_where_aliases_stand_for_them(place: Observatory) -> None:
    reader = place.caller()
    reader.send(Connect(5, "reader", properties=given(topic_alias_maximum=5)))
    reader.send(Subscribe(1, [(b"longer/topic", 0)]))
    writer = place.client("writer")
    writer.send(AliasedPublish(b"longer/topic", b"1", 0, False, False, 0, None, 2))
    place.begin("topic", "longer/topic", "t.log")  # both have their aliases already
    writer.send(AliasedPublish(b"", b"2", 0, False, False, 0, None, 2),
                AliasedPublish(b"other/topic", b"3", 0, False, False, 0, None, 2),
                AliasedPublish(b"", b"4", 0, False, False, 0, None, 2),
                AliasedPublish(b"longer/topic", b"5", 0, False, False, 0, None, 3),
                AliasedPublish(b"", b"66", 0, False, False, 0, None, 3))
    lines = place.text("t.log")
    assert [line.rpartition("topic=longer/topic ")[2] for line in lines if " received " in line] == [
        "length=1 topic_alias=2", "length=1 topic_alias=3", "length=2 topic_alias=3"]
    assert [line.rpartition("topic=longer/topic ")[2] for line in lines if " sent " in line] == [
        "length=1 topic_alias=1", "length=1 topic_alias=1", "length=2 topic_alias=1"]


def test_an_alias_that_stands_for_nothing_has_no_name(place: Observatory) -> None:
    place.begin("client", "alice", "a.log")
    place.client("alice").send(AliasedPublish(b"", b"", 0, False, False, 0, None, 2))
    lines = place.text("a.log")
    assert "alice 127.0.0.1:50000 received PUBLISH dup=0 qos=0 retain=0 topic=- length=0 topic_alias=2" in lines
    assert lines[-1].startswith("alice 127.0.0.1:50000 ended cause=protocol_error")


def test_what_cannot_be_read_is_told_by_the_cause(place: Observatory) -> None:
    place.begin("client", "alice", "a.log")
    alice = place.client("alice")
    alice.protocol.dataReceived(b"\xff\x00")
    place.reactor.advance(0)
    sent, ended = place.text("a.log")[-2:]
    assert sent.startswith(f"alice {PEER} sent DISCONNECT reason_code=0x81 reason=\"Malformed Packet\" reason_string=")
    assert ended.startswith(f"alice {PEER} ended cause=malformed_packet reason=")


@pytest.mark.parametrize(("text", "shown"), [
    ("a/b-c.d:e", "a/b-c.d:e"), ("", '""'), ("a b", '"a b"'), ("a\n2026 forged", r'"a\n2026 forged"'), ("a=b", '"a=b"'),
    ("\x1b[2J", r'"\u001b[2J"'), ("\x9b", r'"\u009b"'), ('say "x"', r'"say \"x\""'), ("é", "é"), ("\u2028", r'"\u2028"'),
    (None, "-"), (7, "7"), (["a", "b c"], '[a, "b c"]')])
def test_nobody_can_forge_a_line_or_a_field(text: object, shown: str) -> None:
    assert word(text) == shown


def test_what_a_client_makes_long_is_cut(place: Observatory) -> None:
    place.begin("topic", "#", "t.log")
    place.client("alice").send(Publish(b"t" * 5000, b""))
    assert max(map(len, place.text("t.log"))) < LONGEST + 200
    many = Subscribe(1, [(b"f/%d" % number, 0) for number in range(MOST_SHOWN + 5)])
    assert line_of(many).endswith("more=5")
    assert line_of(Suback(1, [0] * (MOST_SHOWN + 2))).endswith("more=2")


@pytest.mark.parametrize(("packet", "line"), [
    (Connack(True, 0), "CONNACK session_present=1 return_code=0"), (Puback(3), "PUBACK packet_id=3"),
    (Disconnect(), "DISCONNECT"), (Unsuback(4, []), "UNSUBACK packet_id=4"),
    (Suback(5, [0x80]), "SUBACK packet_id=5 reason_codes=[0x80]"),
])
def test_older_versions_have_no_reason_codes(packet: Packet, line: str) -> None:
    assert line_of(packet, c.MQTT_3_1_1) == line


def test_an_exchange_of_authentication_is_told_without_its_data() -> None:
    text = line_of(Auth(0x18, given(authentication_method="SCRAM-SHA-256", authentication_data=SECRET)))
    assert text == 'AUTH reason_code=0x18 reason="Continue authentication" authentication_method=SCRAM-SHA-256'


def test_the_operations_guide_shows_what_is_shown(make: Callable[..., Observatory]) -> None:
    place = make("mqtt.allow_anonymous = on")
    place.begin("client", "sensor-1", "s.log", "for=92s")
    sensor = place.caller(host="10.1.2.3")
    sensor.send(Connect(5, "sensor-1", True, 60, "plant", b"pw"))
    sensor.send(Publish(b"plant/1/alarm", b"temperature!", 1, packet_id=1))
    place.reactor.pump([1.0] * 92)
    shown = next(each.text for each in SNIPPETS if each.language == "log")
    assert place.text("s.log") == [line.partition(" ")[2] for line in shown.splitlines()]
