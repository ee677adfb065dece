"""From the configuration to those who are asked what clients may do."""
from collections.abc import Callable
from typing import Any, Final

from emqtwist.access.authorization import RULES, Authorization
from emqtwist.app.authentication import object_of
from emqtwist.config import Config
from emqtwist.interfaces import IAuthorizer

Make = Callable[[Config, Any], Any]


class Authorizers:
    """Those of a configuration; ConfigError where that is not good."""

    def __init__(self, config: Config, authorization: Authorization, reactor: Any) -> None:
        self._config = config
        self._authorization = authorization
        self._made = [authorization.authorizer(name, each, config.acl) for name, each in made(config, reactor).items()]

    def apply(self) -> None:
        """Have these asked from now on."""
        self._authorization.configure(self._config.acl, self._made)


def made(config: Config, reactor: Any) -> dict[str, Any]:
    """All that are named in `acl.order`, by name."""
    return {name: MAKERS[name](config, reactor) for name in config.acl.order if name != RULES}


def check(config: Config) -> None:
    """Make them as for a start; ConfigError where that is not possible."""
    for each in made(config, None).values():
        each.close()


def _http(config: Config, reactor: Any) -> Any:
    from emqtwist.access.http import HttpAuthorizer  # only now: few need it
    return HttpAuthorizer(config.auth.http, reactor)


def _python(config: Config, reactor: Any) -> Any:
    return object_of("acl.python", config.acl.python.object, IAuthorizer)


MAKERS: Final[dict[str, Make]] = {"http": _http, "python": _python}
