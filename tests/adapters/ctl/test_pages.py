"""Long answers come in pages of bounded work; what fails is told; strangers prove what they know."""
from collections.abc import Iterator

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.test.iosim import FakeTransport

from emqtwist.core.session import Session
from emqtwist.ctl import login
from emqtwist.ctl.client import log_in
from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Refused, Step, Words, WrongWords, plain
from emqtwist.ctl.server import LONGEST, PATIENCE, PIECE, STEPS, STRANGERS, Gate
from emqtwist.ctl.walking import RUN, in_order
from emqtwist.ctl.wire import Failed, NotAllowed
from tests.desks import TEST, Customer, Desk


class Watched(dict[str, Session]):
    """A table of sessions that counts how often one is looked up."""

    looks = 0

    def get(self, key: str, default: object = None) -> object:  # type: ignore[override]
        self.looks += 1
        return super().get(key)


def crowd(desk: Desk, count: int) -> Watched:
    sessions = desk.service.broker.sessions
    for number in range(count):
        sessions.create(f"c{number:05}")
    watched = sessions.by_id = Watched(sessions.by_id)
    return watched


@pytest.mark.parametrize("words", [("sessions", "list"), ("sessions", "list", "persistent"), ("clients", "list"),
                                   ("sessions", "top"), ("subscriptions", "list")], ids=" ".join)
def test_no_page_of_fifteen_thousand_sessions_looks_at_more_than_some(words: tuple[str, ...]) -> None:
    desk = Desk()
    watched = crowd(desk, 15_000)
    customer = desk.customer()
    TEST.successResultOf(customer.server.run(list(words)))
    pages = rows = 0
    last = False
    while not last:
        watched.looks = 0
        answer = TEST.successResultOf(customer.server.more())
        assert watched.looks <= STEPS
        piece = answer["piece"]
        assert isinstance(piece, bytes)
        assert len(piece) <= PIECE
        rows += piece.count(b"\n")
        last = bool(answer["last"])
        pages += 1
    assert rows == {"sessions list": 15_000, "sessions top": 10}.get(" ".join(words), 0)
    assert pages >= 15_000 // STEPS


def test_topics_come_in_pages_too() -> None:
    desk = Desk()
    for number in range(1000):
        desk.service.subscribe(f"t/{number}", lambda message: None)
    customer = desk.customer()
    TEST.successResultOf(customer.server.run(["topics", "list"]))
    piece = TEST.successResultOf(customer.server.more())["piece"]
    assert isinstance(piece, bytes)
    assert piece.count(b"\n") == STEPS - 1000 // RUN
    assert len(customer.ask("topics", "list").splitlines()) == 1000


def test_names_come_in_order_and_no_step_sorts_many() -> None:
    names = [f"{number * 7919 % 1000:04}" for number in range(1000)]
    steps = list(in_order(list(names)))
    assert [step for step in steps if step is not None] == sorted(names)
    assert steps.count(None) == 1000 // RUN


def test_what_comes_and_goes_meanwhile_does_not_disturb_a_listing() -> None:
    desk = Desk()
    crowd(desk, 500)
    customer = desk.customer()
    asked, out = customer.begin("sessions", "list")
    for _ in range(4):
        customer.pump.pump()
    assert not asked.called
    sessions = desk.service.broker.sessions
    sessions.discard(sessions.by_id["c00499"])
    sessions.create("late")
    customer.pump.flush()
    TEST.successResultOf(asked)
    assert [line.split(",")[0] for line in "".join(out).splitlines()] == [f"Session(c{number:05}" for number in range(499)]


def test_a_page_ends_early_when_its_rows_are_long() -> None:
    desk = Desk()
    taken = 0

    def long(context: Context, words: Words) -> Iterator[Line]:
        nonlocal taken
        for _ in range(50):
            taken += 1
            yield plain("x" * 65_000)

    desk.service.commands.add("long", "", "Much", long)
    customer = desk.customer()
    TEST.successResultOf(customer.server.run(["long"]))
    customer.server.more()
    assert taken == 1
    assert desk.lines("long") == ["x" * 65_000] * 50  # each arrives whole, though it is longer than an AMP value


def test_a_listing_goes_with_its_connection() -> None:
    desk = Desk()
    crowd(desk, 500)
    customer = desk.customer()
    TEST.successResultOf(customer.server.run(["sessions", "list"]))
    customer.server.more()
    customer.leave()
    assert list(customer.server.rows) == []
    assert desk.control.factory.connections == {}


def test_who_does_not_read_is_not_served_further() -> None:
    """A page is made when the one before it was taken, so that nothing heaps up in the broker."""
    desk = Desk()
    steps = 0

    def endless(context: Context, words: Words) -> Iterator[Step]:
        nonlocal steps
        while True:
            steps += 1
            yield plain("x")

    desk.service.commands.add("endless", "", "Go on", endless)
    customer = desk.customer()
    _, out = customer.begin("endless")
    for _ in range(6):
        customer.pump.pump()
    assert steps <= 6 * STEPS
    before = steps
    desk.reactor.pump([1.0] * 10)
    assert steps == before
    assert len(out) < steps + 1


# What goes wrong.

def test_what_a_command_does_stands_apart_from_its_words_however_long_they_are() -> None:
    lines = [line for line in Desk().lines("help") if "#" in line]
    assert lines
    assert all(" # " in line for line in lines)


def test_words_that_no_command_takes_are_told_the_usage() -> None:
    desk = Desk()
    error = desk.error("nonsense")
    assert isinstance(error, WrongWords)
    lines = str(error).splitlines()
    assert lines[:2] == ["Usage: emqtwist_ctl", "-" * 80]
    assert lines[:-1] == desk.lines("help") == desk.lines()
    assert lines[-1] == "cmd_not_found"
    error = desk.error("clients", "show")
    assert isinstance(error, WrongWords)
    assert [line.split("#")[0].rstrip() for line in str(error).splitlines()] == [
        "clients list", "clients show <ClientId>", "clients kick <ClientId>"]
    assert str(error).splitlines()[0] == f"{'clients list':<48}# List all clients that are connected"


def test_what_a_command_raises_is_logged_and_told(logged_failures: list[Failure]) -> None:
    def broken(context: Context, words: Words) -> list[Line]:
        raise ValueError("of ours")

    def breaking(context: Context, words: Words) -> Iterator[Line]:
        yield plain("some")
        raise KeyError("later")

    async def waiting(context: Context, words: Words) -> list[Line]:
        await Deferred.fromCoroutine(fails())
        return []

    async def fails() -> None:
        raise OSError("in the end")

    desk = Desk()
    desk.service.commands.add("broken", "", "Fail", broken)
    desk.service.commands.add("breaking", "", "Fail", breaking)
    desk.service.commands.add_waiting("waiting", "", "Fail", waiting)
    told = []
    for name in ("broken", "breaking", "waiting"):
        error = desk.error(name)
        assert isinstance(error, Failed)
        told.append(str(error))
    assert told == ["ValueError: of ours", "KeyError: 'later'", "OSError: in the end"]
    assert [failure.type for failure in logged_failures] == [ValueError, KeyError, OSError]
    logged_failures.clear()


def test_a_refusal_of_any_length_is_told() -> None:
    def refusing(context: Context, words: Words) -> list[Line]:
        raise Refused("€" * 100_000)

    def late(context: Context, words: Words) -> Iterator[Line]:
        yield plain("some")
        raise Refused("€" * 100_000)

    desk = Desk()
    desk.service.commands.add("refusing", "", "Refuse", refusing)
    desk.service.commands.add("late", "", "Refuse", late)
    for name in ("refusing", "late"):
        error = desk.error(name)
        assert isinstance(error, Refused)
        assert str(error) == "€" * LONGEST


def test_a_command_that_waits_keeps_no_other_customer_waiting() -> None:
    desk = Desk()
    answer: Deferred[list[Line]] = Deferred()

    async def slow(context: Context, words: Words) -> list[Line]:
        return await answer

    desk.service.commands.add_waiting("slow", "", "Wait", slow)
    first, second = desk.customer(), desk.customer()
    asked, out = first.begin("slow")
    first.pump.flush()
    assert len(second.ask("status").splitlines()) == 2
    assert not asked.called
    answer.callback([plain("done")])
    first.pump.flush()
    TEST.successResultOf(asked)
    assert out == ["done\n"]


def test_a_later_command_takes_the_place_of_one_that_waits() -> None:
    desk = Desk()
    answer: Deferred[list[Line]] = Deferred()

    async def slow(context: Context, words: Words) -> list[Line]:
        return await answer

    desk.service.commands.add_waiting("slow", "", "Wait", slow)
    customer = desk.customer()
    asked, _ = customer.begin("slow")
    assert len(customer.ask("status").splitlines()) == 2
    answer.callback([plain("late")])
    customer.pump.flush()
    assert isinstance(TEST.failureResultOf(asked).value, Refused)


def test_a_command_that_is_there_is_replaced_in_its_place() -> None:
    desk = Desk()
    before = [line.split("#")[0] for line in desk.lines("help")]
    desk.service.commands.add("status", "", "Something else", lambda context, words: [plain("mine")])
    assert [line.split("#")[0] for line in desk.lines("help")] == before
    assert desk.lines("status") == ["mine"]
    with pytest.raises(KeyError):
        desk.service.commands.remove("no such")


# Strangers.

SECRET = "a secret of sixteen or more"


def stranger(desk: Desk) -> Customer:
    gate = Gate(desk.control.factory, SECRET)
    return Customer(desk, lambda: gate.buildProtocol(None))


def closed(customer: Customer) -> bool:
    transport = customer.server.transport
    return not isinstance(transport, FakeTransport) or bool(transport.disconnecting or transport.disconnected)


def test_who_knows_the_secret_is_served() -> None:
    desk = Desk()
    customer = stranger(desk)
    entered = Deferred.fromCoroutine(log_in(customer.client, SECRET))
    customer.pump.flush()
    TEST.successResultOf(entered)
    assert len(customer.ask("status").splitlines()) == 2
    desk.reactor.advance(PATIENCE)
    assert not closed(customer)


def test_who_does_not_know_it_is_not_and_is_gone() -> None:
    desk = Desk()
    customer = stranger(desk)
    assert isinstance(customer.error("status"), NotAllowed)
    entered = Deferred.fromCoroutine(log_in(customer.client, SECRET + "?"))
    customer.pump.flush()
    assert isinstance(TEST.failureResultOf(entered).value, NotAllowed)
    assert isinstance(customer.error("clients", "kick", "x"), NotAllowed)
    desk.reactor.advance(0)
    assert closed(customer)


def test_a_proof_holds_for_its_connection_only() -> None:
    desk = Desk()
    first, second = stranger(desk), stranger(desk)
    nonce = login.draw()
    proof = login.proof(SECRET, login.CLIENT, first.server.greet()["challenge"], nonce)  # type: ignore[arg-type]
    first.server.login(nonce, proof)
    with pytest.raises(NotAllowed):
        second.server.login(nonce, proof)


def test_a_broker_that_does_not_know_the_secret_is_noticed() -> None:
    desk = Desk()
    customer = stranger(desk)
    server = customer.server
    challenge = server.greet()["challenge"]
    assert isinstance(challenge, bytes)
    nonce = login.draw()
    echoed = login.proof(SECRET, login.CLIENT, challenge, nonce)
    assert not login.is_right(echoed, SECRET, login.BROKER, challenge, nonce)  # who only sends back what came is not the broker
    assert server.login(nonce, echoed) == {"proof": login.proof(SECRET, login.BROKER, challenge, nonce)}
    assert not login.is_right(echoed, SECRET, login.CLIENT, challenge, b"")


def test_a_stranger_has_little_time_and_little_to_say() -> None:
    desk = Desk()
    slow, loud = stranger(desk), stranger(desk)
    desk.reactor.advance(PATIENCE - 1)
    assert not closed(slow)
    desk.reactor.advance(1)
    assert closed(slow)
    loud.server.dataReceived(b"\0\1k" * (STRANGERS // 3 + 1))
    assert closed(loud)
