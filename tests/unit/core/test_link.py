"""A link and the turn that flushes it."""
from emqtwist.core.link import Link, Turn
from emqtwist.mqtt.errors import ServerBusy


class Alarm:
    """Counts how often it was rung."""

    def __init__(self) -> None:
        self.count = 0

    def ring(self) -> None:
        self.count += 1


def test_a_turn_wakes_once_and_flushes_each_link_once() -> None:
    alarm = Alarm()
    turn = Turn(0.0, alarm.ring)
    first, second = Link(turn), Link(turn)
    for link in (first, second, first):
        link.send(b"x")
    assert alarm.count == 1
    assert turn.take() == [first, second]
    assert turn.take() == []
    assert (first.take(), second.take()) == (b"xx", b"x")


def test_the_next_turn_wakes_again() -> None:
    alarm = Alarm()
    turn = Turn(0.0, alarm.ring)
    link = Link(turn)
    for _ in range(2):
        link.send(b"x")
        turn.take()
        link.take()
    assert alarm.count == 2


def test_a_turn_needs_nobody_to_wake() -> None:
    turn = Turn()
    link = Link(turn)
    link.send(b"x")
    assert turn.take() == [link]


def test_a_single_piece_is_not_copied() -> None:
    link, piece = Link(Turn()), b"piece"
    link.send(piece)
    assert link.take() is piece
    assert link.take() == b""


def test_closing_is_flushed_also_where_nothing_is_sent() -> None:
    turn = Turn()
    silent, last_words = Link(turn), Link(turn)
    silent.close()
    silent.close()
    last_words.send(b"x")
    last_words.fail(ServerBusy("enough"))
    last_words.check(1e9)
    assert turn.take() == [silent, last_words]
    assert silent.closing
    assert last_words.closing
    assert last_words.take() == b"x"
