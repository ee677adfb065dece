"""From the configuration to those who are asked what clients may do."""
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from emqtwist.access.authorization import RULES, Authorization
from emqtwist.app.authentication import not_now, object_of
from emqtwist.config import Config
from emqtwist.interfaces import IAuthorizer
from emqtwist.services.pooler import Pool

if TYPE_CHECKING:
    from emqtwist.access.database import Pooling

Make = Callable[[Config, "Pooling", Any], Any]


class Authorizers:
    """Those of a configuration; ConfigError where that is not good."""

    def __init__(self, config: Config, authorization: Authorization, pool: Pool, reactor: Any) -> None:
        self._config = config
        self._authorization = authorization
        self._made = [authorization.authorizer(name, each, config.acl)
                      for name, each in made(config, pool.submit, reactor).items()]

    def apply(self) -> None:
        """Have these asked from now on."""
        self._authorization.configure(self._config.acl, self._made)


def made(config: Config, pooling: "Pooling", reactor: Any) -> dict[str, Any]:
    """All that are named in `acl.order`, by name."""
    return {name: MAKERS[name](config, pooling, reactor) for name in config.acl.order if name != RULES}


def check(config: Config) -> None:
    """Make them as for a start; ConfigError where that is not possible."""
    for each in made(config, not_now, None).values():
        each.close()


def _sqlite(config: Config, pooling: "Pooling", reactor: Any) -> Any:
    from emqtwist.access.database import Database  # only now, as for all: few need it
    from emqtwist.access.sqlite import SqliteAuthorizer
    section = config.auth.sqlite
    return SqliteAuthorizer(section, Database(section.path, pooling, config.acl.timeout))


def _http(config: Config, pooling: "Pooling", reactor: Any) -> Any:
    from emqtwist.access.http import HttpAuthorizer
    return HttpAuthorizer(config.auth.http, reactor)


def _python(config: Config, pooling: "Pooling", reactor: Any) -> Any:
    return object_of("acl.python", config.acl.python.object, IAuthorizer)


MAKERS: Final[dict[str, Make]] = {"sqlite": _sqlite, "http": _http, "python": _python}
