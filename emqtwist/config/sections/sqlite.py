"""[auth.sqlite]: a data base that is asked who a client is, and what it may do."""
import re
from dataclasses import dataclass
from typing import Final

from emqtwist.config.rows import row
from emqtwist.config.values import TEXT, Text, Unit

SQLITE: Final = "tests/adapters/access/test_sqlite.py"
RULES: Final = "tests/adapters/access/test_sqlite_acl.py"
PLACEHOLDER: Final = re.compile(r"'%([ucaP])'")
STRAY: Final = re.compile(r"%[ucaP](?!\w)")
FORM: Final = r"(?:md5|sha|sha256)"
SCHEME: Final = Text("any, plain, md5, sha, sha256, each of the last three with `salt,` before it or `,salt` behind it, "
                     "salt,bcrypt or pbkdf2,MAC,ITERATIONS,LENGTH",
                     rf"any|plain|{FORM}|salt,{FORM}|{FORM},salt|salt,bcrypt|pbkdf2,[a-z0-9]+,[1-9]\d{{0,7}},[1-9]\d{{0,2}}")


class Query(Unit[str]):
    """A statement that gives rows, with placeholders in quotes, as emqttd's: each stands for a value that is bound."""

    name = "SQL"

    def __init__(self, placeholders: str, optional: bool = False) -> None:
        self._placeholders = set(placeholders)
        self._optional = optional
        self.form = "SQL with one of " + ", ".join([f"'%{mark}'" for mark in placeholders]) + " in it"

    def read(self, text: str) -> str:
        if not self.holds(text):
            raise ValueError(f"not {self.form}, each of them alone in its quotes")
        return text

    def holds(self, value: object) -> bool:
        if not isinstance(value, str):
            return False
        if not value:
            return self._optional
        used = set(PLACEHOLDER.findall(value))
        return bool(used) and used <= self._placeholders and STRAY.search(PLACEHOLDER.sub("", value)) is None


@dataclass(frozen=True, kw_only=True)
class SqliteSection:
    """A data base in a file of SQLite: `sqlite` in `auth.order`, and in `acl.order`."""

    path: str = row(
        "", TEXT, live=True, test=SQLITE,
        meaning="File of the data base, which is only read. A relative path starts at the folder of broker.ini.")
    auth_query: str = row(
        "select password from mqtt_user where username = '%u' limit 1", Query("ucaP"), live=True, test=SQLITE,
        meaning="What gives a row for a client that is known, with a column `password`, and `salt` where the scheme has one. "
                "`'%u'` is the User Name, `'%c'` the Client Identifier, `'%a'` the address, `'%P'` the password.")
    password_hash: str = row(
        "any", SCHEME, live=True, test=SQLITE,
        meaning="How passwords are kept: one of emqttd's schemes, or `any`, where each says so itself, as [in a "
                "file](guide.md#passwords).")
    super_query: str = row(
        "select is_superuser from mqtt_user where username = '%u' limit 1", Query("ucaP", optional=True), live=True, test=SQLITE,
        meaning="What says of a client that gets in whether it is a superuser: a row whose first column is 1. Empty: nobody is.")
    acl_query: str = row(
        "select allow, ipaddr, username, clientid, access, topic from mqtt_acl where ipaddr = '%a' or username = '%u' or "
        "username = '$all' or clientid = '%c'", Query("uca"), live=True, test=RULES,
        meaning="What gives the rules about a client, each a row with these columns: `sqlite` in `acl.order`. [The last one that "
                "decides](guide.md#rules-in-a-data-base) is the answer.")
