"""Access control: the gatekeeper that has chains of authenticators asked.

The `AccessControl` has the chains, what was found, and the questions that are not answered yet; the part `Asking` works on these.
"""
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from emqtwist.access.chain import Decision, cannot_tell, decide
from emqtwist.access.registered import Registered
from emqtwist.access.results import Key, Results
from emqtwist.access.stage import Failed, Stage, verify
from emqtwist.config.sections.auth import AuthSection
from emqtwist.core.access import Client, Deny, Finding, Ignore
from emqtwist.core.alarms import Alarms
from emqtwist.core.link import nobody
from emqtwist.core.pending import Pending
from emqtwist.mqtt.errors import ServerBusy

TOO_MANY: Final = "too many clients wait to be let in (auth.max_waiting)"
TOO_LONG: Final = "too many clients wait to be let in: its turn has not come within auth.max_wait"


class Question:
    """Who a client is, asked by everybody who waits for the same answer. `lasting` says whether that may be kept."""

    __slots__ = ("key", "client", "password", "since", "waiting", "lasting")

    def __init__(self, key: Key, client: Client, password: bytes | None, since: float) -> None:
        self.key = key
        self.client = client
        self.password = password
        self.since = since
        self.waiting: list[Pending[Finding]] = []
        self.lasting = True

    def is_wanted(self) -> bool:
        return any(not pending.cancelled for pending in self.waiting)

    def answer(self, finding: Finding) -> None:
        for pending in self.waiting:
            pending.resume(finding)


class AccessControl:
    """The gatekeeper of a broker. It is told which authenticators there are, and the `orders` in which listeners ask them; those
    that have none there go by `auth.order`.

    `decoy` is asked before a client that gives a password is told that nobody knows it, so that this takes as long as a wrong
    password does.
    """

    log = Logger()

    def __init__(self, section: AuthSection, alarms: Alarms, clock: IReactorTime, now: Callable[[], float]) -> None:
        self.alarms = alarms
        self.clock = clock
        self.now = now
        self.decoy: Stage | None = None
        self.waiting: deque[Question] = deque()
        self.running: dict[Question, Deferred[None]] = {}
        self.wake: Callable[[], None] = nobody
        self._by_key: dict[Key, Question] = {}
        self._stages: dict[str, Stage] = {}
        self._registered: Registered[Stage] = Registered()
        self._orders: Mapping[str, Sequence[str]] = {}
        self._chains: dict[str, list[Stage]] = {}
        self._use(section)

    # Who is asked.

    def configure(self, section: AuthSection, stages: Sequence[Stage], orders: Mapping[str, Sequence[str]],
                  decoy: Stage | None) -> None:
        """Ask these from now on, beside those that were registered."""
        old = list(self._stages.values())
        self._stages = {stage.name: stage for stage in stages}
        self._orders = orders
        self.decoy = decoy
        self._use(section)
        self.forget()
        for stage in old:
            stage.close()

    def _use(self, section: AuthSection) -> None:
        self.section = section
        self.results = Results(section.cache_size, section.cache_ttl, self.now)

    def register(self, name: str, authenticator: object, seq: int = 0) -> bool:
        """Have an authenticator asked in every chain; False when there is one of this name already.

        Higher `seq` come first, of equals the one registered last; what the configuration names has 0 and comes behind these.
        ValueError when it provides no IAuthenticator.
        """
        if any(stage.name == name for stage in self._all()):
            return False
        verify(authenticator)
        self._registered.add(self.stage(name, authenticator), seq)
        self.forget()
        return True

    def unregister(self, name: str) -> bool:
        """Whether it was there."""
        found = self._registered.remove(name)
        self.forget()
        return found

    def stage(self, name: str, authenticator: object, section: AuthSection | None = None,
              places: int | None = None) -> Stage:
        return Stage(name, authenticator, section or self.section, self.clock, self.now, self.alarms, places)

    def chain(self, listener: str) -> list[Stage]:
        """Who is asked about the clients of a listener, in this order."""
        chain = self._chains.get(listener)
        if chain is None:
            configured = [self._stages[name] for name in self._orders.get(listener, self.section.order)]
            chain = self._chains[listener] = [*self._registered.before(), *configured, *self._registered.behind()]
        return chain

    def _all(self) -> list[Stage]:
        return [*self._stages.values(), *self._registered]

    def forget(self) -> None:
        """What was found, and what is about to be, may not hold any more."""
        self.results.clear()
        self._chains.clear()
        for question in self._by_key.values():
            question.lasting = False
        self._by_key = {}

    def close(self) -> None:
        for stage in self._all():
            stage.close()

    # The gatekeeper.

    def guards(self, listener: str) -> bool:
        chain = self._chains.get(listener)  # as `chain` does, for each CONNECT
        return bool(self.chain(listener) if chain is None else chain)

    def judge(self, client: Client, password: bytes | None) -> Pending[Finding]:
        key = self.results.key(client, password)
        known = self.results.get(key)
        if known is not None:
            return Pending(known)
        question = self._by_key.get(key)
        if question is None and len(self.waiting) + len(self.running) >= self.section.max_waiting:
            return Pending(Deny("too many wait", ServerBusy(TOO_MANY)))
        pending: Pending[Finding] = Pending()
        if question is None:
            question = self._by_key[key] = Question(key, client, password, self.now())
            question.waiting.append(pending)
            self.waiting.append(question)
            self.wake()
        else:
            question.waiting.append(pending)
        return pending

    async def decide(self, client: Client, password: bytes | None, wanted: Callable[[], bool]) -> Decision:
        """What the chain finds, with the story; nothing is remembered. Raises Unwanted."""
        return await decide(self.chain(client.listener), client, password, self._goes_on(), wanted, self.now)

    async def find(self, question: Question) -> None:
        """Answer a question; raises Unwanted."""
        client, password = question.client, question.password

        def wanted() -> bool:
            return question.is_wanted() and self.now() - question.since < self.section.max_wait

        decision = await self.decide(client, password, wanted)
        finding = decision.finding
        if isinstance(finding, Ignore) and password is not None and self.decoy is not None:
            try:
                await self.decoy.ask(client, password, wanted)
            except Failed:
                pass  # it is not asked for what it finds
        if isinstance(finding, Deny):
            by = decision.story[-1]
            self.log.debug("{client_id} from {peer} is denied by {authenticator}: {reason}", client_id=client.client_id,
                           peer=client.peer, authenticator=by.name, reason=by.why)
        if decision.holds and question.lasting:
            self.results.put(question.key, finding)
        self.settle(question, finding)

    def settle(self, question: Question, finding: Finding) -> None:
        """Tell all who wait."""
        if self._by_key.get(question.key) is question:
            del self._by_key[question.key]
        question.answer(finding)

    def drop(self, question: Question) -> None:
        """Nobody waits for the answer, or those who do have waited too long: they had better come later."""
        self.settle(question, Deny("it has waited too long", ServerBusy(TOO_LONG)))

    def fail(self, question: Question) -> None:
        """It cannot be answered, by a defect."""
        self.settle(question, cannot_tell("access control"))

    def _goes_on(self) -> bool:
        return self.section.on_error == "next"
