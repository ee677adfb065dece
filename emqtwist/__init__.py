"""emqtwist: an MQTT broker on Twisted, as a server, as a library and as a fixture.

    from emqtwist import BrokerService, Config

These are loaded when first used: `emqtwist.mqtt` and `emqtwist.core` need nothing but the standard library.
"""
from typing import TYPE_CHECKING

from emqtwist._version import __version__

if TYPE_CHECKING:
    from emqtwist.app import BrokerService, makeService
    from emqtwist.config import Config

__all__ = ["BrokerService", "Config", "__version__", "makeService"]


def __getattr__(name: str) -> object:
    if name in ("BrokerService", "makeService"):
        from emqtwist import app
        return getattr(app, name)
    if name == "Config":
        from emqtwist.config import Config
        return Config
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
