"""The order in which somebody is asked what a client may do: authorizers, and the access rules in their place among them."""
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from emqtwist.access.chain import ERROR, Told
from emqtwist.access.stage import Bounded, Failed
from emqtwist.core.access import Client, Verdict
from emqtwist.core.acl import PUBLISH, PUBSUB, REASONS, Acl, Rule, Ruling
from emqtwist.core.hooks import PUBLISH as TO_PUBLISH
from emqtwist.core.hooks import SUBSCRIBE as TO_SUBSCRIBE
from emqtwist.core.who import Who, asker
from emqtwist.mqtt.constants import IMPLEMENTATION_SPECIFIC_ERROR

ALLOW: Final = "allow"
DENY: Final = "deny"
IGNORE: Final = "ignore"
ANSWERS: Final = (ALLOW, DENY, IGNORE)


class Authorizer(Bounded):
    """One who is asked. What he says stands as a rule: `authorizer <name>`."""

    role = "authorizer"

    async def ask(self, client: Client, access: int, topic: bytes, wanted: Callable[[], bool]) -> Verdict:
        """What he says; raises Failed, or Unwanted."""
        action = TO_PUBLISH if access == PUBLISH else TO_SUBSCRIBE
        verdict: Verdict = await self.answer(lambda: self.asked.authorize(client, action, topic.decode()), wanted)
        return verdict

    def check(self, found: object) -> None:
        if not isinstance(found, Verdict):
            raise Failed(f"it gave {type(found).__name__}, which is no verdict")
        if found.answer not in ANSWERS:
            raise Failed("its verdict is not allow, deny or ignore")
        if found.reason_code not in REASONS.values():
            raise Failed(f"it gave a reason code that nobody can be told: {found.reason_code}")

    def tell(self, why: str) -> None:
        self.log.error("{authorizer} failed: {reason}", authorizer=self.name, reason=why)

    def rule(self, verdict: Verdict) -> Rule:
        """One that stands for the verdict."""
        text = f"{verdict.answer}: {verdict.why}" if verdict.why else verdict.answer
        return Rule(verdict.answer == ALLOW, Who(), PUBSUB, [], self.place, text, verdict.reason_code)

    def failure(self) -> Rule:
        return Rule(False, Who(), PUBSUB, [], self.place, "it has failed", IMPLEMENTATION_SPECIFIC_ERROR, True)

    @property
    def place(self) -> str:
        return f"authorizer {self.name}"


class Decided(NamedTuple):
    """A ruling, and how it came to that: what each authorizer said, with ERROR for those who failed."""

    ruling: Ruling
    story: tuple[Told, ...]


async def decide(order: Sequence[Authorizer | None], acl: Acl, client: Client, access: int, topic: bytes, goes_on: bool,
                 wanted: Callable[[], bool], now: Callable[[], float], trail: dict[Rule, int] | None = None) -> Decided:
    """Ask one after the other until somebody allows or denies; else `acl.otherwise` holds. None stands for the rules.

    Where one fails it is denied, unless the order `goes_on`. `trail` gets what rules were asked. Raises stage.Unwanted.
    """
    story: list[Told] = []
    holds = True
    for authorizer in order:
        if authorizer is None:
            rule = acl.decide(asker(client), access, topic, trail)
            if rule is not acl.otherwise:
                return Decided(Ruling(rule, holds), tuple(story))
            continue
        began = now()
        try:
            verdict = await authorizer.ask(client, access, topic, wanted)
        except Failed as error:
            holds = False
            story.append(Told(authorizer.name, ERROR, str(error), now() - began))
            if not goes_on:
                return Decided(Ruling(authorizer.failure(), False), tuple(story))
            continue
        story.append(Told(authorizer.name, verdict.answer, verdict.why, now() - began))
        if verdict.answer != IGNORE:
            return Decided(Ruling(authorizer.rule(verdict), holds), tuple(story))
    return Decided(Ruling(acl.otherwise, holds), tuple(story))
