"""LinkProtocol: one connection with another node, from its first byte to its last.

It begins as that of a stranger, who has little time and few bytes. Who has dialled says Hello and Prove; when both have proved to
know the cookie, the registry decides whether there is to be a link. From then on Push carries a stream of frames, and Took says
how far it was taken.
"""
from collections.abc import Awaitable, Iterable
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from emqtwist.cluster import greeting as g
from emqtwist.cluster import proving
from emqtwist.cluster import refusals as r
from emqtwist.cluster.boxes import GONE, PROVED, STRANGER, UP, Boxes
from emqtwist.cluster.greeting import Greeting
from emqtwist.cluster.refusals import Refused, told
from emqtwist.cluster.stream import Stream
from emqtwist.cluster.terms import Terms
from emqtwist.cluster.window import Receiving, Sending
from emqtwist.cluster.wire import Bye, Hello, NoLink, Ping, Prove, Push, Took
from emqtwist.core.broker import Broker
from emqtwist.core.cluster.frames import BadFrame
from emqtwist.core.cluster.link import NodeLink
from emqtwist.core.cluster.peer import Peer

PROBE: Final = 1.0  # seconds to answer whether one is there


class Host(Protocol):
    """Who hears what comes over links: the cluster, or what bridges lead to and from."""

    @property
    def broker(self) -> Broker: ...
    def take(self, peer: Peer, frames: Iterable[object]) -> None: ...
    def proceed(self, peer: Peer) -> None: ...


class Registry(Protocol):
    """What a connection needs of who keeps them all."""

    @property
    def terms(self) -> Terms: ...
    @property
    def cluster(self) -> Host: ...
    @property
    def clock(self) -> IReactorTime: ...

    def role(self, name: str) -> "Registry":
        """Who keeps the connections of those who come as something else than a node of the cluster; Refused where nobody does."""

    def begin(self) -> None:
        """Tell the broker the time."""

    def draw(self) -> bytes:
        """A random number of `proving.SIZE` bytes."""

    def met(self, protocol: "LinkProtocol") -> None:
        """It is connected, with a stranger."""

    def arrive(self, protocol: "LinkProtocol") -> Awaitable[None]:
        """The other has proved to know the cookie; Refused when there is to be no link."""

    def opened(self, protocol: "LinkProtocol") -> Peer:
        """There is a link."""

    def ended(self, protocol: "LinkProtocol", refused: Refused) -> None:
        """It counts no more, and closes."""

    def lost(self, protocol: "LinkProtocol") -> None:
        """The connection is closed."""


class LinkProtocol(Boxes):
    """`peer` and `stream` are there while there is a link; `since` is when it opened, `heard_at` when something came last."""

    log = Logger()

    def __init__(self, registry: Registry, dialled: str = "") -> None:
        super().__init__(dialled)
        self.greeting: Greeting | None = None
        self.peer: Peer | None = None
        self.since = self.heard_at = self.said_at = 0.0
        turn = registry.cluster.broker.turn
        self.link = NodeLink(turn)
        self.link.owner = self
        self._turn = turn
        self._registry = registry
        self._stream: Stream | None = None
        self._early: list[bytes] = []  # pieces that came before there was a link

    @property
    def node(self) -> str:
        """The name of the other, as far as it is known."""
        return "" if self.greeting is None else self.greeting.node

    @property
    def incarnation(self) -> str:
        return "" if self.greeting is None else self.greeting.incarnation

    @property
    def stream(self) -> Stream:
        """That of an open link."""
        assert self._stream is not None
        return self._stream

    # The connection.

    def connectionMade(self) -> None:
        super().connectionMade()
        self.heard()
        set_no_delay = getattr(self.transport, "setTcpNoDelay", None)
        if set_no_delay is not None:
            set_no_delay(True)  # what is said in one turn is written at once, and is not to wait for more
        self._registry.met(self)
        if self.dialled:
            Deferred.fromCoroutine(self._introduce()).addErrback(self._defect)

    def heard(self) -> None:
        self._registry.begin()
        self.heard_at = self._turn.now

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._registry.begin()
        self._end(self._lost_by(reason))
        super().connectionLost(reason)
        self._registry.lost(self)

    def _lost_by(self, reason: Failure) -> Refused:
        if reason.check("OpenSSL.SSL.Error"):
            return Refused(r.CERTIFICATE, words_of(reason.value))
        if self.stage == STRANGER:
            return Refused(r.UNREACHABLE if self.dialled else r.NO_NODE, "the connection was closed before anything was proved")
        return Refused(r.LOST, "" if reason.check(ConnectionDone) else reason.getErrorMessage())

    # Its end.

    def end(self, refused: Refused) -> None:
        """There is no link, or not any more: tell the other why, as far as it may know, and close."""
        if self.stage == GONE:
            return
        if self.stage != STRANGER:
            self.callRemote(Bye, reason=str(refused))
        self._end(refused)
        self.close()

    def _end(self, refused: Refused) -> None:
        if self.stage != GONE:
            self.stage = GONE
            self._registry.ended(self, refused)

    def _defect(self, failure: Failure) -> None:
        self.log.failure("defect on a link to {node}", failure, node=self.node or self.where)
        self.end(Refused(r.DEFECT))

    # Who is there.

    async def _introduce(self) -> None:
        """What who has dialled does."""
        terms = self._registry.terms
        said = g.hello(terms, self._registry.draw())
        try:
            self.greeting = greeting = g.answered(terms, said, await self.callRemote(Hello, **said))
            mine = proving.proof(terms.cookie, proving.DIALS, greeting.said)
            theirs = (await self.callRemote(Prove, proof=mine))["proof"]
            if not proving.is_right(theirs, terms.cookie, proving.ANSWERS, greeting.said):
                raise Refused(r.WRONG_COOKIE, "who answers does not know it")
            if self.stage == GONE:
                return
            self.stage = PROVED
            await self._arrive()
        except NoLink as error:
            self.end(told(str(error)))
        except Refused as refused:
            self.end(refused)
        except Exception as error:
            if self.stage == STRANGER:  # it answers what no node does
                self.end(Refused(r.NO_NODE, type(error).__name__))
            elif self.stage != GONE:
                self._defect(Failure())

    @Hello.responder
    def hello(self, **said: Any) -> dict[str, Any]:
        try:
            if self.dialled or self.greeting is not None:
                raise Refused(r.NO_NODE, "it says Hello where it should not")
            role = said.pop("role")
            if role:
                self._registry = self._registry.role(role)
                said["role"] = role
            self.greeting, reply = g.asked(self._registry.terms, said, self._registry.draw())
        except Refused as refused:
            raise self._no_link(refused) from None
        return reply

    @Prove.responder
    def prove(self, proof: bytes) -> "Deferred[dict[str, Any]]":
        return Deferred.fromCoroutine(self._prove(proof))

    async def _prove(self, proof: bytes) -> dict[str, Any]:
        cookie, greeting = self._registry.terms.cookie, self.greeting
        try:
            if self.dialled or greeting is None:
                raise Refused(r.NO_NODE, "it proves where it should not")
            if not proving.is_right(proof, cookie, proving.DIALS, greeting.said):
                raise Refused(r.WRONG_COOKIE, f"{greeting.node} does not know that of {self._registry.terms.node}")
            self.stage = PROVED
            await self._arrive()
        except Refused as refused:
            raise self._no_link(refused) from None
        except Exception:
            self.log.failure("defect while a link to {node} opened", node=self.node)
            raise self._no_link(Refused(r.DEFECT)) from None
        return {"proof": proving.proof(cookie, proving.ANSWERS, greeting.said)}

    def _no_link(self, refused: Refused) -> NoLink:
        """Close once the other is told."""
        self._end(refused)
        self._registry.clock.callLater(0, self.close)
        return NoLink(str(refused))

    async def _arrive(self) -> None:
        """There is a link from here on, unless it is refused, or lost meanwhile. What is said on it goes in the next flush."""
        await self._registry.arrive(self)
        greeting = self.greeting
        if self.stage == GONE or greeting is None:
            raise Refused(r.LOST)
        window, largest = greeting.window, self._registry.cluster.broker.settings.max_packet_size
        self._stream = Stream(Sending(window), Receiving(window), self._push, 16 * window + 2 * largest)
        self.stage = UP
        self._registry.begin()
        self.since = self.said_at = self._turn.now
        self.peer = self._registry.opened(self)
        early, self._early = self._early, []
        for data in early:
            self._take(data)

    # Commands.

    @Push.responder
    def push(self, data: bytes) -> dict[str, Any]:
        if self._stream is not None:
            self._take(data)
        else:
            self._received_early(data)
        return {}

    def _received_early(self, data: bytes) -> None:
        self._early.append(data)
        if sum(map(len, self._early)) > self._registry.terms.window:
            self.end(Refused(r.FLOOD, "before there was a link"))

    def _take(self, data: bytes) -> None:
        if self.stage != UP or self.peer is None:
            return
        try:
            self._registry.cluster.take(self.peer, self.stream.receive(data))
        except BadFrame as error:
            self.end(Refused(r.BAD_FRAME, str(error)))
        except Refused as refused:
            self.end(refused)
        except Exception:
            self._defect(Failure())
        else:
            if self.stream.receiving.owed >= self.stream.receiving.size // 4:
                self.confirm()

    @Took.responder
    def took(self, total: int) -> dict[str, Any]:
        if self.stage == UP:
            try:
                self.stream.taken(total)
                self._look()
            except Refused as refused:
                self.end(refused)
        return {}

    @Ping.responder
    def ping(self) -> dict[str, Any]:
        return {}

    @Bye.responder
    def bye(self, reason: str) -> dict[str, Any]:
        self._end(told(reason))
        self.close()
        return {}

    # The stream.

    def _push(self, data: bytes) -> None:
        self.said_at = self._turn.now
        self.callRemote(Push, data=data)

    def flush(self) -> None:
        """Send what the link has."""
        data = self.link.take()
        if self.stage != UP:
            return
        if self.link.closing:
            self.end(Refused(r.CUT))
            return
        try:
            self.stream.put(data)
        except Refused as refused:
            self.end(refused)
            return
        self._look()

    def proceed(self) -> None:
        """There is something to do for the other."""
        if self.stage == UP and self.peer is not None:
            try:
                self._registry.cluster.proceed(self.peer)
            except Exception:  # or all who are behind it in this turn would be left out
                self._defect(Failure())

    def _look(self) -> None:
        """Whether the other takes more."""
        window, untaken = self.stream.sending.size, self.stream.untaken
        if untaken >= window:
            self.link.congested = True
        elif self.link.congested and untaken <= window // 2:
            self.link.congested = False
            self.proceed()

    def confirm(self) -> None:
        """Say how far its stream was taken; while the store is far behind, the other is to wait."""
        journal = self._registry.cluster.broker.journal
        if journal is None or not journal.crowded():
            self.stream.receiving.tell()
            self.repeat()

    def repeat(self) -> None:
        """A sign of life."""
        self.said_at = self._turn.now
        self.callRemote(Took, total=self.stream.receiving.told)

    async def answers(self) -> bool:
        """Whether the other is there."""
        try:
            await self.callRemote(Ping).addTimeout(PROBE, self._registry.clock)
        except Exception:
            return False
        return self.stage == UP


def words_of(error: BaseException | None) -> str:
    """What OpenSSL says of a failure; it has a list of them."""
    args: Any = () if error is None else error.args
    found = [str(each[-1]) for each in args[0]] if args and isinstance(args[0], list) else []
    return ", ".join(found)
