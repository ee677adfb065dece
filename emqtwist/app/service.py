"""BrokerService: the broker as a service, for `twistd` and for other Twisted applications."""
import os
import time
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, TimeoutError, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure

from emqtwist.app.methods import methods_of
from emqtwist.app.plugins import Plugins, names_of
from emqtwist.app.settings import settings_of
from emqtwist.app.store import make_store
from emqtwist.config import Config, TcpListener, apply_live, validate
from emqtwist.core.broker import Broker
from emqtwist.core.callback import Callback
from emqtwist.core.hooks import Hooks
from emqtwist.core.journal import Journal
from emqtwist.core.link import Turn
from emqtwist.core.message import NEVER, Message
from emqtwist.core.observer import Observers
from emqtwist.mqtt.properties import Properties, forwarded_properties
from emqtwist.net.batching import SocketSet, can_batch
from emqtwist.net.listeners import Listener
from emqtwist.net.protocol import MQTTFactory
from emqtwist.net.turns import Turns
from emqtwist.services.events import LogObserver
from emqtwist.services.keeper import Keeper
from emqtwist.services.periodic import Periodic
from emqtwist.services.systopics import SysTopics
from emqtwist.services.watermarks import Watermarks
from emqtwist.storage import folder

TICK = 1.0  # seconds between looks at what fell due
LAST_COMMIT = 10.0  # seconds that the store has at the end for what it was given
LAST_ATTEMPT = 2.0  # the same for one that could not commit before


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
        self.observers = Observers(LogObserver())
        store = make_store(self.config, reactor)
        journal = None if store is None else Journal()
        self.broker = Broker(settings_of(self.config), self._token, Turn(now()), self.observers, journal)
        self.broker.methods = methods_of(self.config)
        self.turns = Turns(self.broker, reactor, now)
        self.keeper: Keeper | None = None
        if store is not None and journal is not None:
            self.keeper = Keeper(self.broker, journal, store, reactor, self.turns.begin, now)
        self._folder: int | None = None  # a descriptor that keeps the data folder for this broker
        self._is_ready = store is None
        self._failure: Failure | None = None
        self._waiting: list[Deferred[None]] = []
        batched = self.config.node.io == "engine" and can_batch(reactor)
        self.sockets = SocketSet(reactor, self.turns) if batched else None
        self.systopics = SysTopics(self.turns, self.config.mqtt.broker, self.config.node.name, reactor, now)
        self.observers.each += [Watermarks(self.broker.alarms), self.systopics]
        Periodic("ticker", TICK, self._tick, reactor).setServiceParent(self)
        Periodic("systopics", TICK, self._tell, reactor).setServiceParent(self)
        self.listeners = {section.name: self._listener(section) for section in self.config.listener.tcp}
        self.plugins: Plugins[BrokerService] = Plugins(self)
        self.plugins.load_installed(names_of(self.config))

    @property
    def hooks(self) -> Hooks:
        """Where functions are added that the broker calls: see docs/hooks.md."""
        return self.broker.hooks

    def take_folder(self) -> None:
        """Take the data folder now, before the service starts; raises StoreError. Nothing to do without a store."""
        if self.keeper is not None and self._folder is None:
            self._folder = folder.take(Path(self.config.node.data_dir).absolute())

    def startService(self) -> None:
        """Clients are served once the store is open: see `when_ready`."""
        self.take_folder()
        super().startService()
        if self.keeper is not None:
            self.keeper.open().addCallbacks(self._opened, self._not_opened)

    def when_ready(self) -> Deferred[None]:
        """Fires when clients are served; fails with a StoreError when the store cannot be opened."""
        waiting: Deferred[None] = Deferred()
        if self._failure is not None:
            waiting.errback(self._failure)
        elif self._is_ready:
            waiting.callback(None)
        else:
            self._waiting.append(waiting)
        return waiting

    def _opened(self, _: object) -> None:
        self._is_ready = True
        for listener in self.listeners.values():
            listener.accept()
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.callback(None)

    def _not_opened(self, failure: Failure) -> None:
        self._failure = failure
        self.log.critical("the store cannot be opened: {reason}", reason=failure.getErrorMessage())
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.errback(failure)

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
        self.systopics.section = self.config.mqtt.broker
        for listener in self.listeners.values():
            listener.factory.max_unsent = self.config.mqtt.client.max_unsent

    async def _stop(self, stopped: Deferred[None]) -> None:
        await stopped
        await self._drain()
        self.turns.begin()
        self.broker.shut_down()
        self.turns.flush()
        await gatherResults([listener.factory.when_empty() for listener in self.listeners.values()])
        if self.keeper is not None:
            await self._drain()
            await self.keeper.close()
        self.plugins.unload_all()
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None

    async def _drain(self) -> None:
        """Wait until all is stored; what a store does not take in time is told, and was acknowledged to nobody."""
        if self.keeper is not None and self._is_ready:
            patience = LAST_ATTEMPT if self.keeper.is_failing() else LAST_COMMIT
            try:
                await self.keeper.drain().addTimeout(patience, self.reactor)
            except TimeoutError:
                self.log.error("the store did not take the last messages")

    def stopService(self) -> Deferred[None]:
        """Stop listening, tell every client, wait until what was sent is on its way; bounded."""
        return Deferred.fromCoroutine(self._stop(super().stopService()))

    def _listener(self, section: TcpListener) -> Listener:
        factory = MQTTFactory(self.turns, self.reactor, section.nodelay, self.config.mqtt.client.max_unsent)
        listener = Listener(section, factory, self.reactor, self.sockets)
        if not self._is_ready:
            listener.hold_off()
        listener.setServiceParent(self)
        return listener

    def _tick(self) -> None:
        if self._is_ready:
            self.turns.begin()
            self.broker.tick()
            if self.keeper is not None:
                self.keeper.tick()

    def _tell(self) -> None:
        if self._is_ready:
            self.systopics.heartbeat()

    def _token(self) -> str:
        return token_hex(8)
