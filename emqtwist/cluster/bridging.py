"""Bridges over the network: at one end who dials, at the other who takes them at the port for nodes.

A bridge greets as nodes do, in a role of its own: so the node that it leads to publishes what comes, and is not joined by it.
"""
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from emqtwist.cluster.dialer import PATIENCE, Dialling, Endpoint
from emqtwist.cluster.links import FAREWELL, HANDSHAKE, TICK, Links, see
from emqtwist.cluster.protocol import LinkProtocol, Registry
from emqtwist.cluster.refusals import GOODBYE, NO_NODE, SAME_NAME, SILENT, UNREACHABLE, Refused
from emqtwist.cluster.terms import Terms
from emqtwist.core.bridges.bridge import Bridge
from emqtwist.core.bridges.bridges import Bridges
from emqtwist.core.cluster.peer import Peer
from emqtwist.net.patience import Patience
from emqtwist.services.part import Part

ROLE: Final = "bridge"


class Crossing:
    """How one bridge gets to its node, which is dialled at `address`, and again `pause` seconds after that failed.

    It outlives its part; while that runs it is kept connected. `problem` is why it is not, empty while it is. `tried` fires with
    that when it is known for the first time.
    """

    log = Logger()

    def __init__(self, bridge: Bridge, terms: Terms, address: str, endpoint: Endpoint, pause: float, bridges: Bridges,
                 begin: Callable[[], None], draw: Callable[[], bytes], clock: IReactorTime) -> None:
        self.bridge = bridge
        self.terms = terms
        self.address = address
        self.cluster = bridges
        self.clock = clock
        self.begin = begin
        self.draw = draw
        self.problem = "it was not tried yet"
        self.tried: Deferred[str] = Deferred()
        self._endpoint = endpoint
        self._pause = pause
        self._strangers: Patience[LinkProtocol] = Patience(clock, HANDSHAKE, self._late)
        self._closing: Patience[LinkProtocol] = Patience(clock, FAREWELL, LinkProtocol.abort)
        self._connecting: Deferred[Any] | None = None
        self._protocol: LinkProtocol | None = None
        self._call: IDelayedCall | None = None
        self._part: Part | None = None

    def start(self, part: Part) -> None:
        """Keep it connected; what goes wrong here is the death of `part`."""
        self._part = part
        self._dial()

    def stop(self) -> None:
        """Let go of all that is there."""
        self._part = None
        self.begin()
        self._forget_call()
        if self._connecting is not None:
            self._connecting.cancel()
        if self._protocol is not None:
            self._protocol.end(Refused(GOODBYE, f"{self.terms.node} does"))

    def _call_later(self, seconds: float, function: Callable[[], None]) -> None:
        if self._part is not None:
            self._call = self.clock.callLater(seconds, self._part.guard, function)

    def _forget_call(self) -> None:
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None

    # Dialling.

    def _dial(self) -> None:
        self._connecting = connecting = maybeDeferred(self._connect)
        connecting.addTimeout(PATIENCE, self.clock)
        connecting.addCallbacks(self._connected, self._not_connected)
        connecting.addErrback(lambda failure: None if self._part is None else self._part.die(failure))

    def _connect(self) -> Deferred[Any]:
        return self._endpoint(self.address).connect(Dialling(self.address, self._make))

    def _make(self, address: str) -> LinkProtocol:
        return LinkProtocol(self, address)

    def _connected(self, protocol: Any) -> None:
        self._connecting = None

    def _not_connected(self, failure: Failure) -> None:
        self._connecting = None
        self._failed(Refused(UNREACHABLE, failure.getErrorMessage() or type(failure.value).__name__))

    def _failed(self, refused: Refused) -> None:
        """There is no link: try again after a while."""
        if self._part is None:
            return
        if self.problem != refused.text:
            self.log.warn("bridge {bridge} is down: {reason}", bridge=self.bridge.terms.name, reason=refused.text)
        self._note(refused.text)
        self._call_later(self._pause, self._dial)

    def _note(self, problem: str) -> None:
        self.problem = problem
        if not self.tried.called:
            self.tried.callback(problem)

    def _late(self, protocol: LinkProtocol) -> None:
        self.begin()
        protocol.end(Refused(SILENT, "it proved nothing in time"))

    def _tick(self) -> None:
        self.begin()
        if self._protocol is not None and self._protocol.peer is not None:
            self._call_later(TICK, self._tick)
            see(self._protocol, self.terms, self.cluster.broker.turn.now)

    # What the connection tells.

    def role(self, name: str) -> Registry:
        raise Refused(NO_NODE, "it greets where it was dialled")

    def met(self, protocol: LinkProtocol) -> None:
        self._protocol = protocol
        self._strangers.add(protocol)

    async def arrive(self, protocol: LinkProtocol) -> None:
        """It knows the cookie; that it is the node that was meant is to be seen."""
        wanted = self.bridge.terms.node
        if protocol.node != wanted:
            raise Refused(NO_NODE, f"{protocol.node} is at {protocol.where}, and not {wanted}")
        if self._part is None:
            raise Refused(GOODBYE)

    def opened(self, protocol: LinkProtocol) -> Peer:
        self._strangers.discard(protocol)
        self.cluster.opened(self.bridge, protocol.incarnation, protocol.link)
        self._note("")
        self._call_later(TICK, self._tick)
        self.log.info("bridge {bridge} leads to {node} at {where}", bridge=self.bridge.terms.name, node=protocol.node,
                      where=protocol.where)
        return self.bridge

    def ended(self, protocol: LinkProtocol, refused: Refused) -> None:
        self._strangers.discard(protocol)
        self._closing.add(protocol)
        if self._protocol is not protocol:
            return
        self._protocol = None
        self._forget_call()
        if protocol.peer is not None:
            self.cluster.closed(protocol.peer, protocol.link)
        self._failed(refused)

    def lost(self, protocol: LinkProtocol) -> None:
        self._closing.discard(protocol)


class Leading(Part):
    """Keeps one bridge connected while it runs. What waits is in the bridge, which outlives this."""

    def __init__(self, crossing: Crossing) -> None:
        self._crossing = crossing

    def startService(self) -> None:
        super().startService()
        self._crossing.start(self)

    def stopService(self) -> None:
        super().stopService()
        self._crossing.stop()

    def die(self, failure: Failure) -> None:
        if self.running:
            self._crossing.stop()
        super().die(failure)


class Welcoming:
    """Takes bridges of other nodes at the port of `links`; `up` are those that are connected."""

    log = Logger()

    def __init__(self, links: Links, bridges: Bridges) -> None:
        self.up: set[LinkProtocol] = set()
        self.cluster = bridges
        self.clock = links.clock
        self._links = links

    @property
    def terms(self) -> Terms:
        return self._links.terms

    def begin(self) -> None:
        self._links.begin()

    def draw(self) -> bytes:
        return self._links.draw()

    def role(self, name: str) -> Registry:
        raise Refused(NO_NODE, "it greets twice")

    def met(self, protocol: LinkProtocol) -> None:
        """It was met as a stranger, whoever it would be."""

    async def arrive(self, protocol: LinkProtocol) -> None:
        if protocol.node == self.terms.node:
            raise Refused(SAME_NAME, f"{protocol.node} is at {protocol.where}, and here")
        if self._links.is_stopped:
            raise Refused(GOODBYE, f"{self.terms.node} does")

    def opened(self, protocol: LinkProtocol) -> Peer:
        self._links.strangers.discard(protocol)
        self.up.add(protocol)
        self.log.info("a bridge of {node} at {where} leads here", node=protocol.node, where=protocol.where)
        return self.cluster.welcome(protocol.node, protocol.incarnation, protocol.link)

    def ended(self, protocol: LinkProtocol, refused: Refused) -> None:
        self._links.strangers.discard(protocol)
        self._links.closing.add(protocol)
        self.up.discard(protocol)
        if protocol.peer is None:
            self._links.problems.note(protocol.whom, refused, self.cluster.broker.turn.now)
            return
        self.log.info("a bridge of {node} leads here no more: {reason}", node=protocol.node, reason=refused.text)
        self.cluster.closed(protocol.peer, protocol.link)

    def lost(self, protocol: LinkProtocol) -> None:
        self._links.lost(protocol)
