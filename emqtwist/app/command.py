"""The `twistd` command `emqtt`: its options, and the process that it runs."""
import atexit
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

from twisted.application.service import IServiceCollection, MultiService
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorCore, IReactorFromThreads, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError

from emqtwist.app import authentication, authorization
from emqtwist.app.control import Control
from emqtwist.app.credentials import loaded_of
from emqtwist.app.methods import located, methods_of
from emqtwist.app.plugins import find, names_of
from emqtwist.app.rules import acl_of, note_mistakes
from emqtwist.app.secured import link_files_of
from emqtwist.app.service import BrokerService
from emqtwist.app.store import guarantees, probe
from emqtwist.config import Address, Config, ConfigError, ListenerSection, TcpListener, live_changes, load
from emqtwist.net.socketfile import Taken
from emqtwist.services.collector import Collector
from emqtwist.services.logs import LogWriter, install
from emqtwist.services.supervisor import Child
from emqtwist.storage import folder
from emqtwist.storage.errors import StoreError


class Options(UsageOptions):
    """Command line of `twistd emqtt`; after parsing, `self.configuration` is the Config."""

    synopsis = "[--config broker.ini] [--port PORT] [--check]"
    longdesc = "An MQTT 3.1, 3.1.1 and 5.0 broker. Without --config it listens at 127.0.0.1:1883."
    optParameters = [
        ["config", "c", None, "Configuration file."],
        ["port", "p", None, "Listen at 127.0.0.1 with this port only, whatever the configuration says.", int],
    ]
    optFlags = [["check", None, "Check the configuration, say what is wrong with it, and exit."]]

    configuration: Config

    def postOptions(self) -> None:
        """Load the configuration; a bad one ends the process with all its mistakes and status 1."""
        if self["port"] is not None and not 0 <= self["port"] <= 65535:
            raise UsageError(f"--port {self['port']}: a port is a number from 0 to 65535")
        if self["config"]:
            self["config"] = os.path.abspath(self["config"])  # a daemon changes its folder before it reloads
        try:
            self.configuration = self.load()
            acl_of(self.configuration)
            methods_of(self.configuration)  # now, so that a bad file is told as all else is
            loaded_of(self.configuration)
            link_files_of(self.configuration)
            authentication.check(self.configuration)
            authorization.check(self.configuration)
            for name in names_of(self.configuration):
                find(name)
        except ConfigError as error:
            raise SystemExit(str(error)) from None
        if self["check"]:
            print(f"{self['config'] or 'the default configuration'} is good")
            raise SystemExit(0)

    def load(self) -> Config:
        """The configuration as the file is now, with the options that go before it."""
        config = self.located(load(self["config"])) if self["config"] else Config()
        if config.store.type == "auto":
            config = replace(config, store=replace(config.store, type="sqlite"))
        if self["port"] is None:
            return config
        listener = TcpListener(name="default", bind=Address("127.0.0.1", self["port"]))
        return replace(config, listener=ListenerSection(tcp=(listener,)))

    def located(self, config: Config) -> Config:
        """`config` with its relative paths made absolute, from the folder of the configuration file."""
        return located(config, os.path.dirname(self["config"])) if self["config"] else config


class BrokerProcess(MultiService):
    """A process of its own for one broker: its log, its signals, its garbage collector, its ports taken before all else."""

    log = Logger()

    def __init__(self, options: Options) -> None:
        super().__init__()
        from twisted.internet import reactor  # only now: importing it installs one
        self.options = options
        self.reactor = reactor
        self.broker = BrokerService(options.configuration, reactor)
        self.broker.setServiceParent(self)
        self.broker.root.add(Child("collector", lambda: Collector(cast(IReactorTime, reactor))), first=True)
        self._writer: LogWriter | None = None
        self.control = Control(self.broker, self.broker.root, self.apply, self.logs, reactor)

    def setServiceParent(self, parent: IServiceCollection) -> None:
        """twistd gives the application: from here on it logs as the configuration says."""
        super().setServiceParent(parent)
        config = self.options.configuration
        try:
            self._writer = install(parent, config.log, self.options.parent or {}, cast(IReactorFromThreads, self.reactor),
                                   config.node.name)
        except OSError as error:
            raise SystemExit(f"the log file cannot be opened: {error}") from None
        self._note_levels()

    def _note_levels(self) -> None:
        """What its own log would leave out the broker need not say."""
        if self._writer is not None:
            self.broker.events.debugging = self._writer.takes_debugging(self.broker.events.log.namespace)

    def startService(self) -> None:
        super().startService()
        reactor = cast(IReactorFromThreads, self.reactor)
        signal.signal(signal.SIGHUP, lambda number, frame: reactor.callFromThread(self.reload))
        self.broker.when_ready().addCallbacks(self._ready, self._failed)
        self.broker.ended.addErrback(self._failed)

    def stopService(self) -> Deferred[None]:
        self.control.close()
        return cast(Deferred[None], super().stopService())

    def _ready(self, _: object) -> None:
        config = self.options.configuration
        self.log.info("{node} keeps messages in {guarantees}", node=config.node.name, guarantees=guarantees(config))
        for section in (*config.listener.tcp[:1], *config.listener.unix[:1])[:1]:
            listener = self.broker.listeners[section.label]
            where = f"-p {listener.port}" if section.kind == "tcp" else f"--unix {listener.address}"
            self.log.info("try: mosquitto_sub {where} -t 'hello/#' -v & mosquitto_pub {where} -t hello/world -m hi", where=where)

    def _failed(self, failure: Failure) -> None:
        """The log has said why. twistd knows no other way to a status."""
        atexit.register(os._exit, 1)
        cast(IReactorCore, self.reactor).stop()

    def hand_over(self) -> None:
        """With --uid and --gid, twistd becomes another user when the ports are taken: what lies on disk is for that user."""
        parent: Mapping[str, int | None] = self.options.parent or {}
        user, group = parent.get("uid"), parent.get("gid")
        if self.broker.keeper is not None:
            folder.give(Path(self.options.configuration.node.data_dir), user, group)
        for listener in self.broker.listeners.values():
            listener.give(user, group)

    def apply(self, config: Config) -> None:
        """Use the live keys of `config`; ConfigError when something that it names is bad, and then nothing has changed."""
        self.broker.reconfigure(self.options.located(config))
        if self._writer is not None:
            self._writer.set_levels(self.broker.config.log)
            self._note_levels()

    def logs(self) -> bool:
        """Whether it writes the log: twistd's --logger may do that instead."""
        return self._writer is not None

    def reload(self) -> None:
        """Read the configuration again and apply what is live; a bad one changes nothing."""
        try:
            config = self.options.load()
            live, restart = live_changes(self.broker.config, config)
            self.apply(config)
        except ConfigError as error:
            self.log.error("the configuration is not reloaded: {problems}", problems=str(error))
            self.broker.turns.begin()
            note_mistakes(error, self.broker.broker.alarms)
            return
        self.log.info("configuration reloaded, changed: {live}", live=", ".join(live) or "nothing")
        if restart:
            self.log.warn("these keys need a restart: {restart}", restart=", ".join(restart))


def makeService(options: Options) -> BrokerProcess:
    """What twistd runs. Ends the process with one line and status 1 when a port or the store cannot be had."""
    process = BrokerProcess(options)
    try:
        process.broker.bind()
        process.broker.take_folder()
        probe(options.configuration)
        process.hand_over()
        process.control.prepare()
    except StoreError as error:
        print(f"emqtwist cannot use {options.configuration.node.data_dir}: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except Taken as error:
        print(f"emqtwist cannot take commands: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except CannotListenError as error:
        print(f"emqtwist cannot listen at {error.interface}:{error.port}: {error.socketError.strerror}", file=sys.stderr)
        raise SystemExit(1) from None
    return process
