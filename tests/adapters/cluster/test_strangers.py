"""Who connects to the port for nodes and is none, and nodes that do not keep to what was agreed: each is let go, and told of."""
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.protocols.amp import AmpBox, Command, StartTLS
from twisted.python.failure import Failure

from emqtwist.cluster import greeting as g
from emqtwist.cluster import proving
from emqtwist.cluster.boxes import MOST_KEYS, STRANGERS
from emqtwist.cluster.links import FAREWELL, HANDSHAKE, MOST_STRANGERS
from emqtwist.cluster.packing import pack
from emqtwist.cluster.problems import CALM
from emqtwist.cluster.protocol import LinkProtocol
from emqtwist.cluster.terms import Terms
from emqtwist.cluster.wire import Bye, Hello, NoLink, Prove, Push, Took
from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.inbox import To
from emqtwist.core.cluster.origin import ForwardedMessage
from emqtwist.core.cluster.part import Part
from emqtwist.core.cluster.peer import Peer
from tests.linked import COOKIE, Connection, LinkedNode, Stranger, Wires, address_of

MINE = Terms(node="z@x", incarnation="i", cookie=COOKIE, address="z@x", window=1 << 20)


class Visit:
    """A stranger connected to node a."""

    def __init__(self, lines: str = "", **terms: Any) -> None:
        self.net = Wires()
        self.a: LinkedNode = self.net.node("a@x", lines=lines, **terms)
        self.stranger = Stranger()
        self.protocol = self.a.links.port.buildProtocol(None)
        assert isinstance(self.protocol, LinkProtocol)
        self.connection = Connection(self.net.clock, self.stranger, self.protocol, "stranger", "a@x")
        self.net.connections.append(self.connection)

    def ask(self, command: type[Command], **said: Any) -> "dict[str, Any] | Failure | None":
        """The answer to a command, if there is one."""
        answers: list[Any] = []
        asked: Deferred[Any] | None = self.stranger.callRemote(command, **said)
        if asked is not None:
            asked.addBoth(answers.append)
        self.net.settle()
        return answers[0] if answers else None

    def hello(self, **changes: Any) -> "dict[str, Any] | Failure | None":
        return self.ask(Hello, **{**g.hello(MINE, bytes(32)), **changes})

    def prove(self, cookie: str = COOKIE, **changes: Any) -> "dict[str, Any] | Failure | None":
        """Hello, and a proof."""
        said = {**g.hello(MINE, bytes(32)), **changes}
        reply = self.hello(**changes)
        assert isinstance(reply, dict)
        transcript = proving.transcript(*[part[key] for part in (said, reply) for key in sorted(part)])
        self.answers = proving.proof(cookie, proving.ANSWERS, transcript)
        return self.ask(Prove, proof=proving.proof(cookie, proving.DIALS, transcript))

    def send(self, data: bytes) -> None:
        self.connection.transports[0].write(data)
        self.net.settle()

    def causes(self) -> list[str]:
        return [problem.cause for problem in self.a.links.problems.all()]

    def is_gone(self, cause: str) -> bool:
        return self.stranger.lost and "z@x" not in self.a.linked() and self.causes() == [cause]

    def is_let_go(self, *causes: str) -> bool:
        return self.stranger.lost and self.a.linked() == [] and self.causes() == list(causes)


def refusal(answer: "dict[str, Any] | Failure | None") -> str:
    assert isinstance(answer, Failure)
    error = answer.trap(NoLink)
    assert error is NoLink
    return str(answer.value)


def test_who_knows_the_cookie_is_linked_and_the_node_proves_it_too() -> None:
    visit = Visit()
    answer = visit.prove()
    assert answer == {"proof": visit.answers}
    assert visit.a.linked() == ["z@x"]
    assert visit.stranger.pushed


def test_who_does_not_is_told_so_and_nothing_else() -> None:
    visit = Visit()
    assert refusal(visit.prove("another cookie")) == "wrong_cookie: z@x does not know that of a@x"
    assert visit.is_let_go("wrong_cookie")
    assert visit.stranger.pushed == b""


def test_a_proof_is_of_one_side_and_for_one_link() -> None:
    first, second = Visit(), Visit()
    said = g.hello(MINE, bytes(32))
    replies = [visit.hello() for visit in (first, second)]
    scripts = []
    for reply in replies:
        assert isinstance(reply, dict)
        scripts.append(proving.transcript(*[part[key] for part in (said, {**reply, "nonce": b"?" * 32}) for key in sorted(part)]))
    refusal(first.ask(Prove, proof=proving.proof(COOKIE, proving.DIALS, scripts[0])))  # over another number than was drawn
    script = proving.transcript(*[part[key] for part in (said, replies[1]) if isinstance(part, dict) for key in sorted(part)])
    refusal(second.ask(Prove, proof=proving.proof(COOKIE, proving.ANSWERS, script)))
    assert first.is_let_go("wrong_cookie")
    assert second.is_let_go("wrong_cookie")


def test_a_proof_before_any_hello_is_none() -> None:
    visit = Visit()
    refusal(visit.ask(Prove, proof=b""))
    assert visit.is_let_go("no_node")


def test_a_second_hello_is_one_too_many() -> None:
    visit = Visit()
    visit.hello()
    refusal(visit.hello())
    assert visit.is_let_go("no_node")


@pytest.mark.parametrize("changes", [
    {"node": "no name"}, {"node": "a" * 500 + "@x"}, {"incarnation": ""}, {"incarnation": "a b"}, {"address": "x" * 301},
    {"address": "a\nb"}, {"window": 1000}, {"window": -1}, {"nonce": b"short"}])
def test_what_no_node_says_of_itself_is_refused(changes: dict[str, Any]) -> None:
    visit = Visit()
    assert refusal(visit.hello(**changes)).startswith("no_node: ")
    assert visit.is_let_go("no_node")


@pytest.mark.parametrize("data", [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x00\x00", b"\x00\x01a\x00\x01b\x00\x00",
    AmpBox({b"_answer": b"1"}).serialize(), AmpBox({b"_error": b"1"}).serialize(),
    AmpBox({b"_command": b"Hello"}).serialize(), AmpBox({b"_command": b"Hello", b"_ask": b"1"}).serialize(),
    AmpBox({b"_command": b"Nonsense", b"_ask": b"1"}).serialize(), AmpBox({b"_command": b"Push", b"data": b""}).serialize(),
    AmpBox({b"_command": b"Ping", b"_ask": b"1"}).serialize(), AmpBox({b"_command": b"Bye", b"reason": b""}).serialize()])
def test_nonsense_ends_the_connection_and_fills_no_log(data: bytes) -> None:
    visit = Visit()
    visit.send(data)
    assert visit.is_let_go("no_node")


def test_what_amp_itself_offers_is_not_there() -> None:
    visit = Visit()
    visit.send(AmpBox({b"_command": StartTLS.commandName, b"_ask": b"1"}).serialize())
    assert visit.is_let_go("no_node")


def test_a_box_has_few_keys() -> None:
    visit = Visit()
    keys = b"".join([b"\x00\x02%02d\x00\x00" % number for number in range(MOST_KEYS)])
    visit.send(keys)
    assert not visit.stranger.lost
    visit.send(b"\x00\x02xx")
    assert visit.is_let_go("no_node")


def test_a_stranger_may_not_send_much() -> None:
    visit = Visit()
    box = b"\x00\x01a\xff\xff" + bytes(65_535)
    assert len(box) > STRANGERS
    visit.send(box[:STRANGERS])
    assert not visit.stranger.lost
    visit.send(box[STRANGERS:])
    assert visit.is_let_go("no_node")


def test_a_stranger_has_little_time() -> None:
    visit = Visit()
    visit.net.run(HANDSHAKE - 0.2)
    assert not visit.stranger.lost
    visit.net.run(0.4)
    assert visit.is_let_go("silent")


def crowd(visit: Visit) -> None:
    """As many as may be there, of whom the stranger of the visit is one."""
    for number in range(MOST_STRANGERS - 1):
        answering = visit.a.links.port.buildProtocol(address_of("10.0.0.9"))
        assert answering is not None
        visit.net.connections.append(Connection(visit.net.clock, Stranger(), answering, f"stranger{number}", "a@x"))


def test_when_too_many_come_the_next_ones_are_refused_and_that_is_a_problem_until_it_is_over() -> None:
    visit = Visit()
    crowd(visit)
    assert visit.causes() == visit.a.alarms() == []
    for host in ("10.0.0.8", "10.0.0.7"):
        assert visit.a.links.port.buildProtocol(address_of(host)) is None
    [problem] = visit.a.links.problems.all()
    assert (problem.who, problem.cause, problem.count) == ("a@x", "crowd", 2)
    assert problem.text == ("more are at the port for nodes that have proved nothing yet than are taken: 100; "
                            "10.0.0.7 was refused last")
    assert visit.a.alarms() == ["cluster_crowd"]
    visit.net.run(HANDSHAKE + 0.2)
    assert visit.a.links.port.buildProtocol(address_of("10.0.0.8")) is not None
    visit.net.run(CALM - HANDSHAKE - 1)
    assert "crowd" in visit.causes()
    assert visit.a.alarms() == ["cluster_crowd"]
    visit.net.run(1)
    assert "crowd" not in visit.causes()
    assert visit.a.alarms() == []


def test_a_crowd_keeps_a_node_out_and_leaves_the_links_that_there_are() -> None:
    visit = Visit()
    b = visit.net.node("b@x", seeds=("a@x",))
    visit.net.run(1)
    crowd(visit)
    c = visit.net.node("c@x", seeds=("a@x",))
    visit.net.run(1)
    assert (b.linked(), c.linked(), visit.a.linked()) == (["a@x"], [], ["b@x"])
    assert visit.causes() == ["crowd"]
    assert c.problems() == [("unreachable", "a@x")]
    visit.net.run(HANDSHAKE + 3)
    assert visit.a.linked() == ["b@x", "c@x"]


def test_who_comes_while_no_links_are_made_is_no_crowd() -> None:
    visit = Visit()
    crowd(visit)
    visit.a.links.stop()
    assert visit.a.links.port.buildProtocol(address_of("10.0.0.8")) is None
    assert "crowd" not in visit.causes()


def test_one_that_only_looks_whether_there_is_a_port_is_no_problem() -> None:
    visit = Visit()
    visit.connection.cut()
    visit.net.settle()
    assert visit.is_let_go()


def test_a_connection_that_does_not_close_is_cut() -> None:
    visit = Visit()
    visit.prove()
    aborted: list[bool] = []
    vars(visit.connection.transports[1])["abortConnection"] = lambda: aborted.append(True)
    visit.connection.stuck = True
    visit.a.links.stop()
    visit.net.run(FAREWELL - 0.2)
    assert aborted == []
    visit.net.run(0.4)
    assert aborted == [True]


# Nodes.

@pytest.mark.parametrize(("data", "text"), [
    (b"\xc1", "to be unpacked"), (pack((99,)), "unknown kind"), (pack((f.FLUSHED,)), "fields"),
    (b"\x81\x01\x01", "to be unpacked"),
    (b"\xdd\x00\x01\x00\x00", "to be unpacked"), (b"\xd4\x01\x00", "to be unpacked"), (b"\x81\xa1a\x01", "to be unpacked"),
    (b"\x93" * 2000, "to be unpacked"), (b"\xa1\xff", "to be unpacked")])
def test_a_frame_that_is_none_ends_the_link(data: bytes, text: str) -> None:
    visit = Visit()
    visit.prove()
    visit.ask(Push, data=data)
    assert visit.is_let_go("bad_frame")
    assert text in visit.stranger.byes[0]
    assert visit.a.alarms() == ["cluster_bad_frame"]


def test_who_sends_more_than_it_was_told_to_is_let_go() -> None:
    visit = Visit(window=65_536)
    visit.prove()
    visit.a.links.tick()
    visit.a.cluster.take = lambda peer, frames: None  # type: ignore[method-assign]
    visit.protocol.confirm = lambda: None  # type: ignore[union-attr, method-assign] # as while the store is behind
    frame = pack((f.FLUSHED, 1))
    for _ in range(2):
        visit.ask(Push, data=frame * (30_000 // len(frame)))
        assert visit.a.linked() == ["z@x"]
    visit.ask(Push, data=frame * (30_000 // len(frame)))
    assert visit.is_let_go("flood")
    assert visit.a.alarms() == ["cluster_flood"]


def test_who_has_taken_what_was_not_sent_is_let_go() -> None:
    visit = Visit()
    visit.prove()
    visit.ask(Took, total=10_000)
    assert visit.is_let_go("flood")


def test_a_defect_ends_the_link_and_is_logged(logged_failures: list[Failure]) -> None:
    visit = Visit()
    visit.prove()

    def broken(*arguments: object) -> None:
        raise ZeroDivisionError

    visit.a.cluster.serve[f.FLUSHED] = broken
    visit.ask(Push, data=pack((f.FLUSHED, 1)))
    assert visit.is_let_go("defect")
    assert [failure.type for failure in logged_failures] == [ZeroDivisionError]
    logged_failures.clear()


class Broken(Part):
    """Of the cluster; it has a defect where it does something for a stranger."""

    def proceed(self, peer: Peer) -> None:
        if peer.name == MINE.node:
            raise ZeroDivisionError


def test_a_defect_in_what_there_is_to_do_for_a_node_costs_that_link_alone(logged_failures: list[Failure]) -> None:
    visit = Visit()
    visit.prove()
    b = visit.net.node("b@x", seeds=("a@x",))
    visit.net.run(1)
    visit.a.cluster.parts.append(Broken())
    visit.a.turns.begin()
    visit.a.cluster.peers["z@x"].stir()
    visit.a.publish(b"to all")
    visit.net.settle()
    assert visit.is_gone("defect")
    assert b.heard == [b"to all"]
    assert {failure.type for failure in logged_failures} == {ZeroDivisionError}
    logged_failures.clear()


class BrokenGroup(To):
    def take(self, peer: Peer, message: ForwardedMessage, group: bytes) -> None:
        raise ZeroDivisionError


def test_a_message_that_meets_a_defect_counts_as_taken_and_what_is_behind_it_does_not(logged_failures: list[Failure]) -> None:
    """So it does not end each link anew."""
    visit = Visit()
    visit.prove()
    visit.a.cluster.inbox.to_group = BrokenGroup()
    forwarded = [pack((f.FORWARD, number, 0, number, 2, b"t/x", b"", b"", None, "p", group))
                 for number, group in ((1, b""), (2, b"g"), (3, b""))]
    visit.ask(Push, data=b"".join([pack((f.GREET, "identity")), *forwarded]))
    assert visit.is_let_go("defect")
    assert visit.a.cluster.inbox.marks["z@x"].kept == 2
    assert visit.a.heard == [b""]
    assert [failure.type for failure in logged_failures] == [ZeroDivisionError]
    logged_failures.clear()


def test_nobody_is_told_to_go_on_while_the_store_is_behind() -> None:
    visit = Visit()
    visit.prove()
    crowded = [True]

    class Journal:
        def crowded(self) -> bool:
            return crowded[0]

        def wall(self, at: float) -> float:
            return at

    visit.a.broker.journal = Journal()  # type: ignore[assignment]
    told = visit.stranger.taken
    frame = pack((f.FLUSHED, 1))
    visit.ask(Push, data=frame)
    visit.net.run(2)
    assert visit.stranger.taken == told
    crowded[0] = False
    visit.net.run(0.1)
    assert visit.stranger.taken == told + len(frame)


def test_a_node_that_takes_nothing_stalls_its_own_link_alone() -> None:
    visit = Visit(window=65_536)
    visit.prove(window=65_536)
    b = visit.net.node("b@x", seeds=("a@x",))
    visit.net.run(1)
    assert visit.a.linked() == ["b@x", "z@x"]
    before = len(visit.stranger.pushed)
    link = visit.a.to("z@x")
    visit.a.turns.begin()
    for _ in range(10):
        link.link.send(bytes(10_000))
        visit.a.publish(b"x" * 10_000)
    visit.net.settle()
    assert len(visit.stranger.pushed) <= 65_536
    assert len(visit.stranger.pushed) > before
    assert link.link.congested
    assert len(b.heard) == 10
    visit.ask(Took, total=len(visit.stranger.pushed))
    assert link.stream.waiting == 0
    assert link.link.congested  # until half of the window is free
    visit.ask(Took, total=len(visit.stranger.pushed))
    assert not link.link.congested


def test_a_node_for_which_too_much_waits_is_let_go() -> None:
    visit = Visit(window=65_536, lines="mqtt.max_packet_size = 1KB")
    visit.prove(window=65_536)
    link = visit.a.to("z@x").link
    for _ in range(20):
        visit.a.turns.begin()
        link.send(bytes(65_536))
        visit.net.settle()
    assert visit.is_let_go("slow")
    assert visit.a.alarms() == ["cluster_slow"]
    assert visit.stranger.byes[0].startswith("slow: ")


def test_a_reason_that_is_told_is_not_believed_at_length() -> None:
    visit = Visit()
    visit.prove()
    visit.ask(Bye, reason="slow: " + "x" * 1000 + "\n")
    [problem] = visit.a.links.problems.all()
    assert problem.text == "less is taken than there is to tell: it says: " + "x" * 200
    assert problem.who == "z@x"
    visit = Visit()
    visit.prove()
    visit.ask(Bye, reason="nonsense")
    assert visit.causes() == ["no_node"]
