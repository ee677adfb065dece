"""Wills: held, published in time, or not at all."""
import pytest

from emqtwist.core.wills import WillMessage, Wills


def will(payload: bytes) -> WillMessage:
    return WillMessage(b"status", payload, 1, False, b"", "alice", 5.0, 60.0)


@pytest.mark.mqtt5("3.1.2-8", "3.1.2-10")
def test_a_will_waits_for_its_delay_and_is_published_once() -> None:
    wills, held = Wills(), will(b"lost")
    wills.hold("alice", held, 5.0)
    assert wills.take_due(4.9) == []
    assert wills.take_due(5.0) == [held]
    assert wills.take_due(60.0) == []


@pytest.mark.mqtt5("3.1.3-9")
def test_a_will_is_not_published_when_the_session_was_resumed_in_time() -> None:
    wills = Wills()
    wills.hold("alice", will(b"lost"), 5.0)
    wills.cancel("alice")
    wills.cancel("nobody")
    assert wills.take_due(60.0) == []
    assert wills.take("alice") is None


def test_wills_fall_due_earliest_first() -> None:
    wills, first, second = Wills(), will(b"1"), will(b"2")
    wills.hold("bob", second, 2.0)
    wills.hold("alice", first, 1.0)
    assert wills.take_due(3.0) == [first, second]


def test_a_session_that_ends_early_gives_its_will_at_once() -> None:
    wills, held = Wills(), will(b"lost")
    wills.hold("alice", held, 5.0)
    assert wills.take("alice") is held
    assert wills.take("alice") is None
    assert wills.take_due(60.0) == []


def test_a_client_has_one_will_the_last() -> None:
    wills, last = Wills(), will(b"last")
    wills.hold("alice", will(b"first"), 1.0)
    wills.hold("alice", last, 2.0)
    assert len(wills) == 1
    assert wills.take_due(1.5) == []
    assert wills.take_due(2.0) == [last]


def test_length_counts_the_wills_that_are_held() -> None:
    wills = Wills()
    for client_id in ("alice", "bob", "carol", "dave"):
        wills.hold(client_id, will(b"lost"), 1.0 if client_id == "dave" else 2.0)
    wills.cancel("alice")
    wills.take("bob")
    wills.take_due(1.0)
    assert len(wills) == 1
