"""Arbitrary packets that the standard allows, for each version."""
from functools import cache

from hypothesis import strategies as st

from emqtwist.mqtt import constants as c
from emqtwist.mqtt import packets as p
from emqtwist.mqtt.properties import PROPERTIES, WILL, Properties, PropertyRow

TWO = st.integers(0, 0xFFFF)
FOUR = st.integers(0, 0xFFFF_FFFF)
FLAG = st.integers(0, 1)
QOS = st.integers(0, 2)
PACKET_ID = st.integers(1, 0xFFFF)
STRING = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
BINARY = st.binary(max_size=40)
TOPIC = st.binary(max_size=300)  # the decoder does not look into it
PAYLOAD = st.binary(max_size=300) | st.integers(0, 40_000).map(bytes)
PAIRS = st.lists(st.tuples(STRING, STRING), min_size=1, max_size=3)
IDENTIFIERS = st.integers(1, c.MAX_REMAINING_LENGTH)

SINGLE: dict[str, st.SearchStrategy[object]] = {
    "message_expiry_interval": FOUR, "session_expiry_interval": FOUR, "will_delay_interval": FOUR,
    "server_keep_alive": TWO, "topic_alias_maximum": TWO, "receive_maximum": st.integers(1, 0xFFFF),
    "topic_alias": st.integers(1, 0xFFFF), "maximum_packet_size": st.integers(1, 0xFFFF_FFFF),
    "correlation_data": BINARY, "authentication_data": BINARY, "user_properties": PAIRS,
    **dict.fromkeys(["content_type", "response_topic", "assigned_client_identifier", "authentication_method",
                     "response_information", "server_reference", "reason_string"], STRING),
    **dict.fromkeys(["payload_format_indicator", "request_problem_information", "request_response_information",
                     "maximum_qos", "retain_available", "wildcard_subscription_available",
                     "subscription_identifier_available", "shared_subscription_available"], FLAG),
}


def _value(row: PropertyRow, holder: int) -> st.SearchStrategy[object]:
    if row.name == "subscription_identifiers":
        return st.lists(IDENTIFIERS, min_size=1, max_size=3 if holder == c.PUBLISH else 1)
    return SINGLE[row.name]


def _made(values: dict[str, object]) -> Properties | None:
    if not values:
        return None
    made = Properties()
    for name, value in values.items():
        setattr(made, name, value)
    if made.authentication_data is not None and made.authentication_method is None:
        made.authentication_method = "needed"
    return made


def properties(version: int, holder: int, needed: str = "") -> st.SearchStrategy[Properties | None]:
    """Any properties that the holder may have; `needed` is one that it has to."""
    if version < c.MQTT_5_0:
        return st.none()
    rows = [row for row in PROPERTIES if row.holders >> holder & 1]
    return st.fixed_dictionaries(
        {row.name: _value(row, holder) for row in rows if row.name == needed},
        optional={row.name: _value(row, holder) for row in rows if row.name != needed},
    ).map(_made)


def connects(version: int) -> st.SearchStrategy[p.Connect]:
    user_name = st.none() | STRING
    password = st.none() | BINARY
    will = st.builds(p.Will, STRING.map(str.encode), BINARY, QOS, st.booleans(), properties(version, WILL))
    pairs = st.tuples(user_name, password).filter(lambda pair: version != 4 or pair[1] is None or pair[0] is not None)
    return st.builds(
        lambda pair, *rest: p.Connect(version, rest[0], rest[1], rest[2], pair[0], pair[1], rest[3], rest[4], rest[5]),
        pairs, STRING, st.booleans(), TWO, st.none() | will,
        st.booleans() if version < c.MQTT_5_0 else st.just(False), properties(version, c.CONNECT),
    )


def _publish(version: int) -> st.SearchStrategy[p.Packet]:
    held = properties(version, c.PUBLISH)
    at_most_once = st.builds(p.Publish, TOPIC, PAYLOAD, st.just(0), st.booleans(), st.just(False), st.just(0), held)
    return at_most_once | st.builds(
        p.Publish, TOPIC, PAYLOAD, st.integers(1, 2), st.booleans(), st.booleans(), PACKET_ID, held)


def _codes(version: int, packet_type: int) -> st.SearchStrategy[int]:
    return st.sampled_from(sorted(c.REASON_CODES[packet_type]) if version == c.MQTT_5_0 else [0])


def _connack(version: int) -> st.SearchStrategy[p.Packet]:
    codes = _codes(version, c.CONNACK) if version == c.MQTT_5_0 else st.integers(0, 5)
    held = properties(version, c.CONNACK)
    accepted = st.builds(p.Connack, st.booleans() if version > c.MQTT_3_1 else st.just(False), st.just(0), held)
    return accepted | st.builds(p.Connack, st.just(False), codes, held)


def _options(version: int) -> st.SearchStrategy[int]:
    if version < c.MQTT_5_0:
        return QOS
    return st.builds(lambda qos, flags, handling: qos | flags << 2 | handling << 4, QOS, st.integers(0, 3), QOS)


@cache
def packets(version: int) -> st.SearchStrategy[p.Packet]:
    """Any packet of this version, of either direction."""
    subacks = _codes(version, c.SUBACK) if version == c.MQTT_5_0 else st.sampled_from([0, 1, 2, 0x80])
    kinds: list[st.SearchStrategy[p.Packet]] = [
        connects(version), _connack(version), _publish(version), st.builds(p.Pingreq), st.builds(p.Pingresp),
        *[st.builds(kind, PACKET_ID, _codes(version, kind.type), properties(version, kind.type))
          for kind in (p.Puback, p.Pubrec, p.Pubrel, p.Pubcomp)],
        st.builds(p.Subscribe, PACKET_ID, st.lists(st.tuples(TOPIC, _options(version)), min_size=1, max_size=4),
                  properties(version, c.SUBSCRIBE)),
        st.builds(p.Suback, PACKET_ID, st.lists(subacks, min_size=1, max_size=4), properties(version, c.SUBACK)),
        st.builds(p.Unsubscribe, PACKET_ID, st.lists(TOPIC, min_size=1, max_size=4),
                  properties(version, c.UNSUBSCRIBE)),
        st.builds(p.Disconnect, _codes(version, c.DISCONNECT), properties(version, c.DISCONNECT)),
    ]
    if version == c.MQTT_5_0:
        kinds.append(st.builds(p.Unsuback, PACKET_ID, st.lists(_codes(version, c.UNSUBACK), min_size=1, max_size=4),
                               properties(version, c.UNSUBACK)))
        kinds.append(st.builds(p.Auth, _codes(version, c.AUTH), properties(version, c.AUTH, "authentication_method")))
    else:
        kinds.append(st.builds(p.Unsuback, PACKET_ID, st.just([])))
    return st.one_of(kinds)


def streams(most: int) -> st.SearchStrategy[tuple[int, list[p.Packet]]]:
    """A version and up to `most` packets of it."""
    return st.one_of([st.tuples(st.just(version), st.lists(packets(version), min_size=1, max_size=most))
                      for version in (c.MQTT_3_1, c.MQTT_3_1_1, c.MQTT_5_0)])


def pieces(data: bytes, places: list[int]) -> list[bytes]:
    """`data` cut at these places, which need not lie within it."""
    cuts = sorted([place % (len(data) + 1) for place in places])
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


CUTS = st.lists(st.integers(0, 2000), max_size=8)
