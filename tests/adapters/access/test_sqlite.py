"""[auth.sqlite]: a data base that is asked who a client is, and each of its keys."""
import sqlite3
from collections.abc import Callable
from contextlib import closing
from hashlib import pbkdf2_hmac, sha256
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.logger import capturedLogs

from emqtwist.access import hashes
from emqtwist.access.database import Database, Query
from emqtwist.access.sqlite import Sqlite
from emqtwist.access.stage import Unreachable
from emqtwist.app.authentication import check
from emqtwist.app.methods import located
from emqtwist.config import ConfigError, parse
from emqtwist.core.access import Client, Deny, Finding, Ignore, Ok
from emqtwist.mqtt import constants as c
from emqtwist.services.pooler import Refused
from tests.oracles import client
from tests.places import Place
from tests.threads import at_once

WRONG = c.BAD_USER_NAME_OR_PASSWORD
TABLE = ("CREATE TABLE mqtt_user (username TEXT, password TEXT, salt TEXT, is_superuser INTEGER, clientid TEXT, address TEXT)")
PENCIL = hashes.make(b"pencil", bytes(16))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A data base with alice, bob who is a superuser, and dan whose hash is none."""
    made = tmp_path / "users.db"
    with closing(sqlite3.connect(made)) as db:
        db.execute(TABLE)
        db.executemany("INSERT INTO mqtt_user VALUES (?, ?, ?, ?, ?, ?)", [
            ("alice", "{plain}pencil", "s", 0, "c", "10.0.0.1"), ("bob", "{plain}pen", None, 1, "b", ""),
            ("dan", "pencil", None, 0, "d", ""), ("eve", None, None, 0, "e", ""), ("fay", b"\xff", None, 0, "f", "")])
        db.commit()
    return made


def change(path: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(sql, values)
        db.commit()


class Desk:
    """Asks a Sqlite; each line is `key = value` of its section."""

    def __init__(self, path: Path, *lines: str, pooling: Callable[..., "Deferred[Any]"] = at_once) -> None:
        section = parse("\n".join(f"auth.sqlite.{line}" for line in lines)).auth.sqlite
        self.database = Database(str(path), pooling, 2.0)
        self.asked = Sqlite(section, self.database, at_once)

    def ask(self, who: Client | None = None, password: bytes | None = b"pencil") -> Finding:
        found: list[Finding] = []
        failed: list[BaseException] = []
        Deferred.fromCoroutine(self.asked.authenticate(who or client(), password)).addCallbacks(
            found.append, lambda failure: failed.append(failure.value))
        for error in failed:
            raise error
        return found[0]

    def trouble(self) -> str:
        """Why there is no answer."""
        with pytest.raises(Unreachable) as raised:
            self.ask()
        return str(raised.value)


def lines(path: Path, *more: str) -> tuple[str, ...]:
    return ("auth.order = sqlite", f"auth.sqlite.path = {path}", "auth.cache_ttl = 0", *more)


# Keys.

def test_auth_sqlite_path(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    place = Place(monkeypatch, *lines(path))
    assert place.enter("x", "alice", b"pencil") == c.SUCCESS
    assert place.enter("x", "alice", b"pen") == WRONG
    assert place.enter("x", "carol", b"pencil") == WRONG
    place.reload(*lines(path.with_name("none.db")))
    assert place.enter("x", "alice", b"pencil") == c.SERVER_UNAVAILABLE
    assert located(parse("auth.sqlite.path = users.db"), "/etc").auth.sqlite.path == "/etc/users.db"
    with pytest.raises(ConfigError, match="sqlite needs auth.sqlite.path"):
        parse("auth.order = sqlite")


@pytest.mark.parametrize(("where", "who", "found"), [
    ("username = '%u'", client(user_name="alice"), Ok), ("username = '%u'", client(user_name=None), Ignore),
    ("clientid = '%c'", client("c", None), Ok), ("clientid = '%c'", client("x", "alice"), Ignore),
    ("address = '%a'", client("x", None), Ok), ("address = '%a' and clientid = '%c'", client("x", None), Ignore),
    ("password = '{plain}' || '%P'", client("x", None), Ok)])
def test_auth_sqlite_auth_query(path: Path, where: str, who: Client, found: type[Finding]) -> None:
    assert type(Desk(path, f"auth_query = select password from mqtt_user where {where}").ask(who)) is found


@pytest.mark.parametrize(("scheme", "kept"), [
    ("any", PENCIL), ("plain", "pencil"), ("sha256", sha256(b"pencil").hexdigest()),
    ("salt,sha256", sha256(b"spencil").hexdigest()), ("sha256,salt", sha256(b"pencils").hexdigest()),
    ("pbkdf2,sha256,2,32", pbkdf2_hmac("sha256", b"pencil", b"s", 2, 32).hex())])
def test_auth_sqlite_password_hash(path: Path, scheme: str, kept: str) -> None:
    change(path, "UPDATE mqtt_user SET password = ? WHERE username = 'alice'", kept)
    desk = Desk(path, f"password_hash = {scheme}", "auth_query = select password, salt from mqtt_user where username = '%u'")
    assert isinstance(desk.ask(), Ok)
    assert isinstance(desk.ask(password=b"pen"), Deny)


def test_auth_sqlite_super_query(path: Path) -> None:
    def is_superuser(*more: str) -> list[bool]:
        found = [Desk(path, *more).ask(client(user_name=name), password) for name, password in
                 (("alice", b"pencil"), ("bob", b"pen"))]
        return [isinstance(each, Ok) and each.superuser for each in found]

    assert is_superuser() == [False, True]
    assert is_superuser("super_query =") == [False, False]
    assert is_superuser("super_query = select '1' from mqtt_user where username = '%u' and clientid = '%c'") == [True, False]


@pytest.mark.parametrize("line", [
    "auth_query =", "auth_query = select password from mqtt_user", "auth_query = select password from t where u = %u",
    "auth_query = select password from t where u = 'user:%u'", "super_query = select 1 from t where u = '%u' and c = \"%c\"",
    "password_hash = sha512", "password_hash = salt,plain", "password_hash = pbkdf2,sha256,0,20", "password_hash = md5,sha"])
def test_what_makes_no_sense_is_no_value(line: str) -> None:
    with pytest.raises(ConfigError, match="not "):
        parse(f"auth.sqlite.{line}")


def test_a_scheme_that_cannot_be_tried_here_is_told_at_the_start() -> None:
    with pytest.raises(ConfigError, match=r"\[auth.sqlite\] password_hash: "):
        check(parse("auth.order = sqlite\nauth.sqlite.path = x\nauth.sqlite.password_hash = pbkdf2,md4x,1000,20"))


# Values.

@pytest.mark.parametrize("name", ["' or '1'='1", "alice' --", "alice'; drop table mqtt_user; --", "%u", ":u", "?1",
                                  "al\0ice", "ü'"])
def test_what_a_client_says_never_becomes_sql(path: Path, name: str) -> None:
    desk = Desk(path, "auth_query = select password from mqtt_user where username = '%u' or clientid = '%c'")
    assert isinstance(desk.ask(client(name, name)), Ignore)
    assert isinstance(desk.ask(), Ok)
    change(path, "INSERT INTO mqtt_user VALUES (?, '{plain}pencil', '', 0, '', '')", name)
    assert isinstance(desk.ask(client("x", name)), Ok)


@pytest.mark.parametrize(("name", "why"), [
    ("dan", "what is kept of its password is no hash: not a hash of a password in a form that is known"),
    ("eve", "what is kept of its password is no hash: not a text"),
    ("fay", "what is kept of its password is no hash: not UTF-8")])
def test_a_bad_hash_keeps_one_user_out_and_is_not_shown(path: Path, name: str, why: str) -> None:
    finding = Desk(path).ask(client(user_name=name))
    assert isinstance(finding, Deny)
    assert finding.why == why


def test_a_known_user_needs_a_password_that_is_text(path: Path) -> None:
    findings = [Desk(path).ask(password=password) for password in (None, b"\xff")]
    assert [(type(each), each.why) for each in findings] == [
        (Deny, "it gives no password"), (Deny, "the password is not UTF-8")]


# Trouble.

@pytest.mark.parametrize(("query", "told"), [
    ("select password from nobody where u = '%u'", "a query fails: no such table: nobody"),
    ("select passwort from mqtt_user where username = '%u'", "a query fails: no such column: passwort"),
    ("selekt password where '%u'", 'a query fails: near "selekt": syntax error'),
    ("select 1; select '%u'", "a query fails: You can only execute one statement at a time."),
    ("delete from mqtt_user where username = '%u' returning password",
     "a query fails: attempt to write a readonly database"),
    ("select salt from mqtt_user where username = '%u'", "auth_query gives no column password")])
def test_a_query_that_cannot_be_asked_is_told(path: Path, query: str, told: str) -> None:
    assert Desk(path, f"auth_query = {query}").trouble() == told
    assert isinstance(Desk(path).ask(), Ok)


def test_a_salt_that_is_not_asked_for_is_told(path: Path) -> None:
    assert Desk(path, "password_hash = salt,sha256").trouble() == "auth_query gives no column salt"


def test_a_file_that_is_missing_or_none_is_told(path: Path) -> None:
    desk = Desk(path)
    assert isinstance(desk.ask(), Ok)
    path.rename(path.with_name("away.db"))
    assert desk.trouble() == "the data base cannot be opened: No such file or directory"
    path.write_bytes(b"no data base" * 1000)
    assert desk.trouble() == "a query fails: file is not a database"
    path.with_name("away.db").rename(path)
    assert isinstance(desk.ask(), Ok)


def test_a_file_that_is_locked_is_told(path: Path) -> None:
    desk = Desk(path)
    desk.database._patience = 0.01
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert desk.trouble() == "a query fails: database is locked"
    assert isinstance(desk.ask(), Ok)


def test_a_query_without_an_end_is_ended(path: Path) -> None:
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) as password from n where i <> '%u'"
    desk = Desk(path, f"auth_query = {endless}")
    desk.database._patience = 0.05
    assert desk.trouble() == "a query takes longer than 0.05 s"


def test_without_a_thread_there_is_no_answer(path: Path) -> None:
    desk = Desk(path, pooling=lambda *job: fail(Refused("too many wait")))
    assert desk.trouble() == "no thread can ask it: too many wait"


def test_who_keeps_failing_is_left_alone_with_an_alarm(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    place = Place(monkeypatch, *lines(path.with_name("none.db"), "auth.breaker_failures = 2"))
    with capturedLogs() as logged:
        assert [place.enter(name, "alice", b"pencil") for name in "abc"] == [c.SERVER_UNAVAILABLE] * 3
    reasons = [each["reason"] for each in logged if each.get("authenticator") == "sqlite" and "failed" in each["log_format"]]
    assert reasons == ["the data base cannot be opened: No such file or directory"]
    assert list(place.service.broker.alarms.active) == ["authenticator_failing/sqlite"]
    place = Place(monkeypatch, *lines(path.with_name("none.db"), "auth.on_error = next"))
    assert place.enter("x", "alice", b"pencil") == WRONG


# Connections.

def test_connections_are_kept_and_closed_in_the_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def noted(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        opened.append(connect(*args, **kwargs))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", noted)
    desk = Desk(path)
    for _ in range(3):
        assert isinstance(desk.ask(), Ok)
    assert len(opened) == 1
    other = path.with_name("other.db")
    other.write_bytes(path.read_bytes())
    other.rename(path)  # as an editor or a script puts a new file in place of the old one
    assert isinstance(desk.ask(), Ok)
    assert len(opened) == 2
    desk.asked.close()
    assert isinstance(desk.ask(), Ok)  # it was on its way
    for db in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            db.execute("SELECT 1")


def test_who_writes_is_not_held_up(path: Path) -> None:
    desk = Desk(path, "auth_query = select password from mqtt_user where username <> '%u'")  # more rows than are read
    desk.ask(client(user_name="x"))
    change(path, "DELETE FROM mqtt_user")


def test_queries_wait_for_threads_not_for_the_reactor(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    place = Place(monkeypatch, *lines(path))
    caller = place.knock("x", "alice", b"pencil")
    place.reactor.advance(0)
    assert caller.received() == []
    assert sum(len(threads.held) for threads in place.threads) == 1


def test_a_query_knows_what_it_needs() -> None:
    query = Query("select 1 where '%u' = '%c' and '%u' <> 'u'")
    assert sorted(query.needs) == ["c", "u"]
    assert query.sql == "select 1 where :u = :c and :u <> 'u'"
