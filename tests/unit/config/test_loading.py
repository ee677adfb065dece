"""broker.ini becomes a Config, or every mistake in it is told at once."""
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emqtwist.config import Address, Config, ConfigError, Problem, SocketFile, TcpListener, UnixListener, load, parse
from emqtwist.config.loading import Loading
from emqtwist.config.rows import row
from emqtwist.config.rules import Conflict
from emqtwist.config.values import SIZE, Text


def problems_of(text: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        parse(text, "broker.ini", {})
    return list(caught.value.problems)


def problem_of(text: str) -> Problem:
    [problem] = problems_of(text)
    return problem


def test_without_a_file_there_is_one_listener_at_loopback() -> None:
    assert parse("") == Config()
    assert Config().listener.tcp == (TcpListener(name="default", bind=Address("127.0.0.1", 1883)),)


def test_a_section_is_all_but_the_last_part_of_the_dotted_key() -> None:
    sectioned = parse("[mqtt.session]\nmax_inflight = 32\n[mqtt]\nmax_packet_size = 64KB")
    dotted = parse("mqtt.session.max_inflight = 32\nmqtt.max_packet_size=64KB")
    assert sectioned == dotted
    assert (dotted.mqtt.session.max_inflight, dotted.mqtt.max_packet_size) == (32, 65536)


def test_comments_blank_lines_and_indentation_say_nothing() -> None:
    text = "# one\r\n; two\r\n\r\n  [log]  # three\r\n\tfile = a#b;c  ; four\r\n  level=\tdebug\t# five\r\n"
    assert parse(text).log == parse("[log]\nfile=a#b;c\nlevel=debug").log
    assert parse(text).log.file == "a#b;c"


def test_a_value_may_be_empty_and_hold_equals_signs() -> None:
    assert parse("[log]\nfile =").log.file == ""
    assert parse("[log]\nfile = a=b").log.file == "a=b"


def test_words_stand_for_special_values() -> None:
    config = parse("[mqtt.session]\nexpiry_interval = never\nmax_subscriptions = Unlimited\nretry_interval = off")
    assert config.mqtt.session.expiry_interval == float("inf")
    assert (config.mqtt.session.max_subscriptions, config.mqtt.session.retry_interval) == (0, 0.0)


def test_listeners_are_named_in_order_and_replace_the_default() -> None:
    second = "[listener.tcp.a]\nbind = 127.0.0.1:2\nbacklog = 5\nnodelay = off"
    config = parse(f"listener.tcp.b.bind = 127.0.0.1:1\n{second}")
    assert config.listener.tcp == (
        TcpListener(name="b", bind=Address("127.0.0.1", 1)),
        TcpListener(name="a", bind=Address("127.0.0.1", 2), backlog=5, nodelay=False),
    )


def test_levels_of_parts_have_free_keys_with_dots() -> None:
    sectioned = parse("[log.level]\nconfig.loading = debug\nmqtt = warning")
    dotted = parse("log.level.config.loading = debug\nlog.level.mqtt = warn\nlog.level = info")
    assert sectioned.log.levels == dotted.log.levels == (("config.loading", "debug"), ("mqtt", "warn"))


def test_a_listener_of_any_type_replaces_the_default() -> None:
    listeners = parse("[listener.unix.a]\nbind = mqtt.sock\nmode = 600").listener
    assert listeners.tcp == ()
    assert listeners.all() == (UnixListener(name="a", bind=SocketFile("mqtt.sock"), mode=0o600),)


def test_every_mistake_is_told_at_once_in_the_order_of_lines() -> None:
    lines = ["a.b = 1", "[mqtt]", "max_packet_size = 64XB", "nonsense", "[bogus]", "x = 1", "[listener.tcp.a]",
             "[mqtt]", "max_clientid_len = 1"]
    assert [(each.source, each.line) for each in problems_of("\n".join(lines))] == [
        ("broker.ini", line) for line in (1, 3, 4, 5, 7, 8, 9)]


def test_a_bad_value_is_told_with_all_there_is_to_know() -> None:
    problem = problem_of("\n[mqtt]\nmax_packet_size = 64XB")
    assert problem == Problem("not a size", "broker.ini", 3, "mqtt", "max_packet_size", "64XB",
                              "a size as 512, 64KB, 1MB, 1GB, from 1KB to 256MB")
    assert str(problem) == ("broker.ini:3: [mqtt] max_packet_size = 64XB: not a size; "
                            "allowed: a size as 512, 64KB, 1MB, 1GB, from 1KB to 256MB")


@pytest.mark.parametrize("line", ["max_packet_size = 1023", "max_packet_size = 257MB", "max_clientid_len = 22",
                                  "keepalive_backoff = 0.4", "server_keep_alive = 65536"])
def test_a_value_beyond_its_bounds_is_out_of_range(line: str) -> None:
    assert problem_of(f"[mqtt]\n{line}").message == "out of range"


def test_a_duration_without_end_needs_its_word() -> None:
    assert problem_of(f"[mqtt.session]\nexpiry_interval = {'9' * 400}").message == "out of range"


@pytest.mark.parametrize(("text", "nearest"), [
    ("[mqtt.session]\nmax_inflght = 1", "max_inflight"),
    ("[mqtt]\nmax_inflight = 1", "[mqtt.session] max_inflight"),
    ("[mqtt]\nsession.max_inflight = 1", "[mqtt.session] max_inflight"),
    ("mqtt.sesion.max_inflight = 1", "mqtt.session.max_inflight"),
    ("[retainer]\nmax_lenth = 1", "[mqtt.mqueue] max_length"),
    ("[log.level]\nmqtt.pakets = debug", "mqtt.packets"),
    ("[listener.tcp.a]\nbind = 127.0.0.1:0\nbacklogs = 1", "backlog"),
    ("listener.tcp.external = 0.0.0.0:1883", "listener.tcp.external.bind"),
    ("zzz = 1", ""),
])
def test_an_unknown_key_is_told_with_the_nearest(text: str, nearest: str) -> None:
    problem = problem_of(text)
    assert (problem.message, problem.nearest) == ("unknown key", nearest)


@pytest.mark.parametrize(("section", "nearest"), [
    ("mqtt.sesion", "[mqtt.session]"), ("listener.tcp", "[listener.tcp.<name>]"), ("zzz", ""),
    ("listener.tpc.a", "[listener.tcp.<name>]"), ("listener.tcp.a.b", "[listener.tcp.<name>]"),
    ("listener.tcp.ä", "[listener.tcp.<name>]"),
])
def test_an_unknown_section_is_told_once_with_the_nearest(section: str, nearest: str) -> None:
    problem = problem_of(f"[{section}]\na = 1\nb = 2")
    assert (problem.line, problem.message, problem.nearest) == (1, "unknown section", nearest)


@pytest.mark.parametrize("text", [
    "[mqtt]\nmax_packet_size = 1KB\nmax_packet_size = 1KB",
    "mqtt.max_packet_size = 1KB\n[mqtt]\nmax_packet_size = 1KB",
    "mqtt.max_packet_size = bad\n[mqtt]\nmax_packet_size = 1KB",
])
def test_a_key_given_twice_is_a_mistake(text: str) -> None:
    last = problems_of(text)[-1]
    assert last.line == 3
    assert last.message == f"set at line {text.index('max_packet_size') // 7 + 1} already"


def test_a_section_begun_twice_is_a_mistake() -> None:
    assert problem_of("[mqtt]\n[log]\n[mqtt]").message == "this section has begun at line 1 already"


@pytest.mark.parametrize(
    "line", ["[mqtt", "mqtt]", "[]", "[a b]", "[mqtt] x", "[[mqtt]]", "key", "= value", "key: value"])
def test_a_line_that_is_neither_section_nor_key_is_a_mistake(line: str) -> None:
    assert problem_of(line).line == 1


def test_keys_below_a_bad_header_are_not_taken_for_another_sections() -> None:
    assert [each.line for each in problems_of("[log]\n[mqtt\nlevel = bogus\nfoo = 1\n[log.level]\nx = 1")] == [2, 6]


def test_a_listener_needs_an_address() -> None:
    problem = problem_of("\n[listener.tcp.a]\nbacklog = 5")
    assert (problem.line, problem.section, problem.key, problem.message) == (2, "listener.tcp.a", "bind", "must be set")
    assert problem_of("\nlistener.tcp.a.backlog = 5").line == 2


def test_a_bad_address_is_told_once() -> None:
    assert problem_of("[listener.tcp.a]\nbind = nowhere").message == "not a port from 0 to 65535"


def test_load_reads_a_file_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "broker.ini"
    for start in (b"", b"\xef\xbb\xbf"):
        path.write_bytes(start + b"[log]\nlevel = debug\n")
        assert load(path).log.level == "debug"


def test_load_names_the_line_that_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "broker.ini"
    path.write_bytes(b"[log]\nfile = \xff\n")
    with pytest.raises(ConfigError, match=r"broker\.ini:2: not UTF-8"):
        load(path)


def test_load_names_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.ini: cannot be read: No such file or directory"):
        load(tmp_path / "no.ini")


def test_an_environment_variable_is_put_in_place() -> None:
    config = parse("[listener.tcp.a]\nbind = ${ENV:HOST}:${ENV:PORT}", environment={"HOST": "127.0.0.1", "PORT": "5"})
    assert config.listener.tcp[0].bind == Address("127.0.0.1", 5)


def test_a_files_content_is_put_in_place_without_its_last_line_break(tmp_path: Path) -> None:
    (tmp_path / "name").write_bytes(b"a ; b\r\n\n")
    text = "[log]\nfile = ${file:name}|${file:%s}" % (tmp_path / "name")
    assert parse(text, str(tmp_path / "broker.ini")).log.file == "a ; b\n|a ; b\n"


@pytest.mark.parametrize(("value", "message"), [
    ("${ENV:NOPE}", "the environment variable NOPE is not set"),
    ("${file:/no/such}", "cannot read /no/such: No such file or directory"),
    ("${NOPE}", "not a reference; write ${ENV:NAME} or ${file:/path}"),
    ("${ENV:}", "not a reference; write ${ENV:NAME} or ${file:/path}"),
    ("x${ENV:NOPE", "a reference is not closed; write ${ENV:NAME} or ${file:/path}"),
])
def test_a_reference_to_nothing_is_a_mistake_that_names_it(value: str, message: str) -> None:
    problem = problem_of(f"[log]\nfile = {value}")
    assert (problem.message, problem.value) == (message, value)


def test_a_referenced_file_must_be_utf_8(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="key: it is not UTF-8"):
        parse(f"[log]\nfile = ${{file:{tmp_path}/key}}")


def test_what_a_reference_gives_is_neither_shown_nor_read_as_a_reference() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("[mqtt]\nmax_packet_size = ${ENV:A}", environment={"A": "${ENV:B}hunter2"})
    assert "hunter2" not in str(caught.value)
    assert "${ENV:A}" in str(caught.value)


def test_what_stands_beside_an_unknown_key_or_on_a_bad_line_is_not_shown() -> None:
    texts = ["[mqtt]\npasswrod = hunter2", "mqtt.passwrod = hunter2", "password hunter2",
             "[log]\nlevel = info\nlevel = hunter2"]
    for text in texts:
        assert "hunter2" not in "".join(map(str, problems_of(text))) + "".join(map(repr, problems_of(text)))


@dataclass(frozen=True, kw_only=True)
class Account:
    """A section with secrets, as there will be."""

    password: str = row("", Text("letters", "[a-z]*"), secret=True, meaning="", test="")
    size: int = row("1", SIZE, secret=True, meaning="", test="")


@dataclass(frozen=True, kw_only=True)
class Root:
    account: Account = Account()


def test_a_secret_is_never_shown() -> None:
    loading = Loading(Root(), "broker.ini", {})
    loading.take("[account]\npassword = hunter2\nsize = 7KB")
    loading.check([Conflict(("account.size",), "too big")])
    assert [str(problem) for problem in loading.problems] == [
        "broker.ini:2: [account] password: not letters; allowed: letters", "broker.ini:3: [account] size: too big"]
    assert repr(loading.built()) == "Root(account=Account())"
    assert loading.built().account.size == 7168


def lines_blamed(text: str) -> list[int]:
    """The lines of the problems that there are, if there are any."""
    try:
        parse(text, environment={})
    except ConfigError as error:
        return [problem.line for problem in error.problems]
    return []


@given(st.text())
def test_any_text_is_read_or_refused_with_lines(text: str) -> None:
    assert set(lines_blamed(text)) <= set(range(1, text.count("\n") + 2))


@given(st.lists(st.sampled_from([
    "[mqtt]", "[log.level]", "[listener.tcp.a]", "bind = 1", "[x", "mqtt = debug", "bind", "a=b", "# [",
    "log.level = warn", "listener.tcp.b.bind = 127.0.0.1:1", "max_packet_size = 1KB"])))
def test_any_lines_are_read_or_refused_with_lines(lines: list[str]) -> None:
    assert set(lines_blamed("\n".join(lines))) <= set(range(1, len(lines) + 1))
