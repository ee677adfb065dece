"""From the configuration to those who are asked who a client is."""
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from secrets import token_bytes
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, fail

from emqtwist.access.control import AccessControl
from emqtwist.access.stage import Stage, verify
from emqtwist.config import Config, ConfigError, Problem
from emqtwist.config.sections.auth import AuthSection
from emqtwist.config.sections.pooler import PoolerSection
from emqtwist.core.access import Client, Finding, Ignore
from emqtwist.core.users import Users
from emqtwist.interfaces import IAuthenticator
from emqtwist.services.pooler import Abandoned, Pool, Refused

if TYPE_CHECKING:
    from emqtwist.access.database import Pooling
    from emqtwist.access.hashes import Hash
    from emqtwist.access.passwords import Hashing

HASHING: Final = {"users", "file", "clientid", "sqlite"}  # those whose answer may take as long as a hash
LINE: Final = 4  # clients for each thread that hashes: the others wait before they are asked about, where they can be refused


@dataclass(frozen=True)
class Means:
    """What authenticators are made of, beside the configuration."""

    users: Users
    hashing: "Hashing"
    pooling: "Pooling"
    reactor: Any


Make = Callable[[AuthSection, Means], Any]


def hashing_section(config: Config) -> PoolerSection:
    """Threads for passwords: apart from the others, so that neither has to wait for the other's work."""
    return PoolerSection(size=config.auth.hash_threads, max_waiting=config.auth.max_waiting)


class Authentication:
    """What a configuration says of authentication, with all of its files read; ConfigError where that is not good."""

    def __init__(self, config: Config, control: AccessControl, hashing: Pool, pool: Pool, users: Users) -> None:
        self._config = config
        self._control = control
        self._hashing = hashing
        made = authenticators_of(config, Means(users, hashing.submit, pool.submit, control.clock))
        places = LINE * config.auth.hash_threads
        self._stages = [control.stage(name, each, config.auth, places if name in HASHING else None)
                        for name, each in made.items()]
        self._decoy: Stage | None = None
        if any(_hashes(name, config.auth) for name in made):
            known = _nobodys()
            self._decoy = None if known is None else control.stage("decoy", Decoy(known, hashing), config.auth, places)

    def apply(self) -> None:
        """Go by it from now on."""
        self._hashing.configure(hashing_section(self._config))
        orders = {each.label: each.authenticators for each in self._config.listener.all() if each.authenticators is not None}
        self._control.configure(self._config.auth, self._stages, orders, self._decoy)


def authenticators_of(config: Config, means: Means) -> Mapping[str, Any]:
    """All that are named anywhere, by name."""
    names = dict.fromkeys(config.auth.order)
    for listener in config.listener.all():
        names |= dict.fromkeys(listener.authenticators or ())
    return {name: MAKERS[name](config.auth, means) for name in names}


def _hashes(name: str, section: AuthSection) -> bool:
    """Whether a wrong password takes as long with this one as a hash, where it is the newest form of one."""
    return name in HASHING and (name != "sqlite" or section.sqlite.password_hash == "any")


def check(config: Config) -> None:
    """Make them as for a start; ConfigError where that is not possible."""
    for each in authenticators_of(config, Means(Users(None), not_now, not_now, None)).values():
        each.close()


def not_now(function: Callable[..., object], *arguments: object) -> "Deferred[Any]":
    return fail(Abandoned("nobody is asked while a configuration is checked"))


def _users(section: AuthSection, means: Means) -> Any:
    from emqtwist.access.kept import Kept  # only now, as for all: few need it
    from emqtwist.access.passwords import Passwords, user_name
    kept = Kept(means.users)
    return Passwords(user_name, kept.find, kept, means.hashing)


def _file(section: AuthSection, means: Means) -> Any:
    from emqtwist.access.passwords import Passwords, read_passwords, user_name
    return Passwords(user_name, read_passwords(section.file.path).get, section.file.superusers, means.hashing)


def _clientid(section: AuthSection, means: Means) -> Any:
    from emqtwist.access.passwords import Passwords, client_id, read_passwords
    return Passwords(client_id, read_passwords(section.clientid.path).get, (), means.hashing)


def _http(section: AuthSection, means: Means) -> Any:
    from emqtwist.access.http import Http
    return Http(section.http, means.reactor)


def _sqlite(section: AuthSection, means: Means) -> Any:
    from emqtwist.access.database import Database
    from emqtwist.access.sqlite import Sqlite
    try:
        return Sqlite(section.sqlite, Database(section.sqlite.path, means.pooling, section.timeout), means.hashing)
    except ValueError as error:
        raise ConfigError([Problem(str(error), section="auth.sqlite", key="password_hash")]) from None


def _python(section: AuthSection, means: Means) -> Any:
    """The object itself, or one that the class makes."""
    return object_of("auth.python", section.python.object, IAuthenticator)


def object_of(section: str, place: str, interface: Any) -> Any:
    """What a `module:object` is, or makes."""
    module, _, name = place.partition(":")
    try:
        found = getattr(import_module(module), name)
        made = found if interface.providedBy(found) else found()
        verify(made, interface)
    except Exception as error:
        raise ConfigError([Problem(f"cannot be used: {error!r}", section=section, key="object")]) from error
    return made


MAKERS: Final[dict[str, Make]] = {"users": _users, "file": _file, "clientid": _clientid, "sqlite": _sqlite, "http": _http,
                                  "python": _python}


def _nobodys() -> "Hash | None":
    """What is kept of a password that nobody has; None where there is no Argon2id."""
    from emqtwist.access.hashes import make, parse
    try:
        return parse(make(token_bytes(16), token_bytes(16)))
    except ValueError:
        return None


class Decoy:
    """Knows nobody, which takes as long as to find out that a password is wrong."""

    def __init__(self, known: "Hash", hashing: Pool) -> None:
        self._known = known
        self._hashing = hashing

    async def authenticate(self, client: Client, password: bytes | None) -> Finding:
        try:
            await self._hashing.submit(self._known.fits, b"")
        except (Refused, Abandoned):
            pass  # there is enough that takes time
        return Ignore()

    def close(self) -> None:
        """Holds nothing."""
