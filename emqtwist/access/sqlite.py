"""What a data base of SQLite says, as to emqttd's plug-ins for SQL: who a client is, and what it may do."""
from typing import Final

from zope.interface import implementer

from emqtwist.access import hashes
from emqtwist.access.aclrows import rules_of
from emqtwist.access.authorizers import ALLOW, DENY, IGNORE
from emqtwist.access.database import Database, Query, Row, Values, text_of, values_of
from emqtwist.access.hashes import Hash
from emqtwist.access.passwords import NO_NAME, NO_PASSWORD, UNKNOWN, WRONG, Hashing
from emqtwist.access.stage import Unreachable
from emqtwist.config.sections.sqlite import SqliteSection
from emqtwist.core.access import Client, Deny, Finding, Ignore, Ok, Verdict
from emqtwist.core.acl import PUBLISH, SUBSCRIBE, Acl
from emqtwist.core.who import asker
from emqtwist.interfaces import IAuthenticator, IAuthorizer

ANY: Final = "any"
ACCESS: Final = {"publish": PUBLISH, "subscribe": SUBSCRIBE}
MOST_ROWS: Final = 1000  # about one client


@implementer(IAuthenticator)
class Sqlite:
    """Knows who `section.auth_query` gives a row for."""

    def __init__(self, section: SqliteSection, database: Database, hashing: Hashing) -> None:
        self._database = database
        self._hashing = hashing
        self._scheme = section.password_hash
        self._auth = Query(section.auth_query)
        self._super = Query(section.super_query) if section.super_query else None
        if self._scheme != ANY:
            hashes.check_scheme(self._scheme)

    async def authenticate(self, client: Client, password: bytes | None) -> Finding:
        if "u" in self._auth.needs and client.user_name is None:
            return Ignore(NO_NAME)
        try:
            values = {**values_of(client), "P": None if password is None else password.decode()}
        except UnicodeDecodeError:
            return Deny("the password is not UTF-8")
        row = await self._database.first(self._auth, values)
        if row is None:
            return Ignore(UNKNOWN)
        if password is None:
            return Deny(NO_PASSWORD)
        try:
            known = self._hash(row)
        except ValueError as error:
            return Deny(f"what is kept of its password is no hash: {error}")
        right = await self._hashing(known.fits, password) if known.slow else known.fits(password)
        if not right:
            return Deny(WRONG)
        return Ok(await self._is_superuser(values))

    def close(self) -> None:
        self._database.close()

    def _hash(self, row: Row) -> Hash:
        """ValueError when it is none, which shows nothing of it."""
        if "password" not in row:
            raise Unreachable("auth_query gives no column password")
        text = text_of(row["password"])
        if self._scheme == ANY:
            return hashes.parse(text)
        if "salt" not in row and hashes.is_salted(self._scheme):
            raise Unreachable("auth_query gives no column salt")
        return hashes.of_emqttd(self._scheme, text_of(row.get("salt", b"")), text)

    async def _is_superuser(self, values: Values) -> bool:
        if self._super is None:
            return False
        row = await self._database.first(self._super, values)
        return row is not None and next(iter(row.values())) in (1, b"1")


@implementer(IAuthorizer)
class SqliteAuthorizer:
    """What a client may do, by the rows that `section.acl_query` gives for it, each of them a rule."""

    def __init__(self, section: SqliteSection, database: Database) -> None:
        self._database = database
        self._query = Query(section.acl_query)

    async def authorize(self, client: Client, action: str, topic: str) -> Verdict:
        rows = await self._database.all(self._query, values_of(client), MOST_ROWS)
        try:
            rules = rules_of(rows)
        except KeyError as error:
            raise Unreachable(f"acl_query gives no column {error.args[0]}") from None
        except ValueError as error:
            return Verdict(DENY, str(error))
        acl = Acl(rules, False)
        rule = acl.decide(asker(client), ACCESS[action], topic.encode())
        if rule is acl.otherwise:
            return Verdict(IGNORE)
        return Verdict(ALLOW if rule.allow else DENY, f"{rule.place}: {rule.text}")

    def close(self) -> None:
        self._database.close()
