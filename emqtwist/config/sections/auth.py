"""[auth] and the sections below it: clients that prove who they are, and who is asked about the others."""
from dataclasses import dataclass
from typing import Final, Literal

from emqtwist.config.names import Names, Words
from emqtwist.config.rows import row
from emqtwist.config.sections.defence import BackoffSection
from emqtwist.config.sections.http import HttpSection
from emqtwist.config.sections.sqlite import SqliteSection
from emqtwist.config.values import DURATION, INTEGER, TEXT, Choice, Text

OnError = Literal["deny", "next"]

EFFECTS: Final = "tests/adapters/test_authentication.py"
ASKED: Final = "tests/adapters/access/test_rows.py"
KINDS: Final = Words("users", "file", "clientid", "sqlite", "http", "python")
NAMES: Final = Names()
ON_ERROR: Final = Choice[OnError]("deny", "next")
OBJECT: Final = Text("module:object", r"(?:[A-Za-z_][\w.]*:[A-Za-z_]\w*)?")


@dataclass(frozen=True, kw_only=True)
class ScramSection:
    """SCRAM-SHA-256, an Authentication Method of MQTT 5.0. See [who gets in](guide.md#who-gets-in)."""

    file: str = row(
        "", TEXT, live=True, test=EFFECTS,
        meaning="File of the users, a line each: `user:SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, as "
                "`python -m emqtwist.access.scram USER` makes them. SIGHUP reads it again. A relative path starts at the "
                "folder of broker.ini. Empty: there is no SCRAM-SHA-256.")
    iterations: int = row(
        "15000", INTEGER, live=True, minimum="4096", maximum="10000000", test=EFFECTS,
        meaning="Iterations that a user who is not in the file is told. Equal to those in the file, it hides who is.")


@dataclass(frozen=True, kw_only=True)
class FileSection:
    """Users of a file: `file` in `auth.order`."""

    path: str = row(
        "", TEXT, live=True, test=ASKED,
        meaning="File with a line each `user:hash`; [these forms](guide.md#passwords) of a hash are read, Mosquitto's and "
                "emqttd's among them, and `python -m emqtwist.access.passwd USER` makes a line. SIGHUP reads it again. A "
                "relative path starts at the folder of broker.ini.")
    superusers: tuple[str, ...] = row(
        "", NAMES, live=True, test=ASKED,
        meaning="Users of the file whom no access rule concerns.")


@dataclass(frozen=True, kw_only=True)
class ClientidSection:
    """Client Identifiers with a password: `clientid` in `auth.order`."""

    path: str = row(
        "", TEXT, live=True, test=ASKED,
        meaning="File with a line each `client identifier:hash`, as in `auth.file.path`.")


@dataclass(frozen=True, kw_only=True)
class PythonSection:
    """An object of your own: `python` in `auth.order`."""

    object: str = row(
        "", OBJECT, live=True, test=ASKED,
        meaning="What provides `emqtwist.interfaces.IAuthenticator`, or a class that makes such objects without arguments, as "
                "`module:object`.")


@dataclass(frozen=True, kw_only=True)
class AuthSection:
    """Who is asked about clients without Authentication Method. See [who gets in](guide.md#who-gets-in)."""

    order: tuple[str, ...] = row(
        "", KINDS, live=True, test=ASKED,
        meaning="Who is asked, one after the other, until one knows the client: it gets in or does not. Empty: nobody.")
    timeout: float = row(
        "5s", DURATION, live=True, minimum="10ms", maximum="10m", test=ASKED,
        meaning="Time that each of them has for its answer; later, it has failed.")
    on_error: OnError = row(
        "deny", ON_ERROR, live=True, test=ASKED,
        meaning="What holds when one of them fails. `deny`: the client does not get in (0x88). `next`: the next one is asked.")
    concurrency: int = row(
        "100", INTEGER, live=True, minimum="1", maximum="100000", test=ASKED,
        meaning="Clients that each of them is asked about at a time; others wait in turn. With those that hash passwords no more "
                "than four for each of `auth.hash_threads`.")
    max_wait: float = row(
        "10s", DURATION, live=True, minimum="100ms", maximum="1h", test=ASKED,
        meaning="Time that a client may wait for its turn; then it is refused (0x89), and should come later. To be less than "
                "`mqtt.client.idle_timeout`.")
    max_waiting: int = row(
        "100000", INTEGER, live=True, minimum="1", maximum="10000000", test=ASKED,
        meaning="Clients that may wait for an answer; one more is refused (0x89).")
    cache_size: int = row(
        "10000", INTEGER, live=True, words={"off": 0}, test=ASKED,
        meaning="Answers that are remembered: who comes back with everything as before is not asked about again. 0: none.")
    cache_ttl: float = row(
        "10s", DURATION, live=True, words={"off": 0.0}, test=ASKED,
        meaning="Time that an answer is remembered. SIGHUP forgets all; 0: none is.")
    breaker_failures: int = row(
        "5", INTEGER, live=True, minimum="1", maximum="1000000", test=ASKED,
        meaning="Failures in a row after which one of them is left alone, and an alarm is raised.")
    breaker_pause: float = row(
        "10s", DURATION, live=True, minimum="10ms", maximum="1h", test=ASKED,
        meaning="Time that it is left alone; then one client is tried.")
    hash_threads: int = row(
        "2", INTEGER, live=True, minimum="1", maximum="64", test=ASKED,
        meaning="Passwords that are hashed at the same time, each in a thread and in up to 19 MB of memory (Argon2id as new "
                "passwords have it).")
    file: FileSection = FileSection()
    clientid: ClientidSection = ClientidSection()
    sqlite: SqliteSection = SqliteSection()
    http: HttpSection = HttpSection()
    python: PythonSection = PythonSection()
    scram: ScramSection = ScramSection()
    backoff: BackoffSection = BackoffSection()
