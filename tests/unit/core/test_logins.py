"""Failed logins by address: pauses that grow, in bounded memory."""

from emqtwist.core.logins import Logins, LoginSettings
from tests.gates import Gate
from tests.methods import no, opening
from tests.peers import World

HOST = "10.0.0.1"
SETTINGS = LoginSettings(3, 60.0, 5.0, 30.0)


def fail(table: Logins, now: float, times: int = 3, host: str = HOST) -> None:
    for _ in range(times):
        table.failed(host, now, SETTINGS)


def pause(table: Logins, now: float) -> float:
    """How many whole seconds from `now` on the address is refused."""
    return next(seconds for seconds in range(1000) if not table.refuses(HOST, now + seconds))


def test_a_few_failures_are_nothing() -> None:
    table = Logins()
    fail(table, 0.0, 2)
    assert pause(table, 0.0) == 0
    fail(table, 60.0, 2)
    assert pause(table, 60.0) == 0
    fail(table, 60.0, 1)
    assert pause(table, 60.0) == 5
    assert not table.refuses("10.0.0.2", 60.0)


def test_each_pause_is_twice_as_long_up_to_a_bound() -> None:
    table, now, pauses = Logins(), 0.0, []
    for _ in range(5):
        fail(table, now)
        pauses.append(pause(table, now))
        now += pauses[-1]
    assert pauses == [5, 10, 20, 30, 30]


def test_what_is_long_ago_is_forgotten() -> None:
    table = Logins()
    fail(table, 0.0)
    fail(table, 5.0)
    assert pause(table, 5.0) == 10
    fail(table, 15.0 + 60.0)
    assert pause(table, 75.0) == 5


def test_there_are_no_more_addresses_than_there_is_room_for() -> None:
    table = Logins(10)
    fail(table, 0.0)
    for number in range(9):
        fail(table, 1.0, 1, f"10.1.0.{number}")
    assert table.refuses(HOST, 1.0)
    fail(table, 1.0, 1, "10.2.0.0")
    assert len(table) == 10
    assert not table.refuses(HOST, 1.0)


def test_nothing_is_remembered_when_it_is_off_or_there_is_no_address() -> None:
    table = Logins()
    table.failed(HOST, 0.0, LoginSettings(0, 60.0, 5.0, 30.0))
    fail(table, 0.0, host="")
    assert len(table) == 0


def test_a_login_by_a_method_counts_and_so_does_one_by_a_hook() -> None:
    world = Gate(no())
    world.configure("auth.backoff.max_failures = 2")
    world.peer().send(opening())
    assert not world.broker.logins.refuses(HOST, world.turn.now)
    world.broker.hooks.add("client.authenticate", lambda *arguments: False)
    world.peer().connect("alice", user_name="al", password=b"x")
    assert world.broker.logins.refuses(HOST, world.turn.now)


def test_who_does_not_say_who_it_is_has_guessed_nothing() -> None:
    world = World("auth.backoff.max_failures = 1")
    world.broker.hooks.add("client.authenticate", lambda *arguments: False)
    world.peer().connect("alice")
    assert len(world.broker.logins) == 0
