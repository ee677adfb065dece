"""Authorization: the authority of a broker, which has authorizers and access rules asked what clients may do.

The `Authorization` has them in their order, and the questions that are not answered yet; a part `Asking` works on these.
"""
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from emqtwist.access.authorizers import Authorizer, Decided, decide
from emqtwist.access.registered import Registered
from emqtwist.access.stage import verify
from emqtwist.config.sections.acl import AclSection
from emqtwist.core.access import Client
from emqtwist.core.acl import PUBSUB, Acl, Rule, Ruling
from emqtwist.core.alarms import Alarms
from emqtwist.core.link import nobody
from emqtwist.core.metrics import Metrics
from emqtwist.core.pending import Pending
from emqtwist.core.who import Who, asker
from emqtwist.interfaces import IAuthorizer
from emqtwist.mqtt.constants import IMPLEMENTATION_SPECIFIC_ERROR

RULES: Final = "rules"  # the word that stands for them in an order


class Question:
    """What a client may do. Who waits for the answer is one connection, or one job."""

    __slots__ = ("acl", "client", "access", "topic", "pending")

    def __init__(self, acl: Acl, client: Client, access: int, topic: bytes) -> None:
        self.acl = acl
        self.client = client
        self.access = access
        self.topic = topic
        self.pending: Pending[Ruling] = Pending()

    def is_wanted(self) -> bool:
        return not self.pending.cancelled


class Authorization:
    """Asks in the order of `acl.order`, with those registered before and behind them: `order`, in which None stands for rules."""

    def __init__(self, section: AclSection, alarms: Alarms, metrics: Metrics, clock: IReactorTime,
                 now: Callable[[], float]) -> None:
        self.section = section
        self.waiting: deque[Question] = deque()
        self.running: dict[Question, Deferred[None]] = {}
        self.wake: Callable[[], None] = nobody
        self._alarms = alarms
        self._metrics = metrics
        self._clock = clock
        self._now = now
        self._configured: dict[str, Authorizer] = {}
        self._registered: Registered[Authorizer] = Registered()
        self.order: list[Authorizer | None] = [None]

    # Who is asked.

    def configure(self, section: AclSection, authorizers: Sequence[Authorizer]) -> None:
        """Ask these from now on, beside those that were registered."""
        old = list(self._configured.values())
        self._configured = {each.name: each for each in authorizers}
        self.section = section
        self._arrange()
        for authorizer in old:
            authorizer.close()

    def register(self, name: str, authorizer: object, seq: int = 0) -> bool:
        """Have an authorizer asked; False when there is one of this name already, and for that of the rules.

        Higher `seq` come first, of equals the one registered last; what the configuration names has 0 and comes behind these.
        ValueError when it provides no IAuthorizer.
        """
        if name == RULES or name in self._configured or any(each.name == name for each in self._registered):
            return False
        verify(authorizer, IAuthorizer)
        self._registered.add(self.authorizer(name, authorizer, self.section), seq)
        self._arrange()
        return True

    def unregister(self, name: str) -> bool:
        """Whether it was there."""
        found = self._registered.remove(name)
        self._arrange()
        return found

    def authorizer(self, name: str, asked: object, section: AclSection) -> Authorizer:
        return Authorizer(name, asked, section, self._clock, self._now, self._alarms)

    def _arrange(self) -> None:
        configured = [None if name == RULES else self._configured[name] for name in self.section.order]
        self.order = [*self._registered.before(), *configured, *self._registered.behind()]

    def over(self, rules: Acl | None, otherwise: bool) -> Acl | None:
        """The rules with this authority over them, if there is anybody else to ask; `otherwise` holds where nobody decides."""
        if all(each is None for each in self.order):
            return rules
        return Acl([] if rules is None else rules.rules, otherwise, self, self.section.cache_ttl)

    def close(self) -> None:
        for authorizer in [*self._configured.values(), *self._registered]:
            authorizer.close()

    # The authority.

    def judge(self, acl: Acl, client: Client, access: int, topic_filter: bytes) -> Pending[Ruling]:
        if self.order[:1] == [None]:  # where rules decide, nobody has to wait
            rule = acl.decide(asker(client), access, topic_filter)
            if rule is not acl.otherwise:
                return Pending(Ruling(rule))
        question = Question(acl, client, access, topic_filter)
        self.waiting.append(question)
        self.wake()
        return question.pending

    async def decide(self, acl: Acl, client: Client, access: int, topic: bytes, wanted: Callable[[], bool],
                     trail: dict[Rule, int] | None = None) -> Decided:
        """What is to be answered, with the story; raises Unwanted."""
        return await decide(tuple(self.order), acl, client, access, topic, self.section.on_error == "next", wanted, self._now,
                            trail)

    async def find(self, question: Question) -> None:
        """Answer a question; raises Unwanted."""
        decided = await self.decide(question.acl, question.client, question.access, question.topic, question.is_wanted)
        for told in decided.story:
            self._metrics.authorization(told.outcome)
        if not self.section.cache_ttl:
            decided.ruling.holds = False
        question.pending.resume(decided.ruling)

    def drop(self, question: Question) -> None:
        """Nobody waits for the answer."""

    def fail(self, question: Question) -> None:
        """It cannot be answered, by a defect."""
        rule = Rule(False, Who(), PUBSUB, [], "authorization", "it has failed", IMPLEMENTATION_SPECIFIC_ERROR, True)
        question.pending.resume(Ruling(rule, False))
