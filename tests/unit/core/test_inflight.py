"""The in-flight window by itself: identifiers, room, what a resume sends again."""
import pytest

from emqtwist.core.inflight import Inflight
from emqtwist.core.message import Delivery, Message
from emqtwist.mqtt.constants import MAX_PACKET_ID

ONE: Delivery = (Message(b"a", b"x", 1), 0x32, (), 0)
TWO: Delivery = (Message(b"a", b"y", 2), 0x34, (), 0)


def window(size: int) -> Inflight:
    inflight = Inflight()
    inflight.window = size
    return inflight


@pytest.mark.mqtt5("2.2.1-4")
def test_identifiers_begin_at_1_and_are_taken_in_turn() -> None:
    inflight = window(10)
    assert [inflight.add(ONE) for _ in range(3)] == [1, 2, 3]
    inflight.remove(2)
    assert inflight.add(ONE) == 4


@pytest.mark.mqtt5("2.2.1-4", "4.3.2-1", "4.3.3-1")
def test_identifiers_wrap_after_65535_past_those_in_use() -> None:
    inflight = window(10)
    first, second = inflight.add(ONE), inflight.add(TWO)
    inflight.released(second)
    for _ in range(MAX_PACKET_ID - 3):
        inflight.remove(inflight.add(ONE))
    assert inflight.add(ONE) == MAX_PACKET_ID
    assert (first, second, inflight.add(ONE)) == (1, 2, 3)


@pytest.mark.mqtt5("2.2.1-4", "4.3.2-1")
def test_all_65535_identifiers_can_be_in_use() -> None:
    inflight = window(MAX_PACKET_ID)
    assert [inflight.add(ONE) for _ in range(MAX_PACKET_ID)] == list(range(1, MAX_PACKET_ID + 1))
    assert inflight.room() == 0
    inflight.remove(40_000)
    assert inflight.add(ONE) == 40_000


@pytest.mark.mqtt5("4.9.0-2")
def test_room_is_what_the_window_leaves() -> None:
    inflight = window(3)
    inflight.add(ONE)
    inflight.released(inflight.add(TWO))
    assert inflight.room() == 1
    inflight.window = 1
    assert inflight.room() <= 0
    inflight.remove(2)
    assert inflight.room() == 0
    inflight.remove(1)
    assert inflight.room() == 1


def test_deliveries_are_to_be_sent_again_and_released_identifiers_only_confirmed() -> None:
    inflight = window(10)
    inflight.add(ONE)
    inflight.released(inflight.add(TWO))
    inflight.add(TWO)
    assert inflight.begin_resend() == [2]
    assert list(inflight.resend) == [3, 1]  # the next one last
    inflight.remove(1)
    inflight.released(3)
    assert list(inflight.resend) == []


@pytest.mark.mqtt5("4.9.0-2")
def test_there_is_no_room_for_new_messages_before_all_is_sent_again() -> None:  # order
    inflight = window(3)
    inflight.add(ONE)
    inflight.add(ONE)
    assert (inflight.room(), inflight.room_to_resend()) == (1, 0)
    inflight.begin_resend()
    assert (inflight.room(), inflight.room_to_resend()) == (0, 3)
    assert inflight.resend.popitem()[0] == 1
    assert (inflight.room(), inflight.room_to_resend()) == (0, 2)
    assert inflight.resend.popitem()[0] == 2
    assert (inflight.room(), inflight.room_to_resend()) == (1, 0)


def test_released_messages_are_the_clients() -> None:
    inflight = window(10)
    inflight.add(ONE)
    inflight.released(inflight.add(TWO))
    assert inflight.unfinished() == 1


def test_the_times_of_sending_are_kept_oldest_first() -> None:
    inflight = window(10)
    inflight.retries = True
    for now in (1.0, 2.0, 3.0):
        inflight.note_sent(inflight.add(ONE), now)
    inflight.note_sent(1, 4.0)
    inflight.remove(2)
    assert list(inflight.sent_at.items()) == [(3, 3.0), (1, 4.0)]
    inflight.begin_resend()
    assert inflight.sent_at == {}


def test_what_one_session_has_sent_is_nothing_to_another() -> None:
    one, other = window(10), window(10)
    one.note_sent(one.add(ONE), 1.0)
    one.begin_resend()
    one.note_sent(1, 2.0)
    assert (list(one.resend), one.sent_at) == ([1], {1: 2.0})
    assert (other.resend, other.sent_at) == ({}, {})
