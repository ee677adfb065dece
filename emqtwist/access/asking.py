"""The part that has questions answered, of a desk which outlives it. Questions that one had begun when it died are begun anew by
the next one.
"""
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from emqtwist.access.stage import Unwanted
from emqtwist.core.link import nobody
from emqtwist.services.part import Part


class Desk(Protocol):
    """Where questions wait; `running` are those that are being answered. `wake` is called when one has come."""

    waiting: deque[Any]
    running: dict[Any, Deferred[None]]
    wake: Callable[[], None]

    def find(self, question: Any) -> Coroutine[Deferred[Any], Any, None]:
        """Answer it; raises Unwanted."""

    def drop(self, question: Any) -> None:
        """There was no use in answering it any more."""

    def fail(self, question: Any) -> None:
        """It cannot be answered, by a defect."""


class Asking(Part):
    """Answers the questions of a Desk while it runs.

    A question that fails by a defect costs who asked it, and the part: the next one goes on with the others.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def startService(self) -> None:
        super().startService()
        self._desk.wake = self._serve
        self._serve()

    def stopService(self) -> None:
        super().stopService()
        self._leave()

    def die(self, failure: Failure) -> None:
        """The next one may begin before this ends."""
        if self.running:
            self._leave()
        super().die(failure)

    def _leave(self) -> None:
        """What has begun begins anew, before what waits."""
        desk = self._desk
        desk.wake = nobody
        begun, desk.running = desk.running, {}
        desk.waiting.extendleft(reversed(begun))
        for asked in reversed(begun.values()):  # the last first, or their turn would come
            asked.cancel()

    def _serve(self) -> None:
        desk = self._desk
        while self.running and desk.waiting:
            question = desk.waiting.popleft()
            asked = Deferred.fromCoroutine(desk.find(question))
            desk.running[question] = asked
            asked.addBoth(self._over, question)

    def _over(self, result: Failure | None, question: Any) -> None:
        if self._desk.running.pop(question, None) is None:
            return  # another part has it
        if not isinstance(result, Failure):
            return
        if result.check(Unwanted):
            self._desk.drop(question)
            return
        self._desk.fail(question)
        self.die(result)
