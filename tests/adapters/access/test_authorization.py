"""Authorization: the order in which authorizers and rules are asked, and what keeps those from holding up the broker."""
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from emqtwist.access import authorization as module
from emqtwist.access.asking import Asking
from emqtwist.access.authorization import Authorization
from emqtwist.config import parse
from emqtwist.config.sections.acl import AclSection
from emqtwist.core.access import Verdict
from emqtwist.core.acl import PUBLISH, PUBSUB, SUBSCRIBE, Acl, Pattern, Rule, Ruling
from emqtwist.core.alarms import Alarms
from emqtwist.core.link import Turn
from emqtwist.core.metrics import Metrics
from emqtwist.core.observer import Observer
from emqtwist.core.pending import Pending
from emqtwist.core.who import Who
from emqtwist.mqtt.constants import IMPLEMENTATION_SPECIFIC_ERROR, QUOTA_EXCEEDED, SUCCESS
from emqtwist.services.part import Killed
from tests.oracles import Sibyl, client

ALLOW, DENY, IGNORE = (Verdict(answer) for answer in ("allow", "deny", "ignore"))


@cache
def section_of(lines: tuple[str, ...]) -> AclSection:
    return parse("\n".join(f"acl.{line}" for line in lines)).acl


class Desk:
    """An Authorization that asks `first`, the rules, then `last`, with an Asking that runs. The rules deny `no`, allow `yes`."""

    def __init__(self, *lines: str, first: Sibyl | None = None, last: Sibyl | None = None) -> None:
        self.clock = Clock()
        self.first, self.last = first, last
        self.alarms = Alarms(Turn(), Observer())
        self.metrics = Metrics(Turn())
        section = section_of(lines)
        self.control = Authorization(section, self.alarms, self.metrics, self.clock, self.clock.seconds)
        if first is not None:
            self.control.register("first", first)
        if last is not None:
            self.control.register("last", last, -1)
        self.rules = Acl([Rule(False, Who(), PUBSUB, [Pattern(b"no")]), Rule(True, Who(), PUBSUB, [Pattern(b"yes")])], True)
        self.acl = self.control.over(self.rules, True)
        self.part = self.start()

    def start(self) -> Asking:
        part = Asking(self.control)
        part.startService()
        part.ended.addErrback(lambda failure: failure.trap(Killed, ZeroDivisionError))
        return part

    def judge(self, topic: bytes = b"t", access: int = PUBLISH) -> Pending[Ruling]:
        assert self.acl is not None
        return self.acl.judge(client(), access, topic)

    def ruling(self, topic: bytes = b"t") -> Ruling:
        """What is ruled at once."""
        ruling = self.judge(topic).decision
        assert ruling is not None
        return ruling

    def counted(self) -> dict[str, int]:
        return {answer: count for answer, count in self.metrics.authorizations.items() if count}


# The order.

@pytest.mark.parametrize(("topic", "first", "last", "allowed"), [
    (b"t", ALLOW, None, True), (b"t", DENY, None, False), (b"no", ALLOW, None, True), (b"yes", DENY, None, False),
    (b"no", IGNORE, None, False), (b"yes", IGNORE, None, True), (b"t", IGNORE, ALLOW, True), (b"t", IGNORE, DENY, False),
    (b"t", IGNORE, IGNORE, True)])
def test_the_first_who_has_a_say_decides(topic: bytes, first: Verdict, last: Verdict | None, allowed: bool) -> None:
    desk = Desk(first=Sibyl(first), last=Sibyl(*[] if last is None else [last]))
    ruling = desk.ruling(topic)
    assert ruling.rule.allow is allowed
    assert ruling.holds
    assert desk.last is not None
    assert len(desk.last.asked) == (last is not None)


STAGES = st.lists(st.sampled_from(["allow", "deny", "ignore", "error"]), max_size=5)


@given(STAGES, STAGES, st.booleans(), st.booleans(), st.sampled_from([b"yes", b"no", b"t"]))
def test_it_is_as_if_all_had_been_asked_and_the_first_say_counted(before: list[str], behind: list[str], goes_on: bool,
                                                                  otherwise: bool, topic: bytes) -> None:
    desk = Desk("breaker_failures = 1000", f"on_error = {'next' if goes_on else 'deny'}")
    for number, answer in enumerate([*before, *behind]):
        authorizer = Sibyl(ValueError() if answer == "error" else Verdict(answer))
        seq = len(before) - number - 1 if number < len(before) else -1 - number
        assert desk.control.register(str(number), authorizer, seq)
    desk.acl = desk.control.over(desk.rules, otherwise)
    said = [*before, {b"yes": "allow", b"no": "deny"}.get(topic, "ignore"), *behind]
    fails = "ignore" if goes_on else "deny"
    says = [fails if each == "error" else each for each in said]
    expected = next((each == "allow" for each in says if each != "ignore"), otherwise if before or behind else True)
    assert desk.ruling(topic).rule.allow is expected
    desk.part.stopService()


def test_where_rules_come_first_and_decide_nobody_has_to_wait() -> None:
    desk = Desk(last=Sibyl(ALLOW))
    desk.part.stopService()
    assert [desk.ruling(topic).rule.allow for topic in (b"yes", b"no")] == [True, False]
    pending = desk.judge()
    assert pending.decision is None
    desk.start()
    assert pending.decision is not None
    assert pending.decision.rule.allow
    assert len(desk.last.asked if desk.last else []) == 1


def test_without_anybody_else_the_rules_are_the_law() -> None:
    desk = Desk()
    assert desk.acl is desk.rules
    assert desk.control.over(None, False) is None


def test_without_rules_others_are_the_law_and_else_what_is_configured() -> None:
    desk = Desk(first=Sibyl(IGNORE, IGNORE))
    for otherwise in (True, False):
        desk.acl = desk.control.over(None, otherwise)
        assert desk.ruling(b"no").rule.allow is otherwise


def test_an_authorizer_is_told_who_does_what() -> None:
    desk = Desk(first=Sibyl(ALLOW, ALLOW))
    desk.judge("ü/ß".encode())
    desk.judge(b"a/#", SUBSCRIBE)
    assert desk.first is not None
    assert desk.first.asked == [("c", "publish", "ü/ß"), ("c", "subscribe", "a/#")]


def test_what_it_says_is_explained_by_name_and_has_its_reason_code() -> None:
    desk = Desk(first=Sibyl(Verdict("deny", "too much", QUOTA_EXCEEDED), DENY))
    rule = desk.ruling().rule
    assert (rule.place, rule.text, rule.reason_code) == ("authorizer first", "deny: too much", QUOTA_EXCEEDED)
    assert (desk.ruling().rule.text, rule.failed) == ("deny", False)


def test_those_with_a_higher_seq_are_asked_first_and_of_equals_the_last_registered() -> None:
    desk, asked = Desk(), []

    class Mark(Sibyl):
        async def authorize(self, *arguments: object) -> Verdict:
            asked.append(self)
            return IGNORE

    marks = [Mark() for _ in range(5)]
    for number, (mark, seq) in enumerate(zip(marks, (0, 1, 0, -1, 1), strict=True)):
        assert desk.control.register(str(number), mark, seq)
    desk.acl = desk.control.over(desk.rules, True)
    desk.ruling()
    assert [marks.index(mark) for mark in asked] == [4, 1, 2, 0, 3]


def test_a_name_is_taken_once_and_free_again() -> None:
    desk = Desk(first=Sibyl())
    assert not desk.control.register("first", Sibyl())
    assert not desk.control.register("rules", Sibyl())
    assert desk.control.unregister("first")
    assert not desk.control.unregister("first")
    assert desk.first is not None
    assert desk.first.closed == 1
    assert desk.control.register("first", Sibyl())


def test_what_is_none_is_not_registered() -> None:
    with pytest.raises(ValueError, match="does not provide IAuthorizer"):
        Desk().control.register("x", object())


# What keeps them from holding up the broker.

@pytest.mark.parametrize(("goes_on", "allowed"), [("deny", False), ("next", True)])
@pytest.mark.parametrize("bad", [
    ValueError("secret"), Verdict("perhaps"), True, Verdict("deny", "", SUCCESS), Verdict("allow", "", 0x97 + 1)])
def test_one_that_fails_is_a_no_or_passed_over(bad: object, goes_on: str, allowed: bool) -> None:
    desk = Desk(f"on_error = {goes_on}", first=Sibyl(bad), last=Sibyl(ALLOW))  # type: ignore[arg-type]
    with capturedLogs() as logs:
        ruling = desk.ruling()
    assert (ruling.rule.allow, ruling.rule.failed, ruling.holds) == (allowed, not allowed, False)
    if not allowed:
        assert ruling.rule.reason_code == IMPLEMENTATION_SPECIFIC_ERROR
    assert desk.counted() == ({"error": 1, "allow": 1} if allowed else {"error": 1})
    [log] = [log for log in logs if log.get("authorizer") == "first"]
    assert "secret" not in str(log["reason"])


def test_one_that_is_late_has_failed() -> None:
    desk = Desk("timeout = 2s", first=Sibyl())
    pending = desk.judge()
    desk.clock.advance(1.9)
    assert pending.decision is None
    desk.clock.advance(0.1)
    assert pending.decision is not None
    assert pending.decision.rule.failed
    assert desk.first is not None
    assert desk.first.cancelled == 1


def test_one_that_keeps_failing_is_left_alone_with_an_alarm_until_it_works() -> None:
    desk = Desk("breaker_failures = 2", "breaker_pause = 3s", first=Sibyl(ValueError(), ValueError(), ALLOW))
    assert desk.first is not None
    for _ in range(3):
        assert desk.ruling().rule.failed
    assert len(desk.first.asked) == 2
    [alarm] = desk.alarms.active.values()
    assert (alarm.identifier, alarm.title) == ("authorizer_failing/first", "an authorizer keeps failing")
    desk.clock.advance(3)
    assert desk.ruling().rule.allow
    assert desk.alarms.active == {}


def test_one_that_is_closed_raises_no_alarm_any_more() -> None:
    desk = Desk("breaker_failures = 1", first=Sibyl(ValueError()))
    desk.ruling()
    desk.control.unregister("first")
    assert desk.alarms.active == {}


def test_so_many_are_asked_at_a_time_and_nobody_who_has_gone() -> None:
    desk = Desk("concurrency = 1", first=Sibyl())
    pending = [desk.judge() for _ in range(3)]
    assert desk.first is not None
    assert len(desk.first.waiting) == 1
    pending[1].cancel()
    desk.first.answer(DENY)
    assert [each.decision is None for each in pending] == [False, True, True]
    desk.first.answer(ALLOW)
    assert (len(desk.first.asked), desk.counted()) == (2, {"allow": 1, "deny": 1})
    assert not desk.control.running


def test_nothing_holds_where_nothing_is_to_be_remembered() -> None:
    assert not Desk("cache_ttl = off", first=Sibyl(ALLOW)).ruling().holds


# Deaths.

def test_a_part_that_dies_has_its_questions_asked_anew() -> None:
    desk = Desk("concurrency = 1", first=Sibyl())
    pending = [desk.judge() for _ in range(2)]
    assert desk.first is not None
    desk.part.die(Failure(Killed("planted")))
    assert desk.first.cancelled == 1
    desk.start()
    for number in range(2):
        assert pending[number].decision is None
        desk.first.answer(ALLOW)
        assert pending[number].decision is not None
    assert [asked[0] for asked in desk.first.asked] == ["c"] * 3


def test_a_defect_costs_who_asked_and_the_part(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(first=Sibyl(ALLOW))

    async def defective(*arguments: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "decide", defective)
    ruling = desk.ruling()
    assert (ruling.rule.failed, ruling.holds) == (True, False)
    assert not desk.part.running


def test_those_configured_are_closed_when_others_take_their_place() -> None:
    desk, old = Desk(), Sibyl()
    section = parse("acl.order = python, rules\nacl.python.object = x:y").acl
    desk.control.configure(section, [desk.control.authorizer("python", old, section)])
    desk.acl = desk.control.over(desk.rules, True)
    old.verdicts = [DENY]
    assert not desk.ruling(b"yes").rule.allow
    desk.control.configure(parse("").acl, [])
    assert old.closed == 1
    assert desk.control.over(desk.rules, True) is desk.rules
