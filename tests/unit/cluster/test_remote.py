"""Commands that other nodes answer: page by page, in bounded time, and given up where nobody answers."""
import pytest

from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.frames import BadFrame
from emqtwist.core.cluster.remote import CUT, DOWN, GONE, MOST, NO_COMMANDS, PIECE, SILENT, Asked, Running, Words
from tests.rolls import Town


class Listing:
    """Pages as a test has written them."""

    def __init__(self, pages: list[bytes], failure: str = "") -> None:
        self.over = False
        self.failure = ""
        self.used = 0.0
        self.pages = pages
        self.end = failure
        self.closed = False

    def page(self, size: int) -> bytes:
        page = self.pages.pop(0) if self.pages else b""
        if not self.pages:
            self.over, self.failure = True, self.end
        return page

    def close(self) -> None:
        self.closed = True


class Commands:
    def __init__(self, *pages: bytes, failure: str = "") -> None:
        self.pages = pages
        self.failure = failure
        self.run_: list[Words] = []
        self.listings: list[Listing] = []

    def run(self, words: Words) -> Running:
        self.run_.append(words)
        self.listings.append(Listing(list(self.pages), self.failure))
        return self.listings[-1]


def pair(*pages: bytes, failure: str = "") -> tuple[Town, Commands]:
    town = Town("a", "b")
    town.join("a", "b")
    commands = town.citizen("b").nodes.remote.runner = Commands(*pages, failure=failure)
    return town, commands


def ask(town: Town) -> tuple[Asked, list[int]]:
    """What is asked, and a list of which each wake makes one more."""
    woken: list[int] = []
    asked = town.citizen("a").nodes.remote.ask("b", ("clients", "list"))
    asked.wake = lambda: woken.append(1)
    town.settle()
    return asked, woken


def test_pages_come_one_by_one_as_they_are_taken() -> None:
    town, commands = pair(b"one\n", b"", b"two\n")
    remote = town.citizen("a").nodes.remote
    asked, woken = ask(town)
    found: list[bytes] = []
    while not asked.over:
        found.append(remote.take(asked))
        town.settle()
    found.append(remote.take(asked))
    assert found == [b"one\n", b"", b"two\n"]
    assert (asked.failure, len(woken)) == ("", 3)
    assert commands.run_ == [("clients", "list")]
    assert not commands.listings[0].closed
    assert remote.take(asked) == b""
    assert (remote._asked, town.citizen("b").nodes.remote._running) == ({}, {"a": {}})  # nothing is left of it


def test_no_page_is_asked_for_before_the_last_one_is_taken() -> None:
    town, commands = pair(b"one", b"two", b"three")
    asked, _ = ask(town)
    town.advance(100)
    assert asked.piece == b"one"
    assert commands.listings[0].pages == [b"two", b"three"]
    assert not asked.over


def test_a_failure_there_is_told_here() -> None:
    town, _ = pair(b"one", failure="it burns")
    asked, _ = ask(town)
    assert (asked.over, asked.piece, asked.failure) == (True, b"one", "it burns")


def test_a_node_that_takes_no_commands_says_so() -> None:
    town, _ = pair()
    town.citizen("b").nodes.remote.runner = None
    assert ask(town)[0].failure == NO_COMMANDS


@pytest.mark.parametrize("name", ["b", "nobody"])
def test_a_node_that_is_down_is_not_waited_for(name: str) -> None:
    town, _ = pair(b"one")
    town.stop("b")
    asked = town.citizen("a").nodes.remote.ask(name, ("clients", "list"))
    assert (asked.over, asked.failure) == (True, DOWN)


def test_a_node_that_does_not_answer_is_given_up() -> None:
    town, commands = pair(b"one", b"two")
    town.stall("b", "a")
    asked, woken = ask(town)
    town.advance(4.9)
    assert not asked.over
    town.advance(0.2)
    assert (asked.over, asked.failure, woken) == (True, SILENT, [1])
    assert commands.listings[0].closed
    town.stall("b", "a", False)
    assert (asked.piece, woken) == (b"", [1])


def test_a_link_that_is_cut_ends_what_was_asked_and_what_ran() -> None:
    town, commands = pair(b"one", b"two")
    asked, woken = ask(town)
    town.stop("b")
    assert (asked.over, asked.failure, woken) == (True, CUT, [1, 1])
    assert commands.listings[0].closed
    assert town.citizen("a").nodes.remote.take(asked) == b"one"


def test_what_nobody_wants_is_stopped_there() -> None:
    town, commands = pair(b"one", b"two")
    asked, woken = ask(town)
    town.citizen("a").nodes.remote.stop(asked)
    town.settle()
    assert commands.listings[0].closed
    assert woken == [1]


def test_what_nobody_asks_for_is_given_up_there() -> None:
    town, commands = pair(b"one", b"two")
    asked, _ = ask(town)
    town.advance(599)
    assert not commands.listings[0].closed
    town.advance(2)
    assert commands.listings[0].closed
    town.citizen("a").nodes.remote.take(asked)
    town.settle()
    assert (asked.over, asked.failure) == (True, GONE)


def test_a_node_runs_so_many_commands_for_another() -> None:
    town, commands = pair(b"one", b"two")
    asked = [ask(town)[0] for _ in range(MOST + 1)]
    assert [one.over for one in asked] == [False] * MOST + [True]
    assert len(commands.listings) == MOST


def test_pages_that_nobody_asked_for_are_ignored() -> None:
    town, _ = pair(b"one", b"two")
    asked, _ = ask(town)
    peer = town["a"].cluster.peer("b")
    for number in (asked.number, asked.number + 1):
        town["a"].cluster.take(peer, [(f.PAGE, number, b"other", True, "")])
    assert (asked.piece, asked.over) == (b"one", False)


def test_a_node_answers_only_what_it_was_asked() -> None:
    town = Town("a", "b", "c")
    town.cluster()
    town.citizen("b").nodes.remote.runner = Commands(b"one", b"two")
    town.stall("b", "a")
    asked, _ = ask(town)
    town["a"].cluster.take(town["a"].cluster.peer("c"), [(f.PAGE, asked.number, b"other", True, "")])
    assert (asked.piece, asked.over) == (b"", False)


def test_a_command_that_begins_again_takes_the_place_of_the_one_before() -> None:
    town, commands = pair(b"one", b"two")
    asked, _ = ask(town)
    town["b"].cluster.take(town["b"].cluster.peer("a"), [(f.RUN, asked.number, ("clients", "list"))])
    assert [listing.closed for listing in commands.listings] == [True, False]


@pytest.mark.parametrize("frame", [
    (f.PAGE, 1, bytes(PIECE + 1), True, ""), (f.PAGE, 1, b"", True, "x" * 65_536), (f.RUN, 1, ("a", 1)),
    (f.RUN, 1, ("a",) * 101), (f.RUN, 1, ("a" * 65_536,))])
def test_what_is_too_large_is_the_fault_of_who_sends_it(frame: tuple[object, ...]) -> None:
    town, commands = pair(b"one")
    town.citizen("a").nodes.remote.runner = commands
    with pytest.raises(BadFrame):
        town["a"].cluster.take(town["a"].cluster.peer("b"), [frame])
    assert commands.listings == []
