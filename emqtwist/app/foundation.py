"""What the parts of a broker work on: it outlives them."""
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from emqtwist.access.authorization import Authorization
from emqtwist.access.control import AccessControl
from emqtwist.app.authentication import Authentication, hashing_section
from emqtwist.app.authorization import Authorizers
from emqtwist.app.bridges import make_crossings
from emqtwist.app.cluster import Node
from emqtwist.app.credentials import loaded_of
from emqtwist.app.doors import listener_of
from emqtwist.app.methods import methods_of
from emqtwist.app.modules import make_modules
from emqtwist.app.rules import acl_of
from emqtwist.app.secured import CLUSTER, link_files_of, tls_of
from emqtwist.app.settings import settings_of
from emqtwist.app.store import make_store
from emqtwist.config import AnyListener, Config, validate
from emqtwist.core.acl import Acl
from emqtwist.core.broker import Broker
from emqtwist.core.cluster.nodes import Nodes
from emqtwist.core.journal import Journal
from emqtwist.core.link import Turn
from emqtwist.core.observer import Observers
from emqtwist.core.records import Snapshot
from emqtwist.ctl.context import Problem
from emqtwist.net.batching import SocketSet, can_batch
from emqtwist.net.crowds import Crowd
from emqtwist.net.guard import Guard
from emqtwist.net.listeners import Listener, Listeners
from emqtwist.net.tls.credentials import Credentials
from emqtwist.net.turns import Turns
from emqtwist.net.unsent import unsent
from emqtwist.services.certificates import Certificates
from emqtwist.services.decisions import Decisions
from emqtwist.services.events import LogObserver
from emqtwist.services.keeper import Keeper, Work, offset
from emqtwist.services.overload import Overload
from emqtwist.services.pooler import Pool, waiting
from emqtwist.services.slowness import Slowness
from emqtwist.services.sysmon import Monitor
from emqtwist.services.sysmon.reports import Reports
from emqtwist.services.systopics import SysTopics
from emqtwist.services.topicmetrics import TopicMetrics
from emqtwist.services.trace import Traces
from emqtwist.services.trace.watching import Watching
from emqtwist.services.watermarks import Watermarks

OVERLOADED: Final = "overload"  # why listeners hold those who connect


class Foundation:
    """`store` and `journal` are None where nothing outlives the process; `listeners` maps their names to them, `credentials` the
    names of those with TLS to what they show of themselves. `rules` are the access rules, None where there are none. `node` is
    there where this is one among others, `nodes` is what it knows of them, and `problems` gives what stands between them."""

    def __init__(self, config: Config, reactor: Any, now: Callable[[], float]) -> None:
        validate(config)
        self.config = config
        self.reactor = reactor
        self.now = now
        self.events = LogObserver()
        self.observers = Observers(self.events)
        self.store = make_store(config, reactor)
        self.journal = None if self.store is None else Journal()
        self.work = Work()
        self.broker = Broker(settings_of(config), _token, Turn(now()), self.observers, self.journal)
        self.broker.methods = methods_of(config)
        self.hashing = Pool(hashing_section(config), self.broker.metrics)
        self.access = AccessControl(config.auth, self.broker.alarms, reactor, now)
        self.broker.gatekeeper = self.access
        self.pool = Pool(config.pooler, self.broker.metrics)
        Authentication(config, self.access, self.hashing, self.pool, self.broker.users).apply()
        self.broker.users.changed = self.access.forget
        self.authorization = Authorization(config.acl, self.broker.alarms, self.broker.metrics, reactor, now)
        Authorizers(config, self.authorization, self.pool, reactor).apply()
        self.rules = acl_of(config)
        self.broker.acl = self.law()
        self.turns = Turns(self.broker, reactor, now)
        self.link_credentials = {label: Credentials(loaded) for label, loaded in link_files_of(config).items()}
        self.node = None
        if config.cluster.bind is not None:
            self.node = Node(config, self.broker, self.turns.begin, reactor, tls_of(self.link_credentials, CLUSTER))
        self._note_time()
        self.nodes: Nodes | None = None if self.node is None else self.node.nodes
        self.problems: Callable[[], Sequence[Problem]] = tuple if self.node is None else self.node.links.problems.all
        self.bridges = make_crossings(config, self.broker, self.turns, reactor, self.node, self.link_credentials)
        batched = config.node.io == "engine" and can_batch(reactor)
        self.sockets = SocketSet(reactor, self.turns) if batched else None
        self.systopics = SysTopics(self.turns, config.mqtt.broker, config.node.name, now)
        if self.node is not None:
            self.systopics.nodes = self.node.nodes.members.running
        self.decisions = Decisions(now)
        self.observers.add(Watermarks(self.broker.alarms), self.systopics, self.decisions)
        self.topic_metrics = TopicMetrics(self.broker.hooks)
        self.slowness = Slowness(self.broker, config.module.slow_subs)
        self.modules = make_modules(config.module, self.broker, self.observers, self.systopics, self.slowness, reactor)
        self.traces = Traces(self.broker, config.trace, Path(config.node.data_dir, "traces").absolute(), self.pool, reactor, now,
                             time.time)
        self.observers.add(Watching(self.traces))
        self.monitor = self._monitor()
        self.guard = Guard(self.broker)
        self.overload = Overload(config.overload, self.broker, self.turns.begin, now, self._hold)
        self.monitor.reports.beat = self.overload.beat
        self.credentials = {label: Credentials(loaded) for label, loaded in loaded_of(config).items()}
        self.certificates = Certificates({**self.credentials, **self.link_credentials}, config.sysmon, self.broker,
                                         self.turns.begin, time.time)
        self.listeners = Listeners((section.label, self._listener(section)) for section in config.listener.all())

    def law(self) -> Acl | None:
        """What says what clients may do: the rules, and who else is asked; None where everybody may do everything."""
        return self.authorization.over(self.rules, self.config.mqtt.acl_nomatch == "allow")

    @property
    def keeper(self) -> Keeper | None:
        """What carries messages into the store, where there is one."""
        raise NotImplementedError

    def recover(self, snapshot: Snapshot) -> None:
        """Give the broker what the store has."""
        if self.journal is not None:
            self.journal.offset = offset(time.time, self.now)
        self.turns.begin()
        self.broker.recover(snapshot, self.now())
        if self.node is not None:
            self.node.recover(snapshot)

    def tick(self) -> None:
        """Once a second: what fell due."""
        self.turns.begin()
        self._note_time()
        self.broker.tick()
        for listener in self.listeners.values():
            listener.admission.tell()
        self.events.tell()
        if self.keeper is not None:
            self.keeper.guard(self.keeper.tick)  # what fails there is its death, not the ticker's

    def _note_time(self) -> None:
        """What orders retained messages has to know wall time, also where nothing is stored."""
        if self.node is not None:
            self.node.cluster.clock.offset = offset(time.time, self.now)

    def watch_websockets(self) -> None:
        """Once a second, where there are any: handshakes that take too long, pings."""
        for listener in self.listeners.values():
            if listener.websocket is not None:
                listener.websocket.tick()

    def _monitor(self) -> Monitor:
        reports = Reports(self.config.sysmon, self.broker.alarms, self.turns.begin, self.systopics.tell, self.now)
        pools = {"pooler": lambda: len(self.pool.waiting), "reactor": lambda: waiting(self.reactor)}
        return Monitor(reports, self.reactor, self.now, lambda: unsent(self.reactor, self.sockets, self.turns), self.pool,
                       pools)

    def _hold(self, full: bool) -> None:
        """Accept nobody while the broker has too much to do."""
        for listener in self.listeners.values():
            (listener.hold if full else listener.release)(OVERLOADED)

    def _listener(self, section: AnyListener) -> Listener:
        listener = listener_of(section, self.config, self.turns, self.reactor, self.sockets,
                               self.credentials.get(section.label))
        listener.admission.checks += [self.guard.check, Crowd(listener).check]
        listener.admission.standing.append(self.guard.check)
        if self.store is not None:
            listener.hold_off()
        return listener


def _token() -> str:
    return token_hex(8)
