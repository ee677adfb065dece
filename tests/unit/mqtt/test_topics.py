"""Section 4.7 and 4.8, with the tables of emqttd's topic_SUITE."""
import pytest

from emqtwist.mqtt.errors import MalformedPacket, MQTTError, TopicFilterInvalid, TopicNameInvalid
from emqtwist.mqtt.topics import check_topic_filter, check_topic_name, is_wildcard, matches, parse_share, split

MATCHES = [  # section 4.7.1.2 and 4.7.1.3
    ("sport/tennis/player1/#", "sport/tennis/player1"),
    ("sport/tennis/player1/#", "sport/tennis/player1/ranking"),
    ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"),
    ("sport/#", "sport"),
    ("#", "sport"),
    ("#", "/"),
    ("#", "a/b/c"),
    ("sport/tennis/+", "sport/tennis/player1"),
    ("sport/+", "sport/"),
    ("+/+", "/finance"),
    ("/+", "/finance"),
    ("+", "finance"),
    ("+/tennis/#", "sport/tennis/player1"),
    ("sport/+/player1", "sport/tennis/player1"),
    ("+/#", "a"),
    ("+/#", "/"),
    ("a//b", "a//b"),
    ("a/+/b", "a//b"),
    ("/#", "/"),
    ("/#", "/a"),
    # section 4.7.2
    ("$SYS/#", "$SYS/monitor/Clients"),
    ("$SYS/#", "$SYS"),
    ("$SYS/monitor/+", "$SYS/monitor/Clients"),
    ("$SYS", "$SYS"),
    ("+/$b", "a/$b"),
    ("a/+", "a/$b"),
    ("a/#", "a/$b/c"),
    # emqttd t_match, t_match2, t_match3, t_sigle_level_match, t_sys_match, 't_#_match'
    ("a/b/+", "a/b/c"),
    ("a/b/#", "a/b/c"),
    ("abc/+", "abc/a"),
    ("abcd/+/+/+", "abcd/ef/g/h"),
    ("+/+/#", "/12/34/56"),
    ("$SYS/brokers/+/clients/+/disconnected", "$SYS/brokers/b/clients/c/disconnected"),
    ("a/+/c/#", "a/b/c/d"),
    ("x/+/#", "x/y"),
    # [MQTT-4.7.3-4]: nothing is normalised
    ("Finance", "Finance"),
    ("ü/+", "ü/ü"),
]
MATCHES_NOT = [
    ("sport/tennis/+", "sport/tennis/player1/ranking"),
    ("sport/+", "sport"),
    ("+", "/finance"),
    ("+", "a/b"),
    ("sport/tennis/player1/#", "sport/tennis/player2"),
    ("sport/tennis/#", "sport/tennisplayer"),
    ("a/b", "a/b/c"),
    ("a/b/c", "a/b"),
    ("a/+/c/d", "a/b/c"),
    ("/a", "a"),
    ("a", "a/"),
    ("finance", "Finance"),
    # [MQTT-4.7.2-1]
    ("#", "$SYS/monitor"),
    ("#", "$SYS"),
    ("#", "$any"),
    ("+/monitor/Clients", "$SYS/monitor/Clients"),
    ("+", "$SYS"),
    ("+/#", "$SYS/x"),
    ("SYS/#", "$SYS/x"),
]


@pytest.mark.parametrize(("topic_filter", "topic_name"), MATCHES)
@pytest.mark.mqtt5("4.7.3-4")
def test_filter_selects(topic_filter: str, topic_name: str) -> None:
    assert matches(topic_filter.encode(), topic_name.encode()) is True


@pytest.mark.parametrize(("topic_filter", "topic_name"), MATCHES_NOT)
@pytest.mark.mqtt5("4.7.2-1", "4.7.3-4")
def test_filter_does_not_select(topic_filter: str, topic_name: str) -> None:
    assert matches(topic_filter.encode(), topic_name.encode()) is False


@pytest.mark.parametrize("topic", [
    b"a", b"/", b"//", b" ", b"a b/c", b"/finance", b"$SYS/x", b"$", b"a/b/", "ü/\u2028".encode(), b"x" * 65_535,
    b"a$b", "\ufeff".encode(), b"$share/g/f",
])
def test_names_are_filters_too(topic: bytes) -> None:
    check_topic_name(topic, 0)
    check_topic_filter(topic, 0)


@pytest.mark.parametrize("topic_filter", [
    b"#", b"+", b"+/+", b"a/#", b"/#", b"+/tennis/#", b"sport/+/player1", b"/+", b"+/", b"$SYS/#", b"$share/g/#",
])
@pytest.mark.mqtt5("3.3.2-2", "4.7.0-1")
def test_filters_with_wildcards(topic_filter: bytes) -> None:
    check_topic_filter(topic_filter, 0)
    assert is_wildcard(topic_filter)
    with pytest.raises(TopicNameInvalid, match=r"\[MQTT-3.3.2-2\]"):
        check_topic_name(topic_filter, 0)


@pytest.mark.parametrize(("topic_filter", "statement"), [
    (b"", "4.7.3-1"), (b"x" * 65_536, "4.7.3-3"),
    (b"sport/tennis#", "4.7.1-1"), (b"sport/tennis/#/ranking", "4.7.1-1"), (b"#/", "4.7.1-1"), (b"##", "4.7.1-1"),
    (b"#/#", "4.7.1-1"), (b"a/#b", "4.7.1-1"), (b"+#", "4.7.1-1"), (b"$share/#/a", "4.7.1-1"),
    (b"sport+", "4.7.1-2"), (b"a/+b/c", "4.7.1-2"), (b"++", "4.7.1-2"), (b"a/b+", "4.7.1-2"), (b"+a/#", "4.7.1-2"),
])
@pytest.mark.mqtt5("4.7.1-1", "4.7.1-2", "4.7.3-1", "4.7.3-3")
def test_filters_that_are_none(topic_filter: bytes, statement: str) -> None:
    with pytest.raises(TopicFilterInvalid, match=rf"\[MQTT-{statement}\]"):
        check_topic_filter(topic_filter, 0)


@pytest.mark.parametrize(("topic", "statement"), [(b"", "4.7.3-1"), (b"x" * 65_536, "4.7.3-3"), (b"a#b", "3.3.2-2")])
@pytest.mark.mqtt5("3.3.2-2", "4.7.3-1", "4.7.3-3")
def test_names_that_are_none(topic: bytes, statement: str) -> None:
    with pytest.raises(TopicNameInvalid, match=rf"\[MQTT-{statement}\]"):
        check_topic_name(topic, 0)


@pytest.mark.parametrize(("topic", "words"), [
    (b"a\0b", r"U\+0000 \[MQTT-4.7.3-2\]"), (b"\0", r"U\+0000"), (b"a/\xff", r"byte 2 \[MQTT-1.5.4-1\]"),
    (b"\xed\xa0\x80", "byte 0"), (b"ab\xc3", "byte 2"), (b"\xc0\x80", "byte 0"),
])
@pytest.mark.mqtt5("1.5.4-1", "4.7.3-2")
def test_what_is_no_string_is_a_malformed_packet(topic: bytes, words: str) -> None:
    with pytest.raises(MalformedPacket, match=f"Topic Name: .*{words}"):
        check_topic_name(topic, 0)
    with pytest.raises(MalformedPacket, match=f"Topic Filter: .*{words}"):
        check_topic_filter(topic, 0)


def test_levels_are_bounded() -> None:
    check_topic_name(b"a/b/c", 3)
    check_topic_filter(b"a/+/#", 3)
    check_topic_name(b"/" * 65_535, 0)
    with pytest.raises(TopicNameInvalid, match="4 levels, 3 allowed"):
        check_topic_name(b"a/b//", 3)
    with pytest.raises(TopicFilterInvalid, match="4 levels, 3 allowed"):
        check_topic_filter(b"a/b/+/#", 3)


def test_the_errors_have_the_reason_codes_of_the_standard() -> None:
    assert (TopicFilterInvalid("").reason_code, TopicNameInvalid("").reason_code) == (0x8F, 0x90)


@pytest.mark.mqtt5("4.7.3-4")
def test_an_empty_level_is_a_level() -> None:
    assert split(b"/a//") == [b"", b"a", b"", b""]
    assert split(b"a") == [b"a"]


@pytest.mark.parametrize(("topic_filter", "group", "plain"), [
    (b"a/b", b"", b"a/b"),
    (b"$SYS/#", b"", b"$SYS/#"),
    (b"$share", b"", b"$share"),
    (b"$shared/g/a", b"", b"$shared/g/a"),
    (b"$queue", b"", b"$queue"),
    (b"$share/g/a/b", b"g", b"a/b"),
    (b"$share/g/#", b"g", b"#"),
    (b"$share/g//a", b"g", b"/a"),
    (b"$share/group//a/b/c", b"group", b"/a/b/c"),  # emqttd t_parse
    (b"$share/g//", b"g", b"/"),
    (b"$queue/a/+", b"$queue", b"a/+"),
    (b"$queue//a", b"$queue", b"/a"),
    (b"$share/$queue/a", b"$queue", b"a"),
])
@pytest.mark.mqtt5("4.8.2-1", "4.8.2-2")
def test_share_is_taken_apart(topic_filter: bytes, group: bytes, plain: bytes) -> None:
    assert parse_share(topic_filter) == (group, plain)


@pytest.mark.parametrize(("topic_filter", "words"), [
    (b"$share/", "4.8.2-1"), (b"$share//a", "4.8.2-1"), (b"$share/g", "4.8.2-2"), (b"$share/g/", "4.8.2-2"),
    (b"$share/+/a", "4.8.2-2"), (b"$share/g#/a", "4.8.2-2"), (b"$share/#", "4.8.2-2"), (b"$queue/", "4.8.2-2"),
    (b"$share/g/$share/h/a", "inside another"), (b"$queue/$share/h/a", "inside another"),
    (b"$share/g/$queue/a", "inside another"), (b"$queue/$queue/a", "inside another"),
])
@pytest.mark.mqtt5("4.8.2-1", "4.8.2-2")
def test_shares_that_are_none(topic_filter: bytes, words: str) -> None:
    with pytest.raises(MQTTError, match=words) as raised:
        parse_share(topic_filter)
    assert isinstance(raised.value, TopicFilterInvalid)
