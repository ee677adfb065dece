"""BrokerService: the broker as a service, for `twistd` and for other Twisted applications."""
import time
from collections.abc import Callable
from secrets import token_hex
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from emqtwist.app.methods import methods_of
from emqtwist.app.settings import settings_of
from emqtwist.config import Config, TcpListener, apply_live, validate
from emqtwist.core.broker import Broker
from emqtwist.core.callback import Callback
from emqtwist.core.link import Turn
from emqtwist.core.message import NEVER, Message
from emqtwist.mqtt.properties import Properties, forwarded_properties
from emqtwist.net.listeners import Listener
from emqtwist.net.protocol import MQTTFactory
from emqtwist.net.turns import Turns
from emqtwist.services.events import LogObserver
from emqtwist.services.periodic import Periodic

TICK = 1.0  # seconds between looks at what fell due


class BrokerService(MultiService):
    """A broker with its listeners; several in one process do not know of each other.

    `config` is a `Config`, by default one that listens at 127.0.0.1:1883. `reactor` defaults to the global one; `now` gives
    monotonic seconds. Raises ConfigError for what a file could not say either; starting raises CannotListenError when a
    port cannot be had. Everything is to be called in the reactor's thread.
    """

    log = Logger()

    def __init__(self, config: Config | None = None, reactor: Any = None, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        if reactor is None:
            from twisted.internet import reactor  # only now: importing it installs one
        self.config = config or Config()
        validate(self.config)
        self.reactor = reactor
        self.broker = Broker(settings_of(self.config), self._token, Turn(now()), LogObserver())
        self.broker.methods = methods_of(self.config)
        self.turns = Turns(self.broker, reactor, now)
        Periodic("ticker", TICK, self._tick, reactor).setServiceParent(self)
        self.listeners = {section.name: self._listener(section) for section in self.config.listener.tcp}

    def bind(self) -> None:
        """Take all ports now, before the service starts; raises CannotListenError."""
        for listener in self.listeners.values():
            listener.bind()

    def port(self, listener: str = "default") -> int:
        """The port in use by a listener; KeyError when there is none of this name."""
        return self.listeners[listener].port

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False, expiry: float = NEVER,
                properties: Properties | None = None) -> int:
        """Publish a message; how many subscribers it reaches at once or later.

        `expiry` in seconds. Of `properties` those are forwarded that the standard forwards: payload format, content type,
        response topic, correlation data, user properties. Raises TopicNameInvalid or MalformedPacket for a bad topic.
        """
        self.turns.begin()
        forwarded = b"" if properties is None else forwarded_properties(properties)
        return self.broker.publish(self.broker.local_message(topic, payload, qos, retain, forwarded, expiry))

    def subscribe(self, topic_filter: str, function: Callable[[Message], object]) -> Callback:
        """Call `function(message)` for each message that matches, retained ones first.

        `message.topic_name`, `.payload`, `.qos`, `.retain`. What the function raises is logged. Raises TopicFilterInvalid
        or MalformedPacket for a bad filter, QuotaExceeded for an exclusive one that another has. Pass what this gives to
        `unsubscribe`.
        """
        self.turns.begin()
        return self.broker.subscribe(topic_filter, function, 2)

    def unsubscribe(self, callback: Callback) -> bool:
        """Whether the callback was still subscribed."""
        return self.broker.unsubscribe(callback)

    def reconfigure(self, config: Config) -> None:
        """Use the live keys of `config`; `config.live_changes` tells which keys wait for a restart.

        Reads the files again that it names. Raises ConfigError for a bad one, and then nothing has changed.
        """
        changed = apply_live(self.config, config)
        self.broker.methods = methods_of(changed)
        self.turns.begin()
        self.config = changed
        self.broker.configure(settings_of(self.config))
        for listener in self.listeners.values():
            listener.factory.max_unsent = self.config.mqtt.client.max_unsent

    async def _stop(self, stopped: Deferred[None]) -> None:
        await stopped
        self.turns.begin()
        self.broker.shut_down()
        self.turns.flush()
        await gatherResults([listener.factory.when_empty() for listener in self.listeners.values()])

    def stopService(self) -> Deferred[None]:
        """Stop listening, tell every client, wait until what was sent is on its way; bounded."""
        return Deferred.fromCoroutine(self._stop(super().stopService()))

    def _listener(self, section: TcpListener) -> Listener:
        factory = MQTTFactory(self.turns, self.reactor, section.nodelay, self.config.mqtt.client.max_unsent)
        listener = Listener(section, factory, self.reactor)
        listener.setServiceParent(self)
        return listener

    def _tick(self) -> None:
        self.turns.begin()
        self.broker.tick()

    def _token(self) -> str:
        return token_hex(8)
