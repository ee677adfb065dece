"""What is remembered of clients: for how long, for how many, and for whom."""
from collections.abc import Callable

import pytest

from emqtwist.access.results import Results
from emqtwist.core.access import Client, Deny, Ok
from emqtwist.core.door import Certificate
from tests.oracles import client


class Bench:
    def __init__(self, size: int = 2, lifetime: float = 10.0) -> None:
        self.now = 100.0
        self.results = Results(size, lifetime, lambda: self.now)

    def put(self, who: Client, password: bytes | None = b"pencil") -> Ok:
        finding = Ok()
        self.results.put(self.results.key(who, password), finding)
        return finding

    def get(self, who: Client, password: bytes | None = b"pencil") -> object:
        return self.results.get(self.results.key(who, password))


def test_an_answer_is_for_who_is_the_same_in_everything() -> None:
    bench = Bench()
    finding = bench.put(client())
    assert bench.get(client()) is finding
    assert bench.get(client(port=50001)) is finding


@pytest.mark.parametrize("other", [
    client("d"), client(user_name="bob"), client(user_name=None), client(listener="tcp.other"), client(address="10.0.0.2"),
    client(certificate=Certificate("alice", "CN=alice", ()))])
def test_nobody_else_has_it(other: Client) -> None:
    bench = Bench()
    bench.put(client())
    assert bench.get(other) is None


@pytest.mark.parametrize("password", [None, b"", b"Pencil", b"pencil\0"])
def test_nobody_has_it_with_another_password(password: bytes | None) -> None:
    bench = Bench()
    bench.put(client())
    assert bench.get(client(), password) is None


@pytest.mark.parametrize("name", Client.__slots__)
def test_all_that_is_known_of_a_client_counts_but_its_port(name: str) -> None:
    one, other = client(), client()
    setattr(other, name, Certificate("x", "CN=x", ()) if name == "certificate" else "another")
    assert (one.inputs() == other.inputs()) == (name == "peer")


def test_a_certificate_is_the_same_where_it_says_the_same() -> None:
    bench = Bench()
    finding = bench.put(client(certificate=Certificate("alice", "CN=alice", ("a",))))
    assert bench.get(client(certificate=Certificate("alice", "CN=alice", ("a",)))) is finding
    assert bench.get(client(certificate=Certificate("alice", "CN=alice", ("b",)))) is None
    assert bench.get(client()) is None


def test_a_password_is_not_kept() -> None:
    bench = Bench()
    key = bench.results.key(client(), b"pencil")
    assert b"pencil" not in key
    assert key != Bench().results.key(client(), b"pencil")


@pytest.mark.parametrize(("forget", "left"), [
    (lambda bench: setattr(bench, "now", 109.9), True), (lambda bench: setattr(bench, "now", 110.0), False),
    (lambda bench: bench.results.clear(), False)])
def test_it_is_kept_for_a_while(forget: Callable[[Bench], None], left: bool) -> None:
    bench = Bench()
    bench.put(client())
    forget(bench)
    assert (bench.get(client()) is not None) is left
    assert len(bench.results) == left


def test_the_one_used_longest_ago_makes_room() -> None:
    bench = Bench()
    bench.put(client("a"))
    bench.put(client("b"))
    bench.get(client("a"))
    bench.put(client("c"))
    assert [bench.get(client(name)) is not None for name in "abc"] == [True, False, True]


@pytest.mark.parametrize(("size", "lifetime"), [(0, 10.0), (2, 0.0)])
def test_nothing_may_be_kept(size: int, lifetime: float) -> None:
    bench = Bench(size, lifetime)
    bench.results.put(bench.results.key(client(), b"x"), Deny())
    assert len(bench.results) == 0
