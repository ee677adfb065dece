"""The side that dials: when it tries again, whom it tells, and what it makes of who answers."""
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.protocols.amp import AMP
from twisted.test.iosim import FakeTransport

from emqtwist.cluster import greeting as g
from emqtwist.cluster import proving
from emqtwist.cluster.dialer import FIRST, LONGEST, PATIENCE, STEADY, YIELD, Dialer
from emqtwist.cluster.packing import pack
from emqtwist.cluster.refusals import ITSELF, LOST, Refused
from emqtwist.cluster.terms import Terms
from emqtwist.cluster.wire import Hello, Prove, Push
from emqtwist.core.cluster import frames as f
from tests.linked import COOKIE, LinkedNode, Stranger, Wires


class Room:
    """A dialer of one address, whose attempts are in `attempts`; a test decides what becomes of each."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.changed: Callable[[], None] = lambda: None
        self.attempts: list[Deferred[Any]] = []
        self.told: list[tuple[str, ...]] = []
        self.up: set[str] = set()
        self.random = 0.5
        self.dialer = Dialer("a@x", self, self._endpoint, lambda address: SimpleNamespace(dialled=address),  # type: ignore[arg-type, return-value]
                             lambda name: name in self.up, lambda address, refused: self.told.append(("unreachable", address)),
                             self.clock, lambda: self.random)
        self.dialer.start()

    def addresses(self) -> dict[str, str]:
        return {"there": ""}

    def dialled(self, address: str, name: str) -> None:
        """Nobody is found here."""

    def failed(self, address: str, reason: str) -> None:
        self.told.append(("failed", address, reason))

    def _endpoint(self, address: str) -> Any:
        return self

    def connect(self, factory: Any) -> Deferred[Any]:
        self.attempts.append(Deferred())
        return self.attempts[-1]

    def next_after(self) -> float:
        """How long it takes until it is tried again."""
        count, begin = len(self.attempts), self.clock.seconds()
        while len(self.attempts) == count:
            self.clock.advance(0.05)
            self.dialer.look()
        return self.clock.seconds() - begin

    def answer(self, lasts: float, cause: str = LOST, linked: bool = True) -> None:
        """Somebody is there, and so long a link."""
        protocol: Any = SimpleNamespace(dialled="there", node="b@x", peer=self if linked else None, since=self.clock.seconds())
        self.dialer.met(protocol)
        if linked:
            self.dialer.found(protocol)
        self.attempts[-1].callback(protocol)
        self.clock.advance(lasts)
        self.dialer.ended(protocol, Refused(cause), self.clock.seconds())


def about(seconds: float) -> Any:
    return pytest.approx(seconds, abs=0.06)


def test_pauses_are_given_or_taken_half() -> None:
    for random, factor in ((0.0, 0.5), (0.5, 1.0), (0.99, 1.49)):
        room = Room()
        room.random = random
        for number in range(3):
            room.attempts[-1].errback(OSError("no"))
            assert room.next_after() == about(FIRST * 2 ** number * factor)


def test_a_link_that_held_makes_the_next_pause_short_again() -> None:
    room = Room()
    for _ in range(5):
        room.attempts[-1].errback(OSError("no"))
        room.next_after()
    room.answer(STEADY + 1)
    assert room.next_after() == about(FIRST)


def test_a_link_that_did_not_hold_does_not() -> None:
    room = Room()
    for _ in range(3):
        room.answer(0.1)
        room.next_after()
    room.answer(0.1)
    assert room.next_after() == about(FIRST * 8)


def test_a_node_of_a_smaller_name_may_dial_first() -> None:
    room = Room()
    room.dialer._node = "c@x"  # and b@x is there
    room.answer(STEADY + 1)
    assert room.next_after() == about(FIRST + YIELD)
    room.dialer.attempts.clear()
    room.addresses = lambda: {"there": "b@x"}  # type: ignore[method-assign]
    assert room.next_after() == about(YIELD)


def test_itself_is_not_asked_soon_again() -> None:
    room = Room()
    room.answer(0, ITSELF, linked=False)
    assert room.next_after() == about(LONGEST)


def test_nobody_is_waited_for_long() -> None:
    room = Room()
    room.clock.advance(PATIENCE + 0.1)
    assert [each[:2] for each in room.told] == [("unreachable", "there"), ("failed", "there")]
    assert room.next_after() == about(FIRST)


def test_who_wants_an_address_hears_why_there_is_nobody() -> None:
    room = Room()
    room.attempts[-1].errback(OSError("no way"))
    assert room.told == [("unreachable", "there"), ("failed", "there", "nobody answers: no way")]
    room.told.clear()
    room.next_after()
    room.answer(0, LOST, linked=False)
    assert room.told == [("failed", "there", "the connection was lost")]


def test_an_address_that_is_none_is_as_one_where_nobody_is() -> None:
    room = Room()

    def bad(address: str) -> Any:
        raise ValueError("not a host and a port")

    room.dialer._endpoint = bad
    room.attempts[-1].errback(OSError("no way"))
    room.clock.advance(1)
    room.dialer.look()
    assert room.told[-1] == ("failed", "there", "nobody answers: not a host and a port")


# Who answers.

class Answerer(Stranger):
    """Says what it is told to."""

    def __init__(self, cookie: str = COOKIE, **said: Any) -> None:
        super().__init__()
        terms = Terms(node="z@x", incarnation="z", address="fake", window=1 << 20)
        self.cookie = cookie
        self.reply = {**g.answer(terms, 1, bytes(32)), **said}
        self.then = b""
        self.script = b""

    @Hello.responder
    def hello(self, **said: Any) -> dict[str, Any]:
        del said["role"]  # it comes as a node
        self.script = proving.transcript(*[part[key] for part in (said, self.reply) for key in sorted(part)])
        return self.reply

    @Prove.responder
    def prove(self, proof: bytes) -> dict[str, Any]:
        return {"proof": proving.proof(self.cookie, proving.ANSWERS, self.script)}


def dialling(answerer: AMP) -> tuple[Wires, LinkedNode]:
    """A node that has dialled there."""
    net = Wires()
    port: Any = SimpleNamespace(buildProtocol=lambda address: answerer)
    net.nodes["fake"] = SimpleNamespace(links=SimpleNamespace(port=port), tick=lambda: None,  # type: ignore[assignment]
                                        broker=SimpleNamespace(tick=lambda: None))
    b = net.node("b@x", seeds=("fake",))
    net.settle()
    return net, b


def test_who_answers_proves_what_it_knows() -> None:
    assert dialling(Answerer())[1].linked() == ["z@x"]
    _, b = dialling(Answerer("another cookie"))
    assert b.linked() == []
    assert b.problems() == [("wrong_cookie", "fake")]


def test_who_answers_cannot_choose_what_was_not_offered() -> None:
    _, b = dialling(Answerer(version=2))
    assert b.linked() == []
    assert b.problems() == [("wrong_version", "fake")]


def test_what_comes_before_there_is_a_link_is_kept() -> None:
    answerer = Answerer()
    net, b = dialling(answerer)
    again = Answerer(incarnation="later")  # z@x has been started anew, and its old link is still there
    cast_net: Any = net
    cast_net.nodes["fake"].links.port.buildProtocol = lambda address: again
    old = b.to("z@x")
    net.connections[0].stuck = True
    answers: list[object] = []
    b.cluster.serve[f.FLUSHED] = lambda peer, frame: answers.append(frame)
    b.links.dialer.attempts.clear()
    b.links.up["other"] = b.links.up.pop("z@x")  # so that it is dialled
    b.links.dialer.look()
    b.links.up["z@x"] = b.links.up.pop("other")
    net.settle()
    again.callRemote(Push, data=pack((f.FLUSHED, 1)))
    net.settle()
    assert b.to("z@x") is old
    assert answers == []
    net.run(1.5)
    assert b.to("z@x").incarnation == "later"
    assert answers == [(f.FLUSHED, 1)]


def test_what_is_small_does_not_wait_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bool] = []
    monkeypatch.setattr(FakeTransport, "setTcpNoDelay", lambda self, on: told.append(on))
    dialling(Answerer())
    assert told == [True]


def test_what_was_proved_is_told_before_the_link_opens() -> None:
    net = Wires()
    a = net.node("a@x")
    b = net.node("b@x")
    told: list[tuple[str, str, bool]] = []
    b.membership.dialled = lambda address, name: told.append(  # type: ignore[method-assign]
        (address, name, "a@x" in b.links.up))
    b.membership.join("a@x")
    net.settle()
    assert told == [("a@x", "a@x", False)]
    assert a.linked() == ["b@x"]
