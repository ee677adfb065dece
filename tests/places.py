"""A broker as a service, on a reactor and in threads that the test moves."""
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.testing import MemoryReactorClock
from zope.interface import implementer

from emqtwist import BrokerService
from emqtwist.config import parse
from emqtwist.mqtt.constants import MQTT_5_0
from emqtwist.mqtt.packets import Connack, Connect
from emqtwist.services import pooler
from tests.threads import HeldThreads
from tests.wires import Caller


@implementer(IReactorFromThreads)
class Reactor(MemoryReactorClock):
    """It can be called from threads."""

    def callFromThread(self, callable: Callable[..., object], *arguments: Any, **named: Any) -> None:
        self.callLater(0, callable, *arguments, **named)


class Place:
    """A started service; each line of configuration is `section.key = value`. `threads` are those of its pools."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
        self.threads: list[HeldThreads] = []
        monkeypatch.setattr(pooler, "_Daemons", self._threads)
        self.reactor = Reactor()
        self.service = BrokerService(parse("\n".join(lines)), self.reactor, self.reactor.seconds)
        self.service.startService()
        self.reactor.advance(0)

    def _threads(self, size: int) -> HeldThreads:
        self.threads.append(HeldThreads(size))
        return self.threads[-1]

    def reload(self, *lines: str) -> None:
        self.service.reconfigure(parse("\n".join(lines)))

    def run(self) -> None:
        """Let threads do what they have to, and the reactor go round."""
        for _ in range(3):
            for threads in self.threads:
                threads.run_all()
            self.reactor.advance(0)

    def knock(self, client_id: str = "c", user_name: str | None = None, password: bytes | None = None,
              host: str = "127.0.0.1", version: int = MQTT_5_0) -> Caller:
        """A client that has sent CONNECT."""
        caller = Caller(self.service.listeners["default"].factory, self.reactor, host, version)
        caller.send(Connect(version, client_id, True, user_name=user_name, password=password))
        return caller

    def enter(self, *who: Any, **where: Any) -> int:
        """The reason code that a client gets which knocks, in the end."""
        caller = self.knock(*who, **where)
        self.run()
        return caller.one(Connack).reason_code
