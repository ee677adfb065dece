"""Counting within a window of time, in bounded memory."""
import pytest

from emqtwist.core.addresses import source_of
from emqtwist.core.windows import Windows


def test_what_came_in_an_earlier_window_does_not_count() -> None:
    counted = Windows()
    assert [counted.count("a", now, 10.0) for now in (0.0, 9.0, 9.9, 10.0, 19.9)] == [1, 2, 3, 1, 2]
    assert counted.count("b", 19.9, 10.0) == 1
    counted.clear("a")
    assert counted.count("a", 19.9, 10.0) == 1


def test_those_whose_window_is_over_go(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Windows()
    for number in range(1000):
        counted.count(str(number), 0.0, 10.0)
    for number in range(1000):
        counted.count(f"new {number}", 10.0, 10.0)
    assert len(counted) == 1000


def test_there_are_no_more_keys_than_there_is_room_for() -> None:
    counted = Windows(10)
    for number in range(100):
        counted.count(str(number), 0.0, 10.0)
    assert len(counted) == 10
    assert counted.count("99", 0.0, 10.0) == 2
    assert counted.count("0", 0.0, 10.0) == 1


@pytest.mark.parametrize(("host", "source"), [
    ("10.0.0.1", "10.0.0.1"), ("::ffff:10.0.0.1", "10.0.0.1"), ("2001:db8:0:1::7", "20010db800000001/64"),
    ("2001:db8:0:1:ffff::", "20010db800000001/64"), ("fe80::1%eth0", "fe80000000000000/64"), ("", ""), (":", "")])
def test_an_ipv6_address_counts_as_its_network(host: str, source: str) -> None:
    assert source_of(host) == source
