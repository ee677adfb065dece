import pytest

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import MalformedPacket, MQTTError, ProtocolError, TopicAliasInvalid
from emqtwist.mqtt.properties import (
    PROPERTIES,
    WILL,
    Properties,
    decode_forwarded,
    decode_properties,
    encode_properties,
    forwarded_properties,
    publish_properties,
)
from tests.unit.mqtt.comparing import fields, properties
from tests.unit.mqtt.wire_text import raw

# Table 2-4 of the standard: name, identifier, a value on the wire, the value, the packets that may hold it.
TABLE = [
    ("payload_format_indicator", "01", "01", 1, {c.PUBLISH, WILL}),
    ("message_expiry_interval", "02", "0000000a", 10, {c.PUBLISH, WILL}),
    ("content_type", "03", "0001 'x'", "x", {c.PUBLISH, WILL}),
    ("response_topic", "08", "0001 'x'", "x", {c.PUBLISH, WILL}),
    ("correlation_data", "09", "0001 ff", b"\xff", {c.PUBLISH, WILL}),
    ("subscription_identifiers", "0b", "8001", [128], {c.PUBLISH, c.SUBSCRIBE}),
    ("session_expiry_interval", "11", "ffffffff", 0xFFFF_FFFF, {c.CONNECT, c.CONNACK, c.DISCONNECT}),
    ("assigned_client_identifier", "12", "0001 'x'", "x", {c.CONNACK}),
    ("server_keep_alive", "13", "0000", 0, {c.CONNACK}),
    ("authentication_method", "15", "0001 'x'", "x", {c.CONNECT, c.CONNACK, c.AUTH}),
    ("authentication_data", "16", "0001 ff", b"\xff", {c.CONNECT, c.CONNACK, c.AUTH}),
    ("request_problem_information", "17", "00", 0, {c.CONNECT}),
    ("will_delay_interval", "18", "00000000", 0, {WILL}),
    ("request_response_information", "19", "01", 1, {c.CONNECT}),
    ("response_information", "1a", "0001 'x'", "x", {c.CONNACK}),
    ("server_reference", "1c", "0001 'x'", "x", {c.CONNACK, c.DISCONNECT}),
    ("reason_string", "1f", "0001 'x'", "x", {c.CONNACK, c.PUBACK, c.PUBREC, c.PUBREL, c.PUBCOMP, c.SUBACK, c.UNSUBACK,
                                              c.DISCONNECT, c.AUTH}),
    ("receive_maximum", "21", "0001", 1, {c.CONNECT, c.CONNACK}),
    ("topic_alias_maximum", "22", "0000", 0, {c.CONNECT, c.CONNACK}),
    ("topic_alias", "23", "ffff", 65_535, {c.PUBLISH}),
    ("maximum_qos", "24", "00", 0, {c.CONNACK}),
    ("retain_available", "25", "01", 1, {c.CONNACK}),
    ("user_properties", "26", "0001 'k' 0001 'v'", [("k", "v")], {
        c.CONNECT, c.CONNACK, c.PUBLISH, WILL, c.PUBACK, c.PUBREC, c.PUBREL, c.PUBCOMP, c.SUBSCRIBE, c.SUBACK,
        c.UNSUBSCRIBE, c.UNSUBACK, c.DISCONNECT, c.AUTH}),
    ("maximum_packet_size", "27", "00000001", 1, {c.CONNECT, c.CONNACK}),
    ("wildcard_subscription_available", "28", "00", 0, {c.CONNACK}),
    ("subscription_identifier_available", "29", "00", 0, {c.CONNACK}),
    ("shared_subscription_available", "2a", "00", 0, {c.CONNACK}),
]
NAMES = [row[0] for row in TABLE]
FLAGS = [row[0] for row in TABLE if len(row[2]) == 2]
ROWS = {row[0]: row for row in TABLE}


def decode(text: str, holder: int) -> Properties:
    """The properties in `text`, between other bytes."""
    data = bytes((len(raw(text)),)) + raw(text)
    found, pos = decode_properties(b"." + data + b".", 1, len(data) + 1, holder)
    assert pos == len(data) + 1
    assert found is not None
    return found


def failure(text: str, holder: int) -> MQTTError:
    with pytest.raises(MQTTError) as raised:
        decode(text, holder)
    return raised.value


def test_the_table_is_that_of_the_standard() -> None:
    assert [(row.name, f"{row.identifier:02x}") for row in PROPERTIES] == [row[:2] for row in TABLE]


@pytest.mark.parametrize("name", NAMES)
def test_each_property_both_ways_in_each_packet_that_may_hold_it(name: str) -> None:
    _, identifier, text, value, holders = ROWS[name]
    for holder in holders:
        assert fields(decode(identifier + text, holder)) == fields(properties(**{name: value}))
    data = raw(identifier + text)
    assert encode_properties(properties(**{name: value})) == bytes((len(data),)) + data


@pytest.mark.parametrize("name", NAMES)
def test_each_property_is_malformed_in_every_other_packet(name: str) -> None:
    _, identifier, text, _, holders = ROWS[name]
    for holder in set(range(16)) - holders:
        error = failure(identifier + text, holder)
        assert isinstance(error, MalformedPacket)
        assert str(error) == f"{name} does not belong to {c.PACKET_NAMES[holder] if holder else 'Will Properties'}"
        assert error.position == 2


@pytest.mark.parametrize("name", NAMES)
def test_each_property_twice_is_a_protocol_error_but_user_properties(name: str) -> None:
    _, identifier, text, value, holders = ROWS[name]
    for holder in holders:
        if name == "user_properties" or (name == "subscription_identifiers" and holder == c.PUBLISH):
            assert isinstance(value, list)
            assert getattr(decode((identifier + text) * 2, holder), name) == value * 2
            continue
        error = failure((identifier + text) * 2, holder)
        assert isinstance(error, ProtocolError)
        assert str(error) == f"{name} is there twice"
        assert error.position == 2 + len(raw(identifier + text))


@pytest.mark.parametrize("name", NAMES)
def test_each_property_cut_off_is_malformed_and_named(name: str) -> None:
    _, identifier, text, _, holders = ROWS[name]
    data = raw(identifier + text)
    for length in range(1, len(data)):
        error = failure(data[:length].hex(), min(holders))
        assert isinstance(error, MalformedPacket)
        assert name in str(error)


@pytest.mark.parametrize("name", FLAGS)
def test_each_flag_is_0_or_1(name: str) -> None:
    _, identifier, _, _, holders = ROWS[name]
    assert getattr(decode(identifier + "00", min(holders)), name) == 0
    assert getattr(decode(identifier + "01", min(holders)), name) == 1
    error = failure(identifier + "02", min(holders))
    assert isinstance(error, ProtocolError)
    assert str(error) == f"{name} is 2, neither 0 nor 1"


@pytest.mark.parametrize(("name", "zero"), [
    ("receive_maximum", "0000"), ("maximum_packet_size", "00000000"), ("subscription_identifiers", "00"),
])
def test_zero_is_a_protocol_error_where_it_makes_no_sense(name: str, zero: str) -> None:
    _, identifier, _, _, holders = ROWS[name]
    for holder in holders:
        error = failure(identifier + zero, holder)
        assert isinstance(error, ProtocolError)
        assert str(error) == f"{name} is 0"


@pytest.mark.mqtt5("3.3.2-8")
def test_mqtt_3_3_2_8_topic_alias_0_is_invalid() -> None:
    assert isinstance(failure("23 0000", c.PUBLISH), TopicAliasInvalid)


@pytest.mark.parametrize("identifier", ["00", "04", "2b", "7f", "80", "8b00", "ff"])
def test_an_unknown_identifier_is_malformed(identifier: str) -> None:
    error = failure("01 00" + identifier, c.PUBLISH)
    assert isinstance(error, MalformedPacket)
    assert str(error) == f"0x{identifier[:2].upper()} is no property"
    assert error.position == 4


@pytest.mark.mqtt5("2.2.2-1")
def test_no_properties_are_none() -> None:
    assert decode_properties(b"\0", 0, 1, c.PUBLISH) == (None, 1)
    assert encode_properties(None) == b"\0"
    assert encode_properties(Properties()) == b"\0"


def test_a_property_does_not_reach_past_the_property_length() -> None:
    with pytest.raises(MalformedPacket, match="reason_string: 2 bytes announced, 1 left"):
        decode_properties(raw("04 1f 0002 'ab'"), 0, 6, c.DISCONNECT)


def test_a_property_length_of_two_bytes_both_ways() -> None:
    long = properties(reason_string="r" * 200)
    assert encode_properties(long)[:5] == raw("cb01 1f 00c8")
    found, pos = decode_properties(encode_properties(long), 0, 205, c.AUTH)
    assert (fields(found), pos) == (fields(long), 205)


def test_user_properties_keep_their_order() -> None:
    pairs = [("b", "1"), ("a", "2"), ("b", "0"), ("", "")]
    found, _ = decode_properties(encode_properties(properties(user_properties=pairs)), 0, 27, c.CONNECT)
    assert found is not None
    assert found.user_properties == pairs


@pytest.mark.parametrize("text", ["26 0001 ff 0000", "26 0000 0001 00", "03 0001 00", "08 0001 ff", "1f 0001 80"])
@pytest.mark.mqtt5("1.5.7-1", "3.3.2-13", "3.3.2-19")
def test_strings_in_properties_are_checked(text: str) -> None:
    error = failure(text, c.DISCONNECT if text.startswith("1f") else WILL)
    assert isinstance(error, MalformedPacket)
    assert "MQTT-1.5.4" in str(error)


FORWARDED = properties(
    payload_format_indicator=1, content_type="t", response_topic="r", correlation_data=b"c",
    user_properties=[("b", "1"), ("a", "2"), ("b", "0")],
)
FORWARDED_RAW = raw("01 01 03 0001 't' 08 0001 'r' 09 0001 'c'"
                    "26 0001 'b' 0001 '1' 26 0001 'a' 0001 '2' 26 0001 'b' 0001 '0'")


@pytest.mark.mqtt5("3.3.2-4", "3.3.2-15", "3.3.2-16", "3.3.2-17", "3.3.2-18", "3.3.2-20")
def test_mqtt_3_3_2_4_what_is_forwarded_unaltered_and_mqtt_3_3_2_18_in_its_order() -> None:
    published = decode_forwarded(FORWARDED_RAW)
    published.message_expiry_interval = 5
    published.subscription_identifiers = [1]
    published.topic_alias = 3
    published.will_delay_interval = 9
    assert forwarded_properties(published) == FORWARDED_RAW
    assert forwarded_properties(Properties()) == b""


def test_what_is_forwarded_can_be_read_again() -> None:
    assert fields(decode_forwarded(FORWARDED_RAW)) == fields(FORWARDED)
    assert fields(decode_forwarded(b"")) == fields(Properties())
    long = properties(content_type="t" * 300)
    assert fields(decode_forwarded(forwarded_properties(long))) == fields(long)


def test_properties_of_a_publish_to_a_subscriber() -> None:
    assert publish_properties(b"", -1, ()) == b"\0"
    assert publish_properties(b"", 0, ()) == raw("05 02 00000000")
    assert publish_properties(raw("01 01"), 7, (1, 300)) == raw("0c 01 01 02 00000007 0b 01 0b ac02")
    long = raw("03 00c8") + b"t" * 200
    assert publish_properties(long, -1, (5,)) == raw("cd01") + long + raw("0b 05")
