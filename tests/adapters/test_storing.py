"""The store as a part: what it has is given once, its end by itself is the part's."""
from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from emqtwist.core.records import Snapshot
from emqtwist.services.part import Killed
from emqtwist.services.storing import Storing
from emqtwist.storage.memory import MemoryStore


class Watched(MemoryStore):
    """Remembers its watcher, and what was asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []
        self.lost: Callable[[Exception], object] = print

    def start(self) -> Deferred[Snapshot | None]:
        self.events.append("start")
        return super().start() if self.events.count("start") == 1 else succeed(None)

    def watch(self, function: Callable[[Exception], object]) -> None:
        self.lost = function

    def interrupt(self) -> Deferred[None]:
        self.events.append("interrupt")
        return succeed(None)


def started(store: Watched, recovered: list[Snapshot]) -> tuple[Storing, list[object]]:
    """A running part, and why it has died."""
    part = Storing(store, recovered.append)
    part.startService()
    died: list[object] = []

    def die(failure: Failure) -> None:
        died.append(failure.type)

    part.ended.addErrback(die)
    return part, died


def test_what_the_store_has_is_given_at_the_first_start_only() -> None:
    store, recovered = Watched(), list[Snapshot]()
    started(store, recovered)
    started(store, recovered)
    assert (store.events, len(recovered)) == (["start", "start"], 1)


def test_the_end_of_the_store_is_its_death() -> None:
    store = Watched()
    _, died = started(store, [])
    store.lost(ZeroDivisionError("words"))
    assert died == [ZeroDivisionError]


def test_a_kill_interrupts_the_store_first() -> None:
    store = Watched()
    part, died = started(store, [])
    part.kill()
    assert (store.events, died) == (["start", "interrupt"], [Killed])


def test_a_stop_interrupts_the_store_and_is_no_death() -> None:
    store = Watched()
    part, died = started(store, [])
    part.stopService()
    assert (store.events, died) == (["start", "interrupt"], [])
    assert not isinstance(part.ended.result if part.ended.called else None, Failure)
