"""Access control: the chain, who waits for it, what is remembered, and what its death costs."""
from collections.abc import Callable

import pytest
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from emqtwist.access import control as module
from emqtwist.access.asking import Asking
from emqtwist.access.chain import decide
from emqtwist.access.control import AccessControl
from emqtwist.access.stage import Unreachable
from emqtwist.config import parse
from emqtwist.core.access import Client, Deny, Finding, Ignore, Ok
from emqtwist.core.alarms import Alarms
from emqtwist.core.link import Turn
from emqtwist.core.observer import Observer
from emqtwist.core.pending import Pending
from emqtwist.mqtt import constants as c
from emqtwist.services.part import Killed
from tests.oracles import Oracle, client


class Desk:
    """An AccessControl that asks `first`, then `second`, with an Asking that runs."""

    def __init__(self, *lines: str, first: Oracle | None = None, second: Oracle | None = None) -> None:
        self.clock = Clock()
        self.first, self.second = first or Oracle(), second or Oracle()
        self.section = parse("\n".join(f"auth.{line}" for line in lines)).auth
        self.alarms = Alarms(Turn(), Observer())
        self.control = AccessControl(self.section, self.alarms, self.clock, self.clock.seconds)
        self.control.register("second", self.second)
        self.control.register("first", self.first)
        self.part = self.start()

    def start(self) -> Asking:
        part = Asking(self.control)
        part.startService()
        part.ended.addErrback(lambda failure: failure.trap(Killed, ZeroDivisionError))
        return part

    def judge(self, who: Client | None = None, password: bytes | None = b"pencil") -> Pending[Finding]:
        return self.control.judge(who or client(), password)

    def kind(self, password: bytes | None = b"pencil") -> type[Finding]:
        """What is found at once."""
        finding = self.judge(password=password).decision
        assert finding is not None
        return type(finding)


# The chain.

@pytest.mark.parametrize(("first", "second", "found", "asked"), [
    (Ok(), Deny(), Ok, 1), (Deny(), Ok(), Deny, 1), (Ignore(), Ok(), Ok, 2), (Ignore(), Deny(), Deny, 2),
    (Ignore(), Ignore(), Ignore, 2)])
def test_the_first_that_knows_the_client_decides(first: Finding, second: Finding, found: type[Finding], asked: int) -> None:
    desk = Desk(first=Oracle(first), second=Oracle(second))
    assert desk.kind() is found
    assert len(desk.first.asked) + len(desk.second.asked) == asked
    assert desk.first.asked == [("alice", b"pencil")]


def test_a_superuser_is_found_to_be_one() -> None:
    finding = Desk(first=Oracle(Ok(superuser=True))).judge().decision
    assert isinstance(finding, Ok)
    assert finding.superuser


def test_without_anybody_to_ask_nobody_is_guarded() -> None:
    desk = Desk()
    assert desk.control.guards("tcp.default")
    assert desk.control.unregister("first")
    assert desk.control.unregister("second")
    assert not desk.control.unregister("second")
    assert not desk.control.guards("tcp.default")
    assert (desk.first.closed, desk.second.closed) == (1, 1)


@pytest.mark.parametrize(("seq", "order"), [
    (1, ["new", "first", "second"]), (0, ["new", "first", "second"]), (-1, ["first", "second", "new"])])
def test_who_was_registered_is_asked_by_number_the_latest_first(seq: int, order: list[str]) -> None:
    desk = Desk()
    assert desk.control.register("new", Oracle(), seq)
    assert [stage.name for stage in desk.control.chain("tcp.default")] == order


def test_a_name_is_registered_once() -> None:
    desk = Desk()
    assert not desk.control.register("first", Oracle())
    with pytest.raises(ValueError, match="IAuthenticator"):
        desk.control.register("new", object())


# Failures.

class Odd(Oracle):
    async def authenticate(self, client: Client, password: bytes | None) -> Finding:
        return True  # type: ignore[return-value]


@pytest.mark.parametrize("make", [lambda: Oracle(ValueError("pencil")), Odd], ids=["raises", "gives what is no finding"])
@pytest.mark.parametrize(("lines", "found"), [((), Deny), (("on_error = next",), Ok)])
def test_a_failure_is_what_the_configuration_says(
        make: Callable[[], Oracle], lines: tuple[str, ...], found: type[Finding]) -> None:
    desk = Desk(*lines, first=make(), second=Oracle(Ok()))
    with capturedLogs() as events:
        finding = desk.judge().decision
    assert isinstance(finding, found)
    if isinstance(finding, Deny):
        assert finding.error.reason_code == c.SERVER_UNAVAILABLE
    assert "pencil" not in repr([event["log_format"].format(**event) for event in events])


def test_an_answer_that_comes_too_late_is_a_failure() -> None:
    desk = Desk("timeout = 2s", "on_error = next", second=Oracle(Ok()))
    pending = desk.judge()
    desk.clock.advance(1.9)
    assert pending.decision is None
    desk.clock.advance(0.1)
    assert isinstance(pending.decision, Ok)
    assert desk.first.cancelled == 1
    assert desk.clock.getDelayedCalls() == []


class Stubborn(Oracle):
    """Goes on when it is cancelled."""

    def _cancelled(self, waiting: object) -> None:
        waiting.callback(Ok())  # type: ignore[attr-defined]


def test_who_goes_on_in_spite_of_that_is_not_waited_for() -> None:
    desk = Desk("timeout = 2s", first=Stubborn())
    pending = desk.judge()
    desk.clock.advance(2)
    assert isinstance(pending.decision, Deny)


def test_what_failed_on_the_way_is_not_remembered() -> None:
    desk = Desk("on_error = next", first=Oracle(Unreachable("down"), Deny()), second=Oracle(Ok()))
    assert desk.kind() is Ok
    assert desk.kind() is Deny


def test_who_keeps_failing_is_left_alone_and_an_alarm_says_so() -> None:
    desk = Desk("breaker_failures = 2", "breaker_pause = 10s", "on_error = next",
                first=Oracle(Unreachable("down"), Unreachable("still down"), Ok()), second=Oracle(Ok(), Ok(), Ok()))
    for number in range(3):
        assert desk.kind(b"%d" % number) is Ok
    assert len(desk.first.asked) == 2
    [alarm] = desk.alarms.active.values()
    assert alarm.identifier == "authenticator_failing/first"
    assert "first has failed 2 times in a row, the last time: still down" in alarm.summary
    desk.clock.advance(10)
    assert desk.kind(b"3") is Ok
    assert len(desk.first.asked) == 3
    assert not desk.alarms.active


# How many at a time.

def test_each_is_asked_about_so_many_at_a_time_and_others_wait_in_turn() -> None:
    desk = Desk("concurrency = 2")
    for number in range(4):
        desk.judge(password=b"%d" % number)
    assert [password for _, password in desk.first.asked] == [b"0", b"1"]
    desk.first.answer(Ok())
    assert [password for _, password in desk.first.asked] == [b"0", b"1", b"2"]


def test_who_does_not_wait_any_more_is_not_asked_about() -> None:
    desk = Desk("concurrency = 1")
    pendings = [desk.judge(password=b"%d" % number) for number in range(3)]
    pendings[1].cancel()
    desk.first.answer(Ok())
    assert [password for _, password in desk.first.asked] == [b"0", b"2"]
    assert len(desk.control.running) == 1


def test_only_so_many_may_wait() -> None:
    desk = Desk("max_waiting = 2")
    for number in range(2):
        desk.judge(password=b"%d" % number)
    finding = desk.judge(password=b"2").decision
    assert isinstance(finding, Deny)
    assert finding.error.reason_code == c.SERVER_BUSY
    assert desk.judge(password=b"1").decision is None  # waits with another
    desk.first.answer(Ok())
    assert desk.judge(password=b"2").decision is None


def test_who_has_waited_too_long_is_refused_when_its_turn_comes() -> None:
    desk = Desk("concurrency = 1", "max_wait = 10s", "timeout = 1m")
    early, soon, late = desk.judge(password=b"0"), desk.judge(password=b"1"), desk.judge(password=b"2")
    desk.clock.advance(9.9)
    desk.first.answer(Ok())
    assert early.decision is not None
    assert soon.decision is None
    desk.clock.advance(0.1)
    desk.first.answer(Ok())
    assert isinstance(soon.decision, Ok)  # its turn had come in time
    assert isinstance(late.decision, Deny)
    assert late.decision.error.reason_code == c.SERVER_BUSY
    assert [password for _, password in desk.first.asked] == [b"0", b"1"]
    assert desk.judge(password=b"2").decision is None


def test_the_decoy_is_waited_for_no_longer_than_others() -> None:
    desk = Desk("concurrency = 1", "max_wait = 10s", "timeout = 1m", first=Oracle(Ignore(), Ignore()),
                second=Oracle(Ignore(), Ignore()))
    decoy = Oracle()
    desk.control.decoy = desk.control.stage("decoy", decoy)
    first, other = desk.judge(password=b"0"), desk.judge(password=b"1")
    desk.clock.advance(10)
    decoy.answer(Ignore())
    assert isinstance(first.decision, Ignore)
    assert isinstance(other.decision, Deny)


# What is remembered, and who waits together.

def test_who_comes_back_soon_is_not_asked_about_again() -> None:
    desk = Desk("cache_ttl = 10s", first=Oracle(Ok()))
    assert [desk.kind(), desk.kind()] == [Ok, Ok]
    desk.clock.advance(10)
    assert desk.judge().decision is None
    assert len(desk.first.asked) == 2


def test_a_wrong_password_after_a_right_one_is_wrong() -> None:
    desk = Desk(first=Oracle(Ok(), Deny()))
    assert desk.kind(b"pencil") is Ok
    assert desk.kind(b"Pencil") is Deny
    assert desk.kind(b"pencil") is Ok
    assert desk.kind(b"Pencil") is Deny
    assert len(desk.first.asked) == 2


def test_a_wrong_password_during_a_right_one_is_wrong() -> None:
    desk = Desk()
    right, wrong, same = desk.judge(password=b"pencil"), desk.judge(password=b"Pencil"), desk.judge(password=b"pencil")
    assert [password for _, password in desk.first.asked] == [b"pencil", b"Pencil"]
    desk.first.answer(Ok())
    assert isinstance(right.decision, Ok)
    assert same.decision is right.decision
    assert wrong.decision is None
    desk.first.answer(Deny())
    assert isinstance(wrong.decision, Deny)


@pytest.mark.parametrize("other", [
    client("d"), client(user_name="bob"), client(user_name=None), client(listener="tcp.other"), client(address="10.0.0.2")])
def test_only_who_is_the_same_in_everything_waits_together(other: Client) -> None:
    desk = Desk()
    desk.judge()
    desk.judge(other)
    assert len(desk.first.asked) == 2


def test_of_those_who_wait_together_one_may_go() -> None:
    desk = Desk("concurrency = 1")
    desk.judge(password=b"before")
    one, other = desk.judge(), desk.judge()
    one.cancel()
    desk.first.answer(Ok())
    desk.first.answer(Ok())
    assert isinstance(other.decision, Ok)


@pytest.mark.parametrize("change", [
    lambda desk: desk.control.forget(), lambda desk: desk.control.register("new", Oracle(Ignore())),
    lambda desk: desk.control.configure(desk.section, [], {}, None)])
def test_after_a_change_nothing_from_before_counts(change: Callable[[Desk], None]) -> None:
    desk = Desk(first=Oracle(Ok()))
    assert desk.kind(b"known") is Ok
    old = desk.judge(password=b"asked")
    change(desk)
    new = desk.judge(password=b"asked")
    desk.first.answer(Ok())
    assert isinstance(old.decision, Ok)
    assert new.decision is None
    desk.first.answer(Deny())
    assert isinstance(new.decision, Deny)
    assert desk.kind(b"asked") is Deny
    assert desk.judge(password=b"known").decision is None


def test_who_is_not_known_waits_as_long_as_one_with_a_wrong_password() -> None:
    desk = Desk("cache_ttl = 0", first=Oracle(Ignore(), Deny(), Ignore()), second=Oracle(Ignore(), Ignore()))
    decoy = Oracle(ValueError())
    desk.control.decoy = desk.control.stage("decoy", decoy)
    assert desk.kind(b"x") is Ignore
    assert decoy.asked == [("alice", b"x")]
    assert desk.kind(b"x") is Deny
    assert desk.kind(None) is Ignore
    assert len(decoy.asked) == 1


# What is told.

async def test_the_way_to_a_decision_is_told() -> None:
    desk = Desk("on_error = next", first=Oracle(Unreachable("down")), second=Oracle(Deny("the password is wrong")))
    who, control = client(), desk.control
    decision = await decide(control.chain(who.listener), who, b"pencil", True, lambda: True, control.now)
    assert [(told.name, told.outcome, told.why) for told in decision.story] == [
        ("first", "error", "down"), ("second", "deny", "the password is wrong")]
    assert isinstance(decision.finding, Deny)


# Deaths.

def test_who_waits_when_the_part_dies_is_asked_about_by_the_next_one() -> None:
    desk = Desk("concurrency = 1")
    pendings = [desk.judge(password=b"%d" % number) for number in range(3)]
    desk.part.kill()
    assert desk.first.cancelled == 1
    pendings.append(desk.judge(password=b"3"))
    assert len(desk.first.asked) == 1
    desk.start()
    for _ in range(4):
        desk.first.answer(Ok())
    assert [password for _, password in desk.first.asked] == [b"0", b"0", b"1", b"2", b"3"]
    assert all(isinstance(pending.decision, Ok) for pending in pendings)
    assert not desk.control.running


def test_a_defect_costs_who_met_it_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk("concurrency = 2")
    one, other = desk.judge(password=b"0"), desk.judge(password=b"1")
    whole = module.AccessControl.settle

    def broken(control: AccessControl, question: module.Question, finding: Finding) -> None:
        monkeypatch.setattr(module.AccessControl, "settle", whole)
        raise ZeroDivisionError

    monkeypatch.setattr(module.AccessControl, "settle", broken)
    desk.first.answer(Ok())
    assert isinstance(one.decision, Deny)
    assert one.decision.error.reason_code == c.SERVER_UNAVAILABLE
    assert not desk.part.running
    desk.start()
    desk.first.answer(Ok())
    assert isinstance(other.decision, Ok)


def test_a_part_that_stops_leaves_what_waits(logged_failures: list[Failure]) -> None:
    desk = Desk()
    pending = desk.judge()
    desk.part.stopService()
    desk.start()
    desk.first.answer(Ok())
    assert isinstance(pending.decision, Ok)
