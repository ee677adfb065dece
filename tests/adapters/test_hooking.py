"""Functions at hooks that wait: coroutine functions and Deferreds, their failures, and how long they may take."""
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from emqtwist import BrokerService
from emqtwist.config import parse
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Puback, Publish
from tests.wires import Caller


class Place:
    """A broker where somebody is asked whether alice may publish."""

    def __init__(self, lines: str = "") -> None:
        self.reactor = MemoryReactorClock()
        self.service = BrokerService(parse(lines), self.reactor, self.reactor.seconds)
        self.service.startService()
        self.asked: list[Deferred[object]] = []
        self.alice = Caller(self.service.listeners["default"].factory, self.reactor)
        assert self.alice.connect("alice").reason_code == c.SUCCESS

    def later(self, client: object, action: str, topic: bytes, allowed: bool) -> Deferred[object]:
        self.asked.append(Deferred())
        return self.asked[-1]

    async def coroutine(self, client: object, action: str, topic: bytes, allowed: bool) -> object:
        return await self.later(client, action, topic, allowed)

    def publish(self) -> None:
        self.alice.send(Publish(b"a", b"", 1, packet_id=1))

    def answered(self) -> int:
        self.reactor.advance(0)
        return self.alice.one(Puback).reason_code


def test_a_deferred_and_a_coroutine_are_waited_for() -> None:
    place = Place()
    for function in (place.later, place.coroutine):
        assert place.service.add_waiting_hook("client.authorize", function)
        assert not place.service.add_waiting_hook("client.authorize", function)
        for value, code in ((False, c.NOT_AUTHORIZED), (True, c.NO_MATCHING_SUBSCRIBERS)):
            place.publish()
            assert place.alice.received() == []
            place.asked.pop().callback(value)
            assert place.answered() == code
        assert place.service.hooks.delete("client.authorize", function)


def test_what_is_raised_before_or_after_the_wait_is_a_failure(logged_failures: list[Failure]) -> None:
    place = Place()

    async def at_once(*arguments: object) -> None:
        raise ZeroDivisionError

    place.service.add_waiting_hook("client.authorize", at_once)
    place.publish()
    assert place.answered() == c.NOT_AUTHORIZED
    place.service.hooks.delete("client.authorize", at_once)
    place.service.add_waiting_hook("client.authorize", place.coroutine)
    place.publish()
    place.asked.pop().errback(ZeroDivisionError())
    assert place.answered() == c.NOT_AUTHORIZED
    assert place.service.broker.metrics.hook_failures == 2
    assert [failure.type for failure in logged_failures] == [ZeroDivisionError, ZeroDivisionError]
    logged_failures.clear()


def test_node_hook_timeout(logged_failures: list[Failure]) -> None:
    place = Place("node.hook_timeout = 2s")
    place.service.add_waiting_hook("client.authorize", place.coroutine)
    for seconds in (2, 3):
        place.publish()
        place.reactor.advance(seconds - 0.1)
        assert place.alice.received() == []
        place.reactor.advance(0.2)
        assert place.answered() == c.NOT_AUTHORIZED
        place.service.reconfigure(parse("node.hook_timeout = 3s"))
    assert [failure.type for failure in logged_failures] == [TimeoutError]  # the first of the row
    logged_failures.clear()


def test_who_does_not_let_itself_be_cancelled_is_waited_for_no_longer(logged_failures: list[Failure]) -> None:
    place = Place("node.hook_timeout = 2s")
    cancelled: list[bool] = []

    async def stubborn(*arguments: object) -> object:
        try:
            await place.later("", "", b"", True)
        except CancelledError:
            cancelled.append(True)
        return await place.later("", "", b"", True)

    place.service.add_waiting_hook("client.authorize", stubborn)
    place.publish()
    place.reactor.advance(2)
    assert place.answered() == c.NOT_AUTHORIZED
    assert cancelled == [True]
    place.asked.pop().callback(True)
    place.reactor.advance(0)
    assert place.alice.received() == []
    assert [failure.type for failure in logged_failures] == [TimeoutError]
    logged_failures.clear()


def test_nothing_is_left_of_a_wait_that_is_over() -> None:
    place = Place()
    before = len(place.reactor.getDelayedCalls())
    place.service.add_waiting_hook("client.authorize", place.later)
    place.publish()
    place.asked.pop().callback(True)
    assert place.answered() == c.NO_MATCHING_SUBSCRIBERS
    assert len(place.reactor.getDelayedCalls()) == before
