"""Clusters that fail in all ways keep what they promised, seed after seed; and the harness that says so finds planted bugs."""
import sys
from random import SystemRandom

import pytest

from emqtwist.core.causes import EXPIRED
from tests.harness.planting import Bug
from tests.harness.simulate import bugs
from tests.harness.simulate.__main__ import main
from tests.harness.simulate.run import Simulation, simulate
from tests.harness.simulate.wills import Wills
from tests.harness.simulate.world import FAULT, Found, Loads, World, timeline


@pytest.mark.parametrize("first", range(0, 24, 8))
def test_a_cluster_keeps_its_promises_whatever_fails(first: int) -> None:
    runs = [simulate(seed) for seed in range(first, first + 8)]
    owed = sum(len(mail.sure) for run in runs for mail in run.reference.letters if mail.qos)
    assert owed > 500  # messages to somebody who had to get them
    assert sum(node.starts - 1 for run in runs for node in run.nodes.values()) > 3  # crashes


@pytest.mark.parametrize("first", range(0, 16, 8))
def test_sessions_that_go_from_node_to_node_are_whole(first: int) -> None:
    for seed in range(first, first + 8):
        simulate(seed, Loads(takeover=True))


@pytest.mark.parametrize("first", range(0, 8, 4))
def test_nodes_agree_what_is_retained_and_a_message_of_a_group_has_one_member(first: int) -> None:
    for seed in range(first, first + 4):
        simulate(seed, Loads(retained=True, shared=True))


@pytest.mark.parametrize("loads", [Loads(takeover=True, crashes=False, partitions=False, pauses=True),
                                   Loads(takeover=True, crashes=False, partitions=False, stops=True)], ids=Loads.told)
def test_nodes_that_stop_for_a_while_or_are_stopped_keep_all_promises(loads: Loads) -> None:
    runs = [simulate(seed, loads) for seed in (0, 5, 6)]
    faults = [line for run in runs for line in run.world.log if line[11:12] == FAULT]
    assert sum(" goes on" in line or " has ended" in line for line in faults) > 8
    assert not any(" crashes" in line for line in faults)


def test_clients_that_begin_anew_anywhere_have_the_session_that_they_began_last() -> None:
    runs = [simulate(seed, Loads(takeover=True, anew=True)) for seed in range(20, 26)]
    assert sum(" begins anew" in line for run in runs for line in run.world.log) > 8


def test_messages_expire_as_their_publishers_said_wherever_they_wait() -> None:
    runs = [simulate(seed, Loads(takeover=True, shared=True, expiry=True)) for seed in range(4, 8)]
    letters = [letter for run in runs for letter in run.reference.letters]
    assert sum(letter.expiry > 0 for letter in letters) > 100
    assert sum(node.broker.metrics.drops[EXPIRED] for run in runs for node in run.nodes.values()) > 10


def test_a_will_is_published_once_if_it_has_to_be_and_never_if_not() -> None:
    runs = [simulate(seed, Loads(takeover=True, wills=True)) for seed in range(6)]
    lives = [(run.world.now, life) for run in runs for account in run.accounts if isinstance(account, Wills)
             for life in account.lives.values()]
    assert sum(life.has_to_be(now) for now, life in lives) > 30
    assert sum(life.has_to_be(now) and life.delay > 0 for now, life in lives) > 8
    assert sum(life.back for _, life in lives) > 20
    assert sum(life.revoked for _, life in lives) > 10


def test_what_a_group_gives_to_a_session_on_its_way_is_not_lost() -> None:
    for seed in range(3016, 3020):
        simulate(seed, Loads(takeover=True, retained=True, shared=True))


@pytest.mark.sweep
@pytest.mark.parametrize("part", range(2))
@pytest.mark.parametrize("loads", [Loads(), Loads(takeover=True), Loads(retained=True), Loads(shared=True),
                                   Loads(takeover=True, retained=True, shared=True),
                                   Loads(takeover=True, anew=True), Loads(takeover=True, shared=True, expiry=True),
                                   Loads(takeover=True, wills=True), Loads(takeover=True, shared=True, anew=True, wills=True),
                                   Loads(takeover=True, retained=True, shared=True, pauses=True, stops=True)], ids=Loads.told)
def test_a_cluster_keeps_its_promises_for_long(loads: Loads, part: int) -> None:
    first = SystemRandom().randrange(1 << 32)
    for seed in range(first, first + 250):
        simulate(seed, loads)


@pytest.mark.parametrize(("loads", "first", "bug", "what"),
                         [(loads, first, *row) for loads, first, rows in bugs.ALL for row in rows],
                         ids=lambda value: value.name if isinstance(value, Bug) else "")
def test_what_is_planted_is_found(loads: Loads, first: int, bug: Bug, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bug.plant(monkeypatch)
    with pytest.raises(Exception, match=what):
        run_until_found(loads, first)


def run_until_found(loads: Loads, first: int) -> None:
    for seed in range(first, first + 120):
        Simulation(seed, loads).run()


def test_a_seed_decides_all() -> None:
    logs = []
    for seed in (3, 3, 4):
        simulation = Simulation(seed, seconds=5.0)
        simulation.run()
        logs.append(simulation.world.log)
    assert logs[0] == logs[1] != logs[2]


def test_what_differs_the_second_time_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter(range(1_000_000))
    say = World.say
    monkeypatch.setattr(World, "say", lambda world, who, what: say(world, who, f"{what} {next(counts)}"))
    with pytest.raises(Found, match="seed 3 is not the same the second time"):
        simulate(3, seconds=1.0)


def test_a_seed_that_fails_prints_its_timeline(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    bugs.NOT_SENT_AGAIN.plant(monkeypatch)
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    monkeypatch.setattr(sys, "argv", ["simulate", "--seeds", "6"])
    with pytest.raises(SystemExit, match="of 6 seeds failed"):
        main()
    printed = capsys.readouterr().out
    assert " publishes 0" in printed
    assert "the link between" in printed or " crashes" in printed
    assert "again: make simulate SEED=" in printed


def test_a_timeline_has_the_faults_and_what_it_is_about() -> None:
    world = World(1)
    world.fault("a crashes")
    world.say("b", "gets 000001")
    for number in range(9):
        world.say("b", f"gets 00001{number}")
    assert [line[11:] for line in timeline(world.log, ("000001",)).splitlines()] == ["!       a crashes", "b       gets 000001"]
    assert timeline(world.log, ("gets",), 2).splitlines()[0] == "(9 lines before)"
