"""All traces of a broker: who is looked at, and what becomes of it.

While there is no trace, connections have no tap, and nothing is done for any packet. A trace of a client or an address gives
one to its own connections, and to new ones until it is known who comes; a trace of topics gives one to all.
"""
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from math import inf
from pathlib import Path
from typing import Final, cast

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from emqtwist.config.sections.trace import TraceSection
from emqtwist.core.alarm import ERROR
from emqtwist.core.broker import Broker
from emqtwist.core.connection import Connection
from emqtwist.core.hooks import DELIVERY_DROPPED, MESSAGE_DROPPED
from emqtwist.core.link import Link
from emqtwist.core.message import Message
from emqtwist.core.tap import Tap
from emqtwist.mqtt.errors import MQTTError
from emqtwist.mqtt.topics import check_topic_filter, matches
from emqtwist.services.pooler import Pool
from emqtwist.services.supervisor import Child, Supervisor
from emqtwist.services.trace import file
from emqtwist.services.trace.event import Event
from emqtwist.services.trace.summary import Fields, text_of
from emqtwist.services.trace.tapped import Tapped
from emqtwist.services.trace.trace import ADDRESS, CLIENT, TOPIC, Bounds, Kind, Trace
from emqtwist.services.trace.tracing import Tracing

ALARM: Final = "trace_file"
TAG: Final = "trace"
MOST_REMEMBERED: Final = 10_000  # topics
LONGEST_REMEMBERED: Final = 256  # bytes


class NotTraced(Exception):
    """There can be no such trace; the message says why."""


class Traces:
    """`running` are the traces that go on, by number. `clients` and `topics` say whether there are any of this kind.

    `wall` gives Unix seconds, `folder` is where traces go that the configuration gives no other.
    """

    log = Logger()

    def __init__(self, broker: Broker, section: TraceSection, folder: Path, pool: Pool, clock: IReactorTime,
                 now: Callable[[], float], wall: Callable[[], float]) -> None:
        self.section = section
        self.running: dict[int, Trace] = {}
        self.clients = False
        self.topics: list[Trace] = []
        self.wall = wall
        self._broker = broker
        self._folder = folder
        self._pool = pool
        self._clock = clock
        self._now = now
        self._last = 0
        self._opening: set[tuple[Kind, str]] = set()
        self._connections: list[Trace] = []
        self._known: dict[bytes, list[Trace]] = {}
        self._lock = DeferredLock()
        self._supervisor: Supervisor | None = None

    def supervisor(self) -> Supervisor:
        """A fresh one, with a part for each trace that goes on."""
        children = [self._child(trace) for trace in self.running.values()]
        self._supervisor = Supervisor("trace", children, self._clock, intensity=inf)  # no trace ends a broker
        return self._supervisor

    # What commands ask for.

    def bounds(self, seconds: float = 0.0, size: int = 0, lines: int = 0, payload: int = 0) -> Bounds:
        """What is asked for, within what the configuration allows."""
        most = self.section
        return Bounds(min(seconds or most.max_time, most.max_time), min(size or most.max_size, most.max_size), lines,
                      min(payload, most.max_payload))

    async def begin(self, kind: Kind, name: str, name_of_file: str, bounds: Bounds) -> Trace:
        """A trace that goes to a new file. NotTraced, also where it cannot be made."""
        network = self._check(kind, name)
        if (kind, name) in self._opening or any((each.kind, each.name) == (kind, name) and each.file is not None
                                                for each in self.running.values()):
            raise NotTraced("existed")
        if not file.NAME.fullmatch(name_of_file):
            raise NotTraced("the file is to have a name of letters, digits, _, - and ., and no path")
        self._opening.add((kind, name))
        try:
            descriptor = await self._pool.submit(file.create, self.folder, name_of_file)
        except FileExistsError:
            raise NotTraced(f"there is a file {name_of_file} already") from None
        except Exception as error:
            raise NotTraced(f"{name_of_file} cannot be made: {_why(error)}") from None
        finally:
            self._opening.discard((kind, name))
        return self._add(kind, name, bounds, network, file.TraceFile(name_of_file, descriptor, self._pool))

    def watch(self, kind: Kind, name: str, bounds: Bounds) -> Trace:
        """A trace that is read as it goes."""
        return self._add(kind, name, bounds, self._check(kind, name), None)

    def stop(self, kind: Kind, name: str) -> bool:
        """End all traces of this name; whether there were any."""
        found = [trace for trace in self.running.values() if (trace.kind, trace.name) == (kind, name) and not trace.over]
        for trace in found:
            trace.end("it was stopped")
        return bool(found)

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self._folder if self.section.dir == "auto" else Path(self.section.dir).absolute()

    def close(self) -> None:
        """The broker has stopped: nobody is looked at any more."""
        for trace in list(self.running.values()):
            trace.end("the broker stops")
            self._forget(trace)

    def _check(self, kind: Kind, name: str) -> IPv4Network | IPv6Network | None:
        if len(self.running) + len(self._opening) >= self.section.max_traces:
            raise NotTraced(f"there are {len(self.running)} traces already, and no more are allowed (trace.max_traces)")
        if kind == TOPIC:
            try:
                check_topic_filter(name.encode(), 0)
            except MQTTError as error:
                raise NotTraced(error.reason) from None
        if kind != ADDRESS:
            return None
        try:
            return ip_network(name)
        except ValueError as error:
            raise NotTraced(str(error)) from None

    def _add(self, kind: Kind, name: str, bounds: Bounds, network: IPv4Network | IPv6Network | None,
             to: file.TraceFile | None) -> Trace:
        self._last += 1
        trace = Trace(self._last, kind, name, bounds, self._now() + bounds.seconds, network, to)
        self.running[trace.number] = trace
        self._choose()
        for link in self._broker.links:
            tap = cast(Connection, link).tap
            if isinstance(tap, Tapped):
                tap.greet(cast(Connection, link), trace)
        self._run(lambda supervisor: supervisor.add(self._child(trace)))
        return trace

    def _child(self, trace: Trace) -> Child:
        return Child(str(trace.number), lambda: Tracing(trace, self, self._clock, self._now))

    def _run(self, change: "Callable[[Supervisor], Deferred[None]]") -> None:
        """Change the tree, one change at a time."""
        supervisor = self._supervisor
        if supervisor is not None:
            done: Deferred[None] = self._lock.run(change, supervisor)
            done.addErrback(lambda failure: self.log.failure("a trace could not be begun or ended", failure))

    # What its part does with a trace.

    def gone(self, trace: Trace) -> None:
        """It is over, and all of it is taken or written."""
        self._forget(trace)
        if self._supervisor is not None and str(trace.number) in self._supervisor.rows:
            self._run(lambda supervisor: supervisor.remove(str(trace.number)))

    def lost(self, trace: Trace, why: str) -> None:
        """Its file takes no more: what waits for it is lost, and the broker goes on."""
        trace.end(f"its file cannot be written: {why}")
        self.log.error("the trace of {kind} {name} is lost: {file} cannot be written: {reason}", kind=trace.kind, name=trace.name,
                       file=trace.target, reason=why)
        self._broker.alarms.raise_(ALARM, ERROR, "a trace cannot be written",
                                   f"{trace.target}, of {trace.kind} {trace.name}, is lost: {why}")

    def written(self) -> None:
        """A file has taken what it was given."""
        self._broker.alarms.clear(ALARM)

    def _forget(self, trace: Trace) -> None:
        if self.running.pop(trace.number, None) is not None:
            self._choose()
            if trace.file is not None:
                trace.file.close(trace.take())

    # Who is looked at.

    def of(self, connection: Connection, asked: str) -> list[Trace]:
        """Those of all that goes over a connection."""
        return [trace for trace in self._connections if trace.selects(connection, asked)]

    def at(self, topic: bytes) -> list[Trace]:
        """Those of a topic."""
        found = self._known.get(topic)
        if found is None:
            found = [trace for trace in self.topics if matches(trace.topic_filter, topic)]
            if len(topic) <= LONGEST_REMEMBERED:
                if len(self._known) >= MOST_REMEMBERED:
                    self._known.clear()
                self._known[topic] = found
        return found

    def failed(self, connection: Connection) -> None:
        """A defect while looking at a connection, which goes on without."""
        self.log.failure("defect while tracing {client_id}", client_id=connection.client_id)
        connection.tap = None

    def _choose(self) -> None:
        """Give taps to those who are to be looked at from now on, and take them from the others."""
        before = bool(self._connections or self.topics)
        running = [trace for trace in self.running.values() if not trace.over]
        self._connections = [trace for trace in running if trace.kind != TOPIC]
        self.clients = any(trace.kind == CLIENT for trace in running)
        self.topics = [trace for trace in running if trace.kind == TOPIC]
        self._known.clear()
        self._broker.tapper = self._tap if running else None
        for link in self._broker.links:
            connection = cast(Connection, link)
            connection.tap = self._tap_of(connection)
        hooks = self._broker.hooks
        if bool(running) != before:
            for name, function in ((MESSAGE_DROPPED, self._dropped), (DELIVERY_DROPPED, self._not_delivered)):
                hooks.add(name, function, tag=TAG) if running else hooks.delete(name, function, TAG)

    def _tap(self, link: Link) -> Tap | None:
        """For a new connection."""
        return self._tap_of(cast(Connection, link))

    def _tap_of(self, connection: Connection) -> Tapped | None:
        known = getattr(connection, "tap", None)
        tap = known if isinstance(known, Tapped) else Tapped(self, connection)
        return tap if tap.choose(connection) else None

    # What happens beside packets.

    def tell(self, client_id: str, what: str, fields: Fields) -> None:
        """Something has happened to a client."""
        self._tell([trace for trace in self._connections if trace.kind == CLIENT and trace.name == client_id], client_id, what,
                   fields)

    def _tell(self, traces: Iterable[Trace], client_id: str, what: str, fields: Fields) -> None:
        event = Event(self.wall(), client_id, "", what, "", fields)
        for trace in traces:
            trace.note(event)

    def _dropped(self, message: Message, cause: str) -> None:
        self._drop(message.publisher, message, cause)

    def _not_delivered(self, client_id: str, message: Message, cause: str) -> None:
        self._drop(client_id, message, cause)

    def _drop(self, client_id: str, message: Message, cause: str) -> None:
        traces = [trace for trace in self._connections if trace.kind == CLIENT and trace.name == client_id]
        if self.topics:
            traces += self.at(message.topic)
        if traces:
            self._tell(traces, client_id, "dropped", {"cause": cause, "topic": text_of(message.topic),
                                                      "publisher": message.publisher, "length": len(message.payload)})


def _why(error: BaseException) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
