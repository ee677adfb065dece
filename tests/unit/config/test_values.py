"""How each kind of value is written."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emqtwist.config.names import Names, Words
from emqtwist.config.values import (
    BIND,
    BIND_FILE,
    DURATION,
    FILE_MODE,
    FLAG,
    INTEGER,
    NUMBER_UNIT,
    PERCENT,
    PRIORITIES,
    SIZE,
    TEXT,
    VERSIONS,
    WHOLE_SECONDS,
    Address,
    Choice,
    SocketFile,
    Text,
    Unit,
)

LETTERS = Choice("alpha", "beta", aliases={"b": "beta"})
WORD = Text("a word", r"[a-z]+")


@pytest.mark.parametrize(("unit", "text", "value"), [
    (FLAG, "on", True), (FLAG, "TRUE", True), (FLAG, "yes", True),
    (FLAG, "off", False), (FLAG, "false", False), (FLAG, "No", False),
    (INTEGER, "0", 0), (INTEGER, "65535", 65535),
    (NUMBER_UNIT, "0.75", 0.75), (NUMBER_UNIT, "2", 2.0),
    (DURATION, "2h", 7200.0), (DURATION, "30s", 30.0), (DURATION, "500ms", 0.5), (DURATION, "7d", 604800.0),
    (DURATION, "1h30m", 5400.0), (DURATION, "1d2h3m4s5ms", 93784.005), (DURATION, "90", 90.0), (DURATION, "0.5", 0.5),
    (DURATION, "1.5H", 5400.0),
    (WHOLE_SECONDS, "2m", 120), (WHOLE_SECONDS, "1000ms", 1),
    (SIZE, "64KB", 65536), (SIZE, "1MB", 1048576), (SIZE, "1GB", 1073741824), (SIZE, "512", 512), (SIZE, "512b", 512),
    (SIZE, "64kb", 65536),
    (PERCENT, "20%", 0.2), (PERCENT, "12.5%", 0.125), (PERCENT, "0%", 0.0),
    (LETTERS, "alpha", "alpha"), (LETTERS, "Alpha", "alpha"), (LETTERS, "b", "beta"),
    (TEXT, "", ""), (TEXT, "two\nlines", "two\nlines"), (WORD, "word", "word"),
    (BIND, "1883", Address("0.0.0.0", 1883)), (BIND, "127.0.0.1:1883", Address("127.0.0.1", 1883)),
    (BIND, "[::1]:1883", Address("::1", 1883)), (BIND, "[::]:0", Address("::", 0)),
    (BIND, "localhost:1883", Address("127.0.0.1", 1883)),
    (VERSIONS, "3.1.1", (4,)), (VERSIONS, "5.0,3.1", (3, 5)),
    (BIND_FILE, "/run/a b.sock", SocketFile("/run/a b.sock")), (FILE_MODE, "0660", 0o660), (FILE_MODE, "600", 0o600),
    (PRIORITIES, "", ()), (PRIORITIES, "a/b=1, c=255", (("a/b", 1), ("c", 255))), (PRIORITIES, "a=b=7", (("a=b", 7),)),
])
def test_text_stands_for_a_value(unit: Unit[object], text: str, value: object) -> None:
    assert unit.read(text) == value
    assert type(unit.read(text)) is type(value)
    assert unit.holds(value)


@pytest.mark.parametrize(("unit", "text"), [
    (FLAG, ""), (FLAG, "1"), (FLAG, "enabled"),
    (INTEGER, ""), (INTEGER, "-1"), (INTEGER, "1.0"), (INTEGER, "1_000"), (INTEGER, "٣"), (INTEGER, "9" * 5000),
    (NUMBER_UNIT, "nan"), (NUMBER_UNIT, "inf"), (NUMBER_UNIT, "1e3"), (NUMBER_UNIT, "-0.5"), (NUMBER_UNIT, ".5"),
    (DURATION, ""), (DURATION, "h"), (DURATION, "2 h"), (DURATION, "30m1h"), (DURATION, "1h1h"), (DURATION, "-2h"),
    (DURATION, "2x"), (DURATION, "1y"),
    (WHOLE_SECONDS, "500ms"), (WHOLE_SECONDS, "0.5"), (WHOLE_SECONDS, "9" * 400),
    (SIZE, ""), (SIZE, "64XB"), (SIZE, "KB"), (SIZE, "1.5MB"), (SIZE, "-1"), (SIZE, "1 MB"),
    (PERCENT, "20"), (PERCENT, "0.2"), (PERCENT, "%"), (PERCENT, "-5%"),
    (LETTERS, ""), (LETTERS, "gamma"), (WORD, "two words"), (WORD, ""),
    (BIND, ""), (BIND, "65536"), (BIND, "-1"), (BIND, "example.org:1883"), (BIND, "127.0.0.1"), (BIND, "::1:1883"),
    (BIND, "[127.0.0.1]:1883"), (BIND, "127.0.0.256:1883"), (BIND, "[::1:1883"),
    (VERSIONS, ""), (VERSIONS, "5"), (VERSIONS, "3.1.1,"),
    (BIND_FILE, ""), (BIND_FILE, "a\0b"), (FILE_MODE, "0o660"), (FILE_MODE, "0668"), (FILE_MODE, "4755"), (FILE_MODE, "6"),
    (PRIORITIES, "a"), (PRIORITIES, "a=256"), (PRIORITIES, "a=-1"), (PRIORITIES, "a=1,a=2"), (PRIORITIES, "a/+=1"),
    (PRIORITIES, "#=1"), (PRIORITIES, "=1"), (PRIORITIES, "a=1,"), (PRIORITIES, "a="),
])
def test_other_text_is_refused_and_not_repeated(unit: Unit[object], text: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        unit.read(text)
    assert len(text) < 4 or text not in str(caught.value)


@pytest.mark.parametrize(("unit", "value"), [
    (FLAG, 1), (FLAG, "on"), (INTEGER, True), (INTEGER, 1.0), (NUMBER_UNIT, "1"), (NUMBER_UNIT, True),
    (DURATION, "2h"), (DURATION, False), (WHOLE_SECONDS, 0.5), (SIZE, 1.5), (SIZE, "1KB"), (PERCENT, "20%"),
    (LETTERS, "b"), (LETTERS, None), (TEXT, b"bytes"), (WORD, "two words"),
    (BIND, "127.0.0.1:1883"), (BIND, Address("example.org", 1883)), (BIND, Address("127.0.0.1", 65536)),
    (BIND, Address("127.0.0.1", -1)),
    (VERSIONS, ()), (VERSIONS, (2,)), (VERSIONS, [4]),
    (BIND_FILE, "a"), (BIND_FILE, SocketFile("")), (FILE_MODE, 0o1000), (FILE_MODE, "0660"),
    (PRIORITIES, {"a": 1}), (PRIORITIES, (("a", 256),)), (PRIORITIES, (("a",),)), (PRIORITIES, ((b"a", 1),)),
])
def test_a_value_that_no_text_gives_is_not_held(unit: Unit[object], value: object) -> None:
    assert not unit.holds(value)


@pytest.mark.parametrize(("host", "is_loopback"), [
    ("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("::ffff:127.0.0.1", True),
    ("0.0.0.0", False), ("::", False), ("192.168.0.1", False), ("::ffff:10.0.0.1", False), ("fe80::1%eth0", False),
])
def test_only_loopback_addresses_are_loopback(host: str, is_loopback: bool) -> None:
    assert Address(host, 1883).is_loopback() is is_loopback


@pytest.mark.parametrize(("first", "second", "overlap"), [
    ("127.0.0.1:1883", "127.0.0.1:1883", True),
    ("1883", "127.0.0.1:1883", True),
    ("[::]:1883", "[::1]:1883", True),
    ("127.0.0.1:1883", "127.0.0.1:1884", False),
    ("127.0.0.1:1883", "127.0.0.2:1883", False),
    ("1883", "[::1]:1883", False),
    ("127.0.0.1:0", "127.0.0.1:0", False),
])
def test_addresses_overlap_when_the_system_would_refuse_one(first: str, second: str, overlap: bool) -> None:
    assert BIND.read(first).overlaps(BIND.read(second)) is overlap
    assert BIND.read(second).overlaps(BIND.read(first)) is overlap


@given(st.ip_addresses().map(str), st.integers(0, 65535))
def test_an_address_is_read_back_from_its_text(host: str, port: int) -> None:
    assert BIND.read(str(Address(host, port))) == Address(host, port)


@given(st.integers(0, 400), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_the_parts_of_a_duration_add_up(days: int, hours: int, minutes: int, seconds: int, milliseconds: int) -> None:
    text = f"{days}d{hours}h{minutes}m{seconds}s{milliseconds}ms"
    whole = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    assert DURATION.read(text) == pytest.approx(whole + milliseconds / 1000, abs=1e-6)


@pytest.mark.parametrize(("text", "names"), [("", ()), ("a", ("a",)), (" b , a b ", ("b", "a b"))])
def test_names_are_read_in_their_order(text: str, names: tuple[str, ...]) -> None:
    assert Names().read(text.strip()) == names
    assert Names().read(Names().write(names)) == names
    assert Names().holds(names)


@pytest.mark.parametrize("text", ["a,", ",", "a, a"])
def test_what_is_no_list_of_names_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="not names as alice, bob, each once"):
        Names().read(text)


def test_words_are_those_that_there_are() -> None:
    words = Words("one", "two")
    assert words.read("two, one") == ("two", "one")
    for value in (("three",), ("one", "one"), ["one"], "one"):
        assert not words.holds(value)
    with pytest.raises(ValueError, match="not some of one, two"):
        words.read("three")
