"""Bans: client identifiers, user names, addresses and networks, until some time or for ever."""
from ipaddress import IPv4Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emqtwist.core.bans import ADDRESS, CLIENT, USER, Ban, Bans, canonical
from emqtwist.core.link import Turn
from emqtwist.core.message import NEVER


def made(*keys: tuple[str, str], until: float = NEVER) -> Bans:
    found = Bans(Turn(1000.0), None)
    for kind, value in keys:
        assert found.add(Ban(kind, canonical(kind, value), "", "a test", 1000.0, until))
    return found


def test_a_ban_means_its_kind_alone() -> None:
    found = made((CLIENT, "bob"))
    assert found.of(CLIENT, "bob") is not None
    assert found.of(USER, "bob") is None
    assert found.of(CLIENT, "bobby") is None


@pytest.mark.parametrize(("value", "inside", "outside"), [
    ("10.0.0.1", ["10.0.0.1", "::ffff:10.0.0.1"], ["10.0.0.2", "::1", ""]),
    ("10.1.0.0/16", ["10.1.0.0", "10.1.255.255"], ["10.0.255.255", "10.2.0.0"]),
    ("10.1.2.3/16", ["10.1.0.0"], ["10.2.0.0"]),
    ("2001:db8::/64", ["2001:db8::1", "2001:db8::ffff:1%eth0"], ["2001:db8:0:1::1", "10.0.0.1"]),
    ("0.0.0.0/0", ["1.2.3.4"], ["::1"]),
])
def test_an_address_or_a_network_is_banned(value: str, inside: list[str], outside: list[str]) -> None:
    found = made((ADDRESS, value))
    assert [host for host in inside if found.of_address(host) is None] == []
    assert [host for host in outside if found.of_address(host) is not None] == []
    assert found.remove(ADDRESS, canonical(ADDRESS, value))
    assert [host for host in inside if found.of_address(host) is not None] == []


@given(st.lists(st.tuples(st.integers(0, 255), st.sampled_from([8, 29, 30, 32]), st.booleans()), max_size=20),
       st.integers(0, 255))
def test_networks_are_found_as_one_that_looks_at_each_would(steps: list[tuple[int, int, bool]], last: int) -> None:
    found = made()
    networks: set[IPv4Network] = set()
    for number, length, stays in steps:
        network = IPv4Network((f"10.0.0.{number}", length), strict=False)
        value = canonical(ADDRESS, str(network))
        found.add(Ban(ADDRESS, value, "", "a test", 0.0, NEVER))
        networks.add(network)
        if not stays:
            assert found.remove(ADDRESS, value)
            networks.discard(network)
    host = f"10.0.0.{last}"
    assert (found.of_address(host) is not None) == any(ip_address(host) in network for network in networks)


def test_a_ban_ends_when_its_time_is_over() -> None:
    turn = Turn(1000.0)
    found = Bans(turn, None)
    found.add(Ban(CLIENT, "bob", "", "a test", 1000.0, 1005.0))
    found.add(Ban(ADDRESS, "10.0.0.1", "", "a test", 1000.0, 1005.0))
    turn.now = 1004.9
    assert found.of(CLIENT, "bob") is not None
    turn.now = 1005.0
    assert (found.of(CLIENT, "bob"), found.of_address("10.0.0.1")) == (None, None)
    found.take_expired(1005.0)
    assert found.table == {}


def test_a_second_ban_replaces_the_first() -> None:
    turn = Turn(1000.0)
    found = Bans(turn, None)
    found.add(Ban(ADDRESS, "10.0.0.1", "", "a test", 1000.0, 1005.0))
    found.add(Ban(ADDRESS, "10.0.0.1", "for good", "a test", 1000.0, NEVER))
    turn.now = 2000.0
    found.take_expired(2000.0)
    ban = found.of_address("10.0.0.1")
    assert ban is not None
    assert ban.reason == "for good"
    found.remove(ADDRESS, "10.0.0.1")
    assert found.of_address("10.0.0.1") is None


def test_there_is_a_bound() -> None:
    found = Bans(Turn(1000.0), None, 2)
    for value in ("a", "b"):
        assert found.add(Ban(CLIENT, value, "", "a test", 1000.0, NEVER))
    assert not found.add(Ban(CLIENT, "c", "", "a test", 1000.0, NEVER))
    assert found.add(Ban(CLIENT, "b", "again", "a test", 1000.0, NEVER))
    assert len(found.table) == 2


@pytest.mark.parametrize(("kind", "value"), [("nobody", "x"), (CLIENT, ""), (USER, ""), (ADDRESS, "10.0.0"), (ADDRESS, "")])
def test_what_cannot_be_banned_is_told(kind: str, value: str) -> None:
    with pytest.raises(ValueError, match="."):
        canonical(kind, value)
