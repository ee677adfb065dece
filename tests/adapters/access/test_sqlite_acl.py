"""[auth.sqlite] acl_query: a data base that is asked what a client may do."""
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred, fail

from emqtwist.access.database import Database
from emqtwist.access.sqlite import MOST_ROWS, SqliteAuthorizer
from emqtwist.access.stage import Unreachable
from emqtwist.app.authorization import check
from emqtwist.config import ConfigError, parse
from emqtwist.core.access import Client, Verdict
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Puback, Publish, Suback, Subscribe
from emqtwist.services.pooler import Refused
from tests.desks import Desk
from tests.oracles import client
from tests.places import Place
from tests.threads import at_once
from tests.wires import Caller

TABLE = "CREATE TABLE mqtt_acl (allow, ipaddr TEXT, username TEXT, clientid TEXT, access, topic TEXT)"
ALL, SUBSCRIBE, PUBLISH, PUBSUB = "$all", 1, 2, 3

Row = tuple[object, str | None, str | None, str | None, object, object]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "rules.db"
    with closing(sqlite3.connect(made)) as db:
        db.execute(TABLE)
    return made


def fill(path: Path, *rows: Row) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("DELETE FROM mqtt_acl")
        db.executemany("INSERT INTO mqtt_acl VALUES (?, ?, ?, ?, ?, ?)", rows)
        db.commit()


def authorizer(path: Path, *lines: str) -> SqliteAuthorizer:
    """Each line is `key = value` of its section."""
    section = parse("\n".join(f"auth.sqlite.{line}" for line in lines)).auth.sqlite
    return SqliteAuthorizer(section, Database(str(path), at_once, 2.0))


def ask(asked: SqliteAuthorizer, action: str = "publish", topic: str = "a", who: Client | None = None) -> Verdict:
    found: list[Verdict] = []
    failed: list[BaseException] = []
    Deferred.fromCoroutine(asked.authorize(who or client(), action, topic)).addCallbacks(
        found.append, lambda failure: failed.append(failure.value))
    for error in failed:
        raise error
    return found[0]


def answers(path: Path, rows: Sequence[Row], *asked: tuple[str, str], who: Client | None = None) -> list[str]:
    fill(path, *rows)
    return [ask(authorizer(path), action, topic, who).answer for action, topic in asked]


def lines(path: Path, *more: str) -> tuple[str, ...]:
    return ("acl.order = sqlite", f"auth.sqlite.path = {path}", "acl.cache_ttl = 0", "mqtt.acl_nomatch = deny", *more)


def publish(place: Place, caller: Caller, topic: bytes) -> int:
    """The reason code; that nobody subscribes is no refusal."""
    caller.send(Publish(topic, b"", 1, packet_id=1))
    place.run()
    code = caller.one(Puback).reason_code
    return 0 if code == c.NO_MATCHING_SUBSCRIBERS else code


# The key, and what a broker makes of it.

def test_auth_sqlite_acl_query(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    fill(path, (1, None, None, "x", PUBSUB, "a/#"), (0, None, None, "x", SUBSCRIBE, "a/b"))
    place = Place(monkeypatch, *lines(path))
    caller = place.knock("x")
    place.run()
    caller.received()
    assert [publish(place, caller, topic) for topic in (b"a/b", b"b")] == [0, c.NOT_AUTHORIZED]
    caller.send(Subscribe(1, [(b"a/c", 0), (b"$share/g/a/b", 0), (b"a/+", 1)]))
    for _ in range(3):
        place.run()
    assert caller.one(Suback).reason_codes == [0, c.NOT_AUTHORIZED, c.NOT_AUTHORIZED]
    place.reload(*lines(path, "auth.sqlite.acl_query = select 1 as allow, null as ipaddr, '$all' as username, null as clientid, "
                              "2 as access, 'b' as topic where '%c' = 'x'"))
    assert [publish(place, caller, topic) for topic in (b"a/b", b"b")] == [c.NOT_AUTHORIZED, 0]


def test_a_data_base_that_cannot_be_asked_is_a_failure_and_in_the_end_left_alone(
        monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    place = Place(monkeypatch, *lines(path.with_name("none.db"), "acl.breaker_failures = 2"))
    caller = place.knock("x")
    place.run()
    caller.received()
    assert [publish(place, caller, b"a") for _ in range(3)] == [c.IMPLEMENTATION_SPECIFIC_ERROR] * 3
    assert list(place.service.broker.alarms.active) == ["authorizer_failing/sqlite"]


def test_a_connection_remembers_the_answer_as_long_as_that_of_others(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    fill(path, (1, None, ALL, None, PUBLISH, "a"))
    place = Place(monkeypatch, *lines(path)[:2], "acl.cache_ttl = 3s", "mqtt.acl_nomatch = deny")
    caller = place.knock("x")
    place.run()
    caller.received()
    assert publish(place, caller, b"a") == 0
    fill(path)
    place.reactor.advance(2)
    assert publish(place, caller, b"a") == 0
    place.reactor.advance(1)
    assert publish(place, caller, b"a") == c.NOT_AUTHORIZED


def test_it_is_explained(path: Path) -> None:
    fill(path, (1, None, ALL, None, PUBSUB, "#"), (0, "10.0.0.0/8", "alice", None, PUBLISH, "eq a/+"),
         (1, None, None, "x", SUBSCRIBE, "b"))
    desk = Desk(whole=True)
    query = "acl_query = select * from mqtt_acl where '%c' <> ''"
    desk.service.register_acl_mod("sqlite", authorizer(path, query))
    assert desk.lines("explain", "acl", "x", "subscribe", "b")[1:] == [
        "authorizer sqlite: allow: row 3: allow subscribe, who = client x, topics = b: decides", "allow"]
    assert desk.lines("explain", "acl", "x", "publish", "b")[1:] == [
        "authorizer sqlite: allow: row 1: allow pubsub, who = all, topics = #: decides", "allow"]
    assert ask(authorizer(path, query), "publish", "a/+").why == (
        "row 2: deny publish, who = ip 10.0.0.0/8 and user alice, topics = eq a/+")


# Rows.

def test_the_last_row_that_decides_is_the_answer(path: Path) -> None:
    """emqttd's own table: what is said of a few comes behind what is said of all."""
    rows = [(1, None, ALL, None, PUBLISH, "#"), (0, None, ALL, None, SUBSCRIBE, "$SYS/#"),
            (0, None, ALL, None, SUBSCRIBE, "eq #"), (1, None, "dashboard", None, SUBSCRIBE, "$SYS/#")]
    asked = (("publish", "a"), ("subscribe", "$SYS/a"), ("subscribe", "#"), ("subscribe", "a"))
    assert answers(path, rows, *asked) == ["allow", "deny", "deny", "ignore"]
    assert answers(path, rows, *asked, who=client("d", "dashboard")) == ["allow", "allow", "deny", "ignore"]


def test_a_client_without_rows_is_left_to_others(path: Path) -> None:
    assert answers(path, [(1, None, "bob", None, PUBSUB, "#")], ("publish", "a")) == ["ignore"]


@pytest.mark.parametrize(("whom", "who", "is_meant"), [
    ((None, "alice", None), client("x", "alice"), True), ((None, "alice", None), client("alice", "bob"), False),
    ((None, "alice", None), client("alice", None), False), ((None, None, "x"), client("x", None), True),
    (("10.0.0.1", None, None), client("x", None), True), (("10.0.0.1", None, None), client("x", None, address="10.0.0.2"), False),
    ((None, "alice", "x"), client("x", "alice"), True), ((None, "alice", "x"), client("y", "alice"), False),
    (("10.0.0.9", "alice", None), client("x", "alice"), False), (("10.0.0.0/8", "alice", ""), client("x", "alice"), True),
    (("10.0.0.9", ALL, None), client("x", "alice"), False), (("", ALL, ""), client("x", None), True)])
def test_all_that_a_row_says_of_whom_it_is_about_holds(
        path: Path, whom: tuple[str | None, str | None, str | None], who: Client, is_meant: bool) -> None:
    assert answers(path, [(1, *whom, PUBSUB, "#")], ("publish", "a"), who=who) == ["allow" if is_meant else "ignore"]


@pytest.mark.parametrize("name", ["' or '1'='1", "alice' --", "%u", ":u", ALL + "'", "ü"])
def test_what_a_client_says_never_becomes_sql(path: Path, name: str) -> None:
    assert answers(path, [(1, None, "alice", None, PUBSUB, "#")], ("publish", "a"), who=client(name, name)) == ["ignore"]
    assert answers(path, [(1, None, name, None, PUBSUB, "#")], ("publish", "a"), who=client("x", name)) == ["allow"]


@pytest.mark.parametrize(("allow", "topic", "asked", "answer"), [
    (1, "a/+", "a/b", "allow"), (1, "a/+", "a/+", "allow"), (1, "a/+", "a/#", "ignore"), (1, "a/b", "a/+", "ignore"),
    (0, "a/b", "a/+", "deny"), (0, "a/b", "#", "deny"), (0, "a/b", "b/#", "ignore"),
    (0, "eq #", "#", "deny"), (0, "eq #", "a", "ignore"), (1, "#", "$SYS/a", "ignore"), (0, "#", "$SYS/a", "ignore"),
    (1, "of/%u/%c", "of/alice/c", "allow"), (1, "of/%u/%c", "of/alice/d", "ignore")])
def test_rows_are_rules(path: Path, allow: int, topic: str, asked: str, answer: str) -> None:
    assert answers(path, [(allow, None, ALL, None, PUBSUB, topic)], ("subscribe", asked)) == [answer]


def test_numbers_may_be_texts(path: Path) -> None:
    assert answers(path, [("1", None, ALL, None, "2", "a"), ("0", None, ALL, None, "1", "a")],
                   ("publish", "a"), ("subscribe", "a")) == ["allow", "deny"]


@pytest.mark.parametrize(("row", "why"), [
    ((2, None, ALL, None, PUBSUB, "#"), "allow is not 0 or 1"), ((None, None, ALL, None, PUBSUB, "#"), "allow is not 0 or 1"),
    ((0, None, ALL, None, 4, "#"), "access is not 1 or 2 or 3"), ((0, None, ALL, None, "all", "#"), "access is not 1 or 2 or 3"),
    ((0, None, None, "", PUBSUB, "#"), "it does not say whom it is about"),
    ((0, "10.0.0.300", ALL, None, PUBSUB, "#"), "not an IP address or network"),
    ((0, None, ALL, None, PUBSUB, None), "has at least one character"), ((0, None, ALL, None, PUBSUB, "a#"), "stands alone"),
    ((0, None, ALL, None, PUBSUB, b"\xff"), "topic is not UTF-8"), ((0, None, ALL, None, PUBSUB, 1.5), "topic is not a text")])
def test_a_row_that_is_no_rule_denies_whom_it_comes_up_for_and_is_explained(path: Path, row: Row, why: str) -> None:
    """To pass it over could be to pass over a denial."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE mqtt_acl")
        db.execute("CREATE TABLE mqtt_acl (allow, ipaddr, username, clientid, access, topic)")
        db.executemany("INSERT INTO mqtt_acl VALUES (?, ?, ?, ?, ?, ?)", [(1, None, ALL, None, PUBSUB, "#"), row])
        db.commit()
    verdict = ask(authorizer(path, "acl_query = select * from mqtt_acl where '%c' = 'c'"))
    assert verdict.answer == "deny"
    assert verdict.why.startswith("row 2 is no rule: ")
    assert why in verdict.why
    assert ask(authorizer(path, "acl_query = select * from mqtt_acl where '%c' = 'x'")).answer == "ignore"


# Trouble.

@pytest.mark.parametrize(("query", "told"), [
    ("select allow, ipaddr, username, clientid, access from mqtt_acl where '%c' <> ''", "acl_query gives no column topic"),
    ("select * from nobody where '%c' <> ''", "a query fails: no such table: nobody"),
    ("with recursive n(i) as (select 1 union all select i + 1 from n) select i from n where '%c' <> ''",
     f"a query gives more than {MOST_ROWS} rows")])
def test_a_query_that_is_of_no_use_is_told(path: Path, query: str, told: str) -> None:
    fill(path, (1, None, ALL, None, PUBSUB, "#"))
    with pytest.raises(Unreachable) as raised:
        ask(authorizer(path, f"acl_query = {query}"))
    assert str(raised.value) == told


def test_without_a_thread_there_is_no_answer(path: Path) -> None:
    def full(*job: object) -> "Deferred[object]":
        return fail(Refused("too many wait"))

    with pytest.raises(Unreachable, match="no thread can ask it: too many wait"):
        ask(SqliteAuthorizer(parse("").auth.sqlite, Database(str(path), full, 2.0)))


@pytest.mark.parametrize("line", ["acl_query =", "acl_query = select 1", "acl_query = select 1 where '%P' = ''",
                                  "acl_query = select 1 where u = 'x%u'"])
def test_what_makes_no_sense_is_no_value(line: str) -> None:
    with pytest.raises(ConfigError, match="not SQL with one of '%u', '%c', '%a' in it"):
        parse(f"auth.sqlite.{line}")


def test_it_can_be_checked_and_closed(path: Path) -> None:
    check(parse("\n".join(lines(path))))
    asked = authorizer(path)
    ask(asked)
    asked.close()
    assert asked._database._free == []
