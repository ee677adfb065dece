"""Links: all connections with other nodes, and which of them are links."""
from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from emqtwist.cluster.dialer import Dialer, Endpoint, Wanted
from emqtwist.cluster.problems import CALM, Problems
from emqtwist.cluster.protocol import LinkProtocol, Registry
from emqtwist.cluster.refusals import CROWD, GOODBYE, ITSELF, NO_NODE, SAME_NAME, SECOND_LINK, SILENT, Refused
from emqtwist.cluster.terms import Terms
from emqtwist.core.cluster.cluster import Cluster
from emqtwist.core.cluster.peer import Peer
from emqtwist.net.address import host_of
from emqtwist.net.patience import Patience

HANDSHAKE: Final = 5.0  # seconds that a stranger has to prove what it knows
FAREWELL: Final = 1.0  # seconds that a connection has to close by itself
MOST_STRANGERS: Final = 100  # at a time
TICK: Final = 0.1  # seconds between two calls of `tick`
GAP: Final = 0.5  # seconds without a tick: this process did not run, and nothing can be said of the others


class Role(Registry, Protocol):
    """Who keeps those connections at the same port that are no links between nodes of the cluster; `up` are open."""

    up: set[LinkProtocol]


class Links:
    """Of the node of `cluster`: `up` is a dict name -> connection. `port` makes a connection for who dials this node.

    `begin` tells the broker the time, `draw` gives a random number for a proof. Over which endpoints nodes are dialled is
    `endpoint`'s choice. Call `tick` some ten times a second; `start` dials, `stop` ends all.
    """

    log = Logger()

    def __init__(self, terms: Terms, cluster: Cluster, wanted: Wanted, endpoint: Endpoint, begin: Callable[[], None],
                 clock: IReactorTime, draw: Callable[[], bytes], random: Callable[[], float]) -> None:
        self.terms = terms
        self.cluster = cluster
        self.clock = clock
        self.begin = begin
        self.draw = draw
        self.up: dict[str, LinkProtocol] = {}
        self.problems = Problems(cluster.broker.alarms)
        self.port = Answering(self)
        self.roles: dict[str, Role] = {}
        self.strangers: Patience[LinkProtocol] = Patience(clock, HANDSHAKE, self._late)
        self.closing: Patience[LinkProtocol] = Patience(clock, FAREWELL, LinkProtocol.abort)
        self.dialer = Dialer(terms.node, wanted, endpoint, lambda address: LinkProtocol(self, address), self.up.__contains__,
                             self._unreachable, clock, random)
        self._turn = cluster.broker.turn
        self._ticked = self._turn.now
        self._running = False

    def start(self) -> None:
        """Take and make links from now on."""
        self.begin()
        self._running = True
        self._ticked = self._turn.now
        self.dialer.start()

    def stop(self) -> None:
        """End all, and take no more; the others are told."""
        self.begin()
        self._running = False
        self.dialer.stop()
        for protocol in [*self._all(), *self.strangers.all()]:
            protocol.end(Refused(GOODBYE, f"{self.terms.node} does"))

    @property
    def is_stopped(self) -> bool:
        """Whether no links are made."""
        return not self._running

    def takes(self, host: str) -> bool:
        """Whether one more stranger may come in, who is there; if there are too many, that is a problem."""
        if not self._running or len(self.strangers) < MOST_STRANGERS:
            return self._running
        self.begin()
        # One for all of them, of this node: those of others are not to be forgotten for so many.
        self.problems.note(self.terms.node, Refused(CROWD, f"{MOST_STRANGERS}; {host} was refused last"), self._turn.now)
        return False

    # What is due.

    def tick(self) -> None:
        """Signs of life: give some, and miss those of others. Dial who is to be dialled."""
        self.begin()
        now = self._turn.now
        gap, self._ticked = now - self._ticked, now
        for protocol in self._all():
            if gap > GAP:
                protocol.heard_at += gap  # what came meanwhile was not read
            see(protocol, self.terms, now)
        for name, protocol in self.up.items():
            if now - protocol.since >= CALM:
                self.problems.held(name)
        self.problems.tick(now)
        self.dialer.look()

    def _all(self) -> list[LinkProtocol]:
        return [*self.up.values(), *(protocol for role in self.roles.values() for protocol in role.up)]

    def _late(self, protocol: LinkProtocol) -> None:
        """A stranger has proved nothing in time."""
        self.begin()
        protocol.end(Refused(SILENT, "it proved nothing in time"))

    def _unreachable(self, address: str, refused: Refused) -> None:
        self.begin()
        # A refusal is told late, as there may have been another way to the host: who is linked by now has come meanwhile.
        if not any(address in names_of(protocol) for protocol in self.up.values()):
            self.problems.note(address, refused, self._turn.now)

    # What connections tell.

    def role(self, name: str) -> Role:
        """Who takes those that come as `name`."""
        if name not in self.roles:
            raise Refused(NO_NODE, f"nobody is taken as {name} here")
        return self.roles[name]

    def met(self, protocol: LinkProtocol) -> None:
        """Somebody is connected."""
        self.strangers.add(protocol)
        if protocol.dialled:
            self.dialer.met(protocol)

    async def arrive(self, protocol: LinkProtocol) -> None:
        """Decide whether there is to be a link with who has proved to know the cookie; Refused when not."""
        name, terms = protocol.node, self.terms
        if protocol.dialled:
            self.dialer.found(protocol)
        if name == terms.node:
            itself = protocol.incarnation == terms.incarnation
            raise Refused(ITSELF if itself else SAME_NAME, f"{name} is at {protocol.where}, and here")
        while (old := self.up.get(name)) is not None:
            is_same = old.incarnation == protocol.incarnation
            if is_same and self._is_better(protocol, old):
                old.end(Refused(SECOND_LINK))
                return
            if await old.answers():
                raise Refused(SECOND_LINK if is_same else SAME_NAME, f"{name} is at {protocol.where}, and at {old.where}")
            self.begin()
            old.end(Refused(SILENT, "it does not answer"))
        if not self._running:
            raise Refused(GOODBYE, f"{terms.node} does")

    def _is_better(self, new: LinkProtocol, old: LinkProtocol) -> bool:
        """Of two that a node and this one have dialled at the same time both keep the one of whose name is smaller."""
        return self._by_smaller(new) or not self._by_smaller(old)

    def _by_smaller(self, protocol: LinkProtocol) -> bool:
        return (protocol.dialled != "") == (self.terms.node < protocol.node)

    def opened(self, protocol: LinkProtocol) -> Peer:
        """There is a link."""
        name = protocol.node
        self.strangers.discard(protocol)
        self.up[name] = protocol
        self.problems.solve(*names_of(protocol))
        self.log.info("linked with {node} at {where}", node=name, where=protocol.where)
        return self.cluster.opened(name, protocol.incarnation, protocol.link)

    def ended(self, protocol: LinkProtocol, refused: Refused) -> None:
        """It counts no more, and closes."""
        now = self._turn.now
        self.strangers.discard(protocol)
        self.closing.add(protocol)
        if protocol.peer is not None:
            self._unlink(protocol, refused)
        if protocol.received or protocol.dialled or refused.cause != NO_NODE:  # a look at the port is none
            self.problems.note(protocol.whom if protocol.peer is None else protocol.node, refused, now)
        if protocol.dialled:
            self.dialer.ended(protocol, refused, now)

    def _unlink(self, protocol: LinkProtocol, refused: Refused) -> None:
        if self.up.get(protocol.node) is protocol:
            del self.up[protocol.node]
        assert protocol.peer is not None
        self.log.info("no link with {node} any more: {cause}: {reason}", node=protocol.node, cause=refused.cause,
                      reason=refused.text)
        self.cluster.closed(protocol.peer, protocol.link)

    def lost(self, protocol: LinkProtocol) -> None:
        """The connection is closed."""
        self.closing.discard(protocol)


def names_of(protocol: LinkProtocol) -> tuple[str, str, str]:
    """What problems with the node of a link are about: its name, where it was found, where it says that it is."""
    return protocol.node, protocol.whom, protocol.greeting.address if protocol.greeting else ""


def see(protocol: LinkProtocol, terms: Terms, now: float) -> None:
    """What an open link needs now and then: signs of life, and an end when the other gives none."""
    if now - protocol.heard_at >= terms.timeout:
        protocol.end(Refused(SILENT, f"for {now - protocol.heard_at:.1f} s"))
        return
    if protocol.stream.receiving.owed:
        protocol.confirm()
    if now - protocol.said_at >= terms.heartbeat:
        protocol.repeat()


class Answering(Factory):
    """Makes a connection for who dials this node."""

    noisy = False

    def __init__(self, links: Links) -> None:
        self._links = links

    def buildProtocol(self, address: Any) -> LinkProtocol | None:
        return LinkProtocol(self._links) if self._links.takes(host_of(address)) else None
