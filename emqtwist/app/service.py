"""BrokerService: the broker as a service, for `twistd` and for other Twisted applications."""
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, TimeoutError, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure

from emqtwist.app.authentication import Authentication
from emqtwist.app.authorization import Authorizers
from emqtwist.app.credentials import loaded_of
from emqtwist.app.doors import configure
from emqtwist.app.foundation import Foundation
from emqtwist.app.methods import methods_of
from emqtwist.app.plugins import Plugins, names_of
from emqtwist.app.rules import read_again
from emqtwist.app.secured import link_files_of
from emqtwist.app.settings import settings_of
from emqtwist.app.tree import tree
from emqtwist.config import Config, apply_live
from emqtwist.core.callback import Callback
from emqtwist.core.hooks import Hooks
from emqtwist.core.message import NEVER, Message
from emqtwist.core.ruling import use_rules
from emqtwist.ctl.commands import all_commands
from emqtwist.mqtt.properties import Properties, forwarded_properties
from emqtwist.services.hooking import Asker
from emqtwist.services.keeper import Keeper
from emqtwist.storage import folder

LAST_COMMIT = 10.0  # seconds that the store has at the end for what it was given
LAST_ATTEMPT = 2.0  # the same for one that could not commit before


class BrokerService(Foundation, MultiService):
    """A broker with its listeners; several in one process do not know of each other.

    `config` is a `Config`, by default one that listens at 127.0.0.1:1883. `reactor` defaults to the global one; `now` gives
    monotonic seconds. Raises ConfigError for what a file could not say either; starting raises CannotListenError when a
    port cannot be had. Everything is to be called in the reactor's thread.
    """

    log = Logger()

    def __init__(self, config: Config | None = None, reactor: Any = None, now: Callable[[], float] = time.monotonic) -> None:
        if reactor is None:
            from twisted.internet import reactor  # only now: importing it installs one
        MultiService.__init__(self)
        Foundation.__init__(self, config or Config(), reactor, now)
        self.root = tree(self)
        self.commands = all_commands()
        self.plugins: Plugins[BrokerService] = Plugins(self)
        self.plugins.load_installed(names_of(self.config))
        self._folder: int | None = None  # a descriptor that keeps the data folder for this broker
        self._is_ready = False
        self._failure: Failure | None = None
        self._waiting: list[Deferred[None]] = []

    @property
    def hooks(self) -> Hooks:
        """Where functions are added that the broker calls: see docs/hooks.md."""
        return self.broker.hooks

    def add_waiting_hook(self, name: str, function: Callable[..., Awaitable[object]], priority: int = 0, tag: str = "") -> bool:
        """`hooks.add` for a coroutine function, or one that gives a Deferred: the client waits, and all others go on.

        Whether it was not there yet; ValueError when there is no such hook, or none where a function may wait.
        `hooks.delete` takes it away.
        """
        return self.hooks.add(name, function, priority, tag, Asker(function, self._hook_patience, self.reactor).ask)

    def register_auth_mod(self, name: str, authenticator: object, seq: int = 0) -> bool:
        """Have an `emqtwist.interfaces.IAuthenticator` asked about the clients of every listener, beside those of `auth.order`.

        Higher `seq` are asked first, of equals the one registered last; those of `auth.order` have 0, and come behind others
        that have it. False when there is one of this name; ValueError when it provides no IAuthenticator.
        """
        return self.access.register(name, authenticator, seq)

    def unregister_auth_mod(self, name: str) -> bool:
        """Whether it was there."""
        return self.access.unregister(name)

    def register_acl_mod(self, name: str, authorizer: object, seq: int = 0) -> bool:
        """Have an `emqtwist.interfaces.IAuthorizer` asked what clients may do, beside those of `acl.order`.

        Higher `seq` are asked first, of equals the one registered last; those of `acl.order`, the rules among them, have 0, and
        come behind others that have it. False when there is one of this name; ValueError when it provides no IAuthorizer.
        What clients were allowed is asked about anew.
        """
        registered = self.authorization.register(name, authorizer, seq)
        if registered:
            self._relegislate()
        return registered

    def unregister_acl_mod(self, name: str) -> bool:
        """Whether it was there."""
        found = self.authorization.unregister(name)
        if found:
            self._relegislate()
        return found

    def _relegislate(self) -> None:
        self.turns.begin()
        use_rules(self.broker, self.law())

    def _hook_patience(self) -> float:
        return self.config.node.hook_timeout

    @property
    def keeper(self) -> Keeper | None:
        """What carries messages into the store, where there is one."""
        return None if self.store is None else cast(Keeper, self.root.find("keeper").service)

    @property
    def ended(self) -> "Deferred[None]":
        """Fails with Exhausted when the broker gives up: its parts died too often. It has let all clients go then."""
        return self.root.ended

    @property
    def state(self) -> str:
        """`started`, `starting` or `stopping`, as emqttd calls it."""
        if not self.running:
            return "stopping"
        return "started" if self._is_ready else "starting"

    def take_folder(self) -> None:
        """Take the data folder now, before the service starts; raises StoreError. Nothing to do without a store."""
        if self.store is not None and self._folder is None:
            self._folder = folder.take(Path(self.config.node.data_dir).absolute())

    def privilegedStartService(self) -> None:
        super().privilegedStartService()
        self.root.privilegedStartService()

    def startService(self) -> None:
        """Clients are served once all parts have started: see `when_ready`."""
        self._failure = None
        self.take_folder()
        self.pool.closed = self.hashing.closed = False
        self.bind()
        super().startService()
        self.root.startService().addCallbacks(self._opened, self._not_opened)
        self.root.ended.addErrback(self._gave_up)

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
        if self.root.running:
            self._is_ready = True
            self._tell_ready(None)

    def _not_opened(self, failure: Failure) -> None:
        self._failure = failure
        self.log.critical("the broker cannot start: {reason}", reason=failure.getErrorMessage())
        self._tell_ready(failure)

    def _tell_ready(self, result: Failure | None) -> None:
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.callback(result)

    def _gave_up(self, failure: Failure) -> Failure:
        """Clients are told; what was not stored was acknowledged to nobody."""
        self._is_ready = False
        self._dismiss()
        return failure

    def _dismiss(self) -> None:
        self.turns.begin()
        self.broker.shut_down()
        self.turns.flush()

    def bind(self) -> None:
        """Take all ports now, before the service starts; raises CannotListenError."""
        for listener in self.listeners.values():
            listener.bind()
        if self.node is not None:
            self.node.bind()

    def port(self, listener: str = "default") -> int:
        """The port in use by a listener, `default` of TCP or `unix.default` of another type; KeyError when there is none."""
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
        methods, loaded, link_files = methods_of(changed), loaded_of(changed), link_files_of(changed)
        authentication = Authentication(changed, self.access, self.hashing, self.pool, self.broker.users)
        authorizers = Authorizers(changed, self.authorization, self.pool, self.reactor)
        self.turns.begin()
        self.rules = read_again(changed, self.broker.alarms)
        self.broker.methods = methods
        self.config = changed
        authorizers.apply()
        use_rules(self.broker, self.law())
        authentication.apply()
        self.broker.configure(settings_of(self.config))
        self.systopics.section = self.config.mqtt.broker
        self.modules.configure(self.config.module)
        self.pool.configure(self.config.pooler)
        self.monitor.configure(self.config.sysmon)
        self.overload.section = self.config.overload
        self.traces.section = self.config.trace
        self.certificates.section = self.config.sysmon
        for label, files in loaded.items():
            self.credentials[label].use(files)
        for label, links in link_files.items():
            self.link_credentials[label].use(links)
        for section in self.config.listener.all():
            configure(self.listeners[section.label], section, self.config)

    def reload_acl(self) -> None:
        """Read the file of access rules again. ConfigError when it is bad: the old rules hold then, and there is an alarm."""
        self.turns.begin()
        self.rules = read_again(self.config, self.broker.alarms)
        use_rules(self.broker, self.law())

    async def _stop(self, stopped: Deferred[None]) -> None:
        await stopped
        if self._is_ready:
            await self._farewell()
        if self.store is not None:
            await self.store.stop()
        await self.root.stopService()
        await gatherResults([listener.close() for listener in self.listeners.values()])
        self.plugins.unload_all()
        self.modules.close()
        self.traces.close()
        self.pool.close()
        self.hashing.close()
        self.access.close()
        self.authorization.close()
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None

    async def _farewell(self) -> None:
        """Nobody comes any more, and all are told to go; what they are still promised is stored."""
        await self.root.stop("listeners")
        for listener in self.listeners.values():
            listener.dismiss()
        await self._drain()
        self._dismiss()
        await gatherResults([listener.factory.when_empty() for listener in self.listeners.values()])
        await self.root.stop("bridges")
        if self.node is not None:
            await self.root.stop("cluster")  # what comes after that would be acknowledged and not stored
        await self._drain()
        self._is_ready = False
        if self.store is not None:
            await self.root.stop("keeper")

    async def _drain(self) -> None:
        """Wait until all is stored; what a store does not take in time is told, and was acknowledged to nobody."""
        if self._is_ready and self.keeper is not None:
            patience = LAST_ATTEMPT if self.keeper.is_failing() else LAST_COMMIT
            try:
                await self.keeper.drain().addTimeout(patience, self.reactor)
            except TimeoutError:
                self.log.error("the store did not take the last messages")

    def stopService(self) -> Deferred[None]:
        """Stop listening, tell every client, wait until what was sent is on its way; bounded."""
        return Deferred.fromCoroutine(self._stop(super().stopService()))
