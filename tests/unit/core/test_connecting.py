"""CONNECT: what is refused and how, and what is answered."""
import pytest

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import Connack, Connect, Pingreq, Pingresp, Publish, Suback, Subscribe, Will
from tests.peers import VERSIONS, World, before_5, every_version, properties

ALLOWED = "mqtt.allow_anonymous = on"


# The answer.

@every_version
@pytest.mark.mqtt5("3.1.4-5", "3.2.0-1", "3.2.2-1")
def test_a_client_is_accepted_and_told_so_first(version: int) -> None:
    world = World()
    peer = world.connect("alice", version=version)
    assert peer.raw[:1] == b"\x20"
    assert not peer.closed
    assert world.witness.events == [("connected", "alice", version, False)]
    assert world.broker.metrics.connects == 1


@before_5
def test_connack_has_two_bytes_before_5(version: int) -> None:
    assert World().connect("alice", version=version).raw == b"\x20\x02\x00\x00"


@every_version
def test_packets_after_connect_in_its_chunk_are_served_without_waiting_for_connack(version: int) -> None:
    peer = World().peer()
    peer.send(Connect(version, "alice"), Subscribe(1, [(b"a", 1)]), Publish(b"a", b"x"), Pingreq())
    assert [type(packet) for packet in peer.received()] == [Connack, Suback, Publish, Pingresp]


@every_version
def test_a_packet_behind_connect_may_be_larger_than_connect(version: int) -> None:
    world = World("mqtt.client.max_connect_size = 1KB")
    reader = world.connect("reader")
    reader.subscribe("a")
    world.peer().send(Connect(version, "alice"), Publish(b"a", bytes(3000)))
    assert len(reader.one(Publish).payload) == 3000


@every_version
def test_the_bridge_bit_changes_nothing(version: int) -> None:
    if version != c.MQTT_5_0:
        assert World().connect("bridge", version=version, bridge=True).version == version
    else:
        peer = World().peer()
        assert peer.connect("bridge", bridge=True).reason_code == c.UNSUPPORTED_PROTOCOL_VERSION


def test_a_5_0_client_is_told_the_limits_that_are_not_the_standards() -> None:
    answer = World("mqtt.session.receive_maximum = 7", "mqtt.max_packet_size = 2KB").connect("alice").told
    assert answer.receive_maximum == 7
    assert answer.maximum_packet_size == 2048
    assert answer.shared_subscription_available is None
    assert (answer.maximum_qos, answer.retain_available, answer.topic_alias_maximum) == (None, None, 32)
    assert (answer.wildcard_subscription_available, answer.subscription_identifier_available) == (None, None)
    assert (answer.assigned_client_identifier, answer.server_keep_alive) == (None, None)


def test_limits_that_are_the_standards_own_are_not_mentioned() -> None:
    answer = World("mqtt.session.receive_maximum = 65535", "mqtt.max_packet_size = 256MB").connect("alice").told
    assert answer.receive_maximum is None
    assert answer.maximum_packet_size == 256 << 20


@pytest.mark.parametrize(("asks", "client_id", "told"), [
    (1, "alice", "answers/alice/"), (0, "alice", None), (None, "alice", None),
    (1, "a/b", "answers/a/b/"), (1, "a+", None), (1, "#", None)])
@pytest.mark.mqtt5("3.1.2-28")
def test_response_information_is_for_those_who_ask_and_can_use_it(
        asks: int | None, client_id: str, told: str | None) -> None:
    world = World("mqtt.response_information = answers/%c/")
    assert world.connect(client_id, request_response_information=asks).told.response_information == told


def test_response_information_has_the_identifier_that_was_assigned() -> None:
    alice = World("mqtt.response_information = answers/%c").connect("", request_response_information=1)
    assert alice.told.response_information == f"answers/{alice.told.assigned_client_identifier}"


def test_response_information_that_is_no_string_of_the_wire_is_not_given() -> None:
    world = World("mqtt.response_information = answers/%c")
    for length, given in ((65_527, True), (65_528, False)):
        assert (world.connect("x" * length, request_response_information=1).told.response_information is not None) == given


def test_no_response_information_is_given_without_one_in_the_configuration() -> None:
    assert World().connect("alice", request_response_information=1).told.response_information is None


# Refusals.

@pytest.mark.parametrize(("version", "return_code"), [(3, 2), (4, 2), (5, 0x85)])
@pytest.mark.mqtt5("3.1.3-8")
@pytest.mark.mqtt3("3.1.3-9")
def test_a_client_identifier_beyond_the_limit_is_refused(version: int, return_code: int) -> None:
    world = World("mqtt.max_clientid_len = 23")
    refused = world.peer()
    assert refused.connect("é" * 12, version=version).reason_code == return_code
    assert refused.closed
    world.connect("é" * 11 + "x", version=version)
    assert world.ends == {"client_identifier_not_valid": 1}


@pytest.mark.parametrize(("version", "clean_start"), [(3, True), (3, False), (4, False)])
@pytest.mark.mqtt3("3.1.3-7", "3.1.3-8")
def test_an_empty_identifier_without_clean_session_is_refused(version: int, clean_start: bool) -> None:
    peer = World().peer()
    connack = peer.connect("", version=version, clean_start=clean_start)  # [MQTT3-3.1.3-8]
    assert (connack.reason_code, connack.session_present, peer.closed) == (c.REFUSED_IDENTIFIER, False, True)


@pytest.mark.mqtt3("3.1.3-6")
def test_a_3_1_1_client_without_identifier_gets_a_session_of_its_own() -> None:
    world = World()
    first, second = world.connect("", version=4), world.connect("", version=4)
    assert not first.closed
    assert not second.closed
    assert len(world.broker.sessions.by_id) == 2


@pytest.mark.parametrize("clean_start", [True, False])
@pytest.mark.mqtt5("3.1.3-6", "3.1.3-7", "3.2.2-16")
def test_a_5_0_client_without_identifier_is_told_the_one_it_got(clean_start: bool) -> None:
    world = World()
    peer = world.connect("", clean_start=clean_start)
    assigned = peer.told.assigned_client_identifier
    assert assigned in world.broker.sessions.by_id
    assert assigned.isascii()
    assert assigned.isalnum() or "-" in assigned


@pytest.mark.mqtt5("3.1.3-6", "3.2.2-16")
def test_an_assigned_identifier_is_not_one_that_is_in_use() -> None:
    world = World()
    squatter = world.connect("emqtwist-00000001")
    assert world.connect("").told.assigned_client_identifier == "emqtwist-00000002"
    assert not squatter.closed


@pytest.mark.parametrize(("version", "return_code"), [(3, 5), (4, 5), (5, 0x87)])
@pytest.mark.mqtt5("3.1.4-2", "3.2.2-7")
def test_a_stranger_from_another_host_is_refused_by_default(version: int, return_code: int) -> None:
    world = World()
    peer = world.peer(loopback=False)
    assert peer.connect("alice", version=version).reason_code == return_code
    assert peer.closed
    assert world.ends == {"not_authorized": 1}
    assert world.broker.sessions.by_id == {}


def test_strangers_are_let_in_where_the_operator_says_so() -> None:
    assert World(ALLOWED).peer(loopback=False).connect("alice").reason_code == c.SUCCESS


@pytest.mark.mqtt5("4.12.0-1")
def test_an_authentication_method_is_refused() -> None:
    world = World()
    peer = world.peer()
    assert peer.connect("alice", authentication_method="SCRAM-SHA-1").reason_code == c.BAD_AUTHENTICATION_METHOD
    assert peer.closed
    assert world.ends == {"bad_authentication_method": 1}


def test_an_authentication_method_of_any_length_is_refused() -> None:
    assert World().peer().connect("alice", authentication_method="x" * 65535).reason_code == c.BAD_AUTHENTICATION_METHOD


def test_a_refusal_says_why_in_words() -> None:
    connack = World().peer(loopback=False).connect("alice")
    assert connack.properties is not None
    assert connack.properties.reason_string is not None
    assert "mqtt.allow_anonymous" in connack.properties.reason_string


@pytest.mark.mqtt5("3.2.2-19")
def test_a_refusal_leaves_its_words_out_where_the_client_cannot_take_them() -> None:
    peer = World().peer(loopback=False)
    connack = peer.connect("alice", maximum_packet_size=20)
    assert (connack.reason_code, connack.properties) == (c.NOT_AUTHORIZED, None)


@every_version
@pytest.mark.mqtt5("3.1.4-6")
def test_nothing_follows_a_refusal(version: int) -> None:
    world = World()
    peer = world.peer(loopback=False)
    peer.send(Connect(version, "alice"), Publish(b"a", b"x", retain=True), Pingreq())
    assert [type(packet) for packet in peer.received()] == [Connack]
    assert len(world.broker.retained) == 0


@pytest.mark.mqtt5("3.2.2-6")
def test_a_refusal_has_no_session_present() -> None:
    world = World()
    world.connect("alice", session_expiry_interval=100).disconnect()
    connack = world.peer(loopback=False).connect("alice", clean_start=False)
    assert (connack.session_present, connack.reason_code) == (False, c.NOT_AUTHORIZED)


@pytest.mark.parametrize(("name", "level", "connack"), [
    (b"MQTT", 6, b"\x20\x03\x00\x84"),  # as 5.0 says it
    (b"MQTT", 3, b"\x20\x02\x00\x01"),  # as 3.1.1 says it
    (b"MQIsdp", 4, b"\x20\x02\x00\x01"),
    (b"AMQP", 4, b"\x20\x02\x00\x01"),
])
@pytest.mark.mqtt5("3.1.2-1", "3.1.2-2")
@pytest.mark.mqtt3("3.1.2-2")
def test_an_unsupported_protocol_is_refused_in_the_nearest_form(name: bytes, level: int, connack: bytes) -> None:
    world = World()
    peer = world.peer()
    body = len(name).to_bytes(2, "big") + name + bytes((level, 2, 0, 0, 0, 1)) + b"x"
    peer.write(bytes((0x10, len(body))) + body)  # [MQTT-3.1.2-1] [MQTT-3.1.2-2]
    world.turn.take()
    answer = peer.connection.take()
    assert answer[:1] + answer[2:4] == connack[:1] + connack[2:4]
    assert peer.connection.closing
    assert world.ends == {"unsupported_protocol_version": 1}


@pytest.mark.mqtt5("3.1.4-1", "3.14.0-1")
@pytest.mark.mqtt3("3.1.4-1")
def test_a_malformed_connect_is_answered_where_the_version_can_tell() -> None:
    world = World()
    for version in VERSIONS:
        peer = world.peer()
        peer.version = version
        peer.write(encode(Connect(version, "alice"), version).replace(b"alice", b"al\0ce"))
        world.settle()
        if version == c.MQTT_5_0:
            assert peer.one(Connack).reason_code == c.MALFORMED_PACKET
        assert peer.received() == []
        assert peer.closed
    assert world.ends == {"malformed_packet": 3}


# Keep Alive.

@pytest.mark.mqtt5("3.1.2-21", "3.2.2-21", "3.2.2-22")
def test_server_keep_alive_is_told_to_5_0_clients_alone() -> None:
    world = World("mqtt.server_keep_alive = 20s")
    told = world.connect("told", keep_alive=600)
    older = world.connect("older", version=4, keep_alive=600)
    assert told.told.server_keep_alive == 20
    world.advance(30.5)
    assert (told.closed, older.closed) == (True, False)
    world.advance(870)
    assert older.closed


def test_server_keep_alive_holds_for_those_who_wanted_none() -> None:
    world = World("mqtt.server_keep_alive = 20s")
    peer = world.connect("told", keep_alive=0)
    world.advance(30.5)
    assert peer.closed


# The Will in CONNECT.

@pytest.mark.parametrize(("will", "reason_code"), [
    (Will(b"a/+", b""), c.TOPIC_NAME_INVALID),
    (Will(b"", b""), c.TOPIC_NAME_INVALID),
    (Will(b"$SYS/brokers", b""), c.NOT_AUTHORIZED),
    (Will(b"$share/g/a", b""), c.NOT_AUTHORIZED),
    (Will(b"$queue/a", b""), c.NOT_AUTHORIZED),
    (Will(b"a", b"\xff", properties=properties(payload_format_indicator=1)), c.PAYLOAD_FORMAT_INVALID),
    (Will(b"a", b"", properties=properties(response_topic="a/#")), c.PROTOCOL_ERROR),
    (Will(b"a/b/c/d", b""), c.TOPIC_NAME_INVALID),
])
@pytest.mark.mqtt5("3.1.4-2")
def test_a_will_that_could_not_be_published_is_refused(will: Will, reason_code: int) -> None:
    world = World("mqtt.max_topic_levels = 3")
    peer = world.peer()
    assert peer.connect("alice", will=will).reason_code == reason_code
    assert peer.closed
    assert world.broker.sessions.by_id == {}


@pytest.mark.mqtt5("3.2.2-12")
def test_a_will_above_maximum_qos_is_refused() -> None:
    world = World("mqtt.max_qos_allowed = 1")
    world.connect("good", will=Will(b"a", b"", qos=1))
    assert world.peer().connect("bad", will=Will(b"a", b"", qos=2)).reason_code == c.QOS_NOT_SUPPORTED


@pytest.mark.mqtt5("3.2.2-13")
def test_a_retained_will_is_refused_where_retain_is_not_available() -> None:
    world = World("mqtt.retain_available = off")
    world.connect("good", will=Will(b"a", b""))
    assert world.peer().connect("bad", will=Will(b"a", b"", retain=True)).reason_code == c.RETAIN_NOT_SUPPORTED


@before_5
@pytest.mark.mqtt3("3.2.2-6")
def test_what_no_return_code_says_closes_without_connack(version: int) -> None:
    world = World("mqtt.max_qos_allowed = 1", "mqtt.retain_available = off")
    for will in (Will(b"a", b"", qos=2), Will(b"a", b"", retain=True), Will(b"a/+", b"")):
        peer = world.peer()
        peer.send(Connect(version, "alice", will=will))
        assert (peer.received(), peer.closed) == ([], True)
    assert world.ends == {"qos_not_supported": 1, "retain_not_supported": 1, "topic_name_invalid": 1}


# The client's limits.

@pytest.mark.mqtt5("3.1.2-24")
def test_a_connack_beyond_the_clients_maximum_packet_size_is_not_sent() -> None:
    world = World()
    peer = world.peer()
    peer.send(Connect(5, "alice", properties=properties(maximum_packet_size=5)))
    assert peer.received() == []
    assert peer.closed
    assert world.ends == {"packet_too_large": 1}
    assert world.broker.sessions.by_id == {}


@pytest.mark.mqtt5("3.3.4-9", "4.9.0-1")
def test_the_windows_are_the_smaller_of_receive_maximum_and_ours() -> None:
    world = World("mqtt.session.max_inflight = 10")
    world.connect("small", receive_maximum=3)
    world.connect("large", receive_maximum=30)
    world.connect("silent")
    world.connect("older", version=4)
    windows = {client_id: session.inflight.window for client_id, session in world.broker.sessions.by_id.items()}
    assert windows == {"small": 3, "large": 10, "silent": 10, "older": 10}
