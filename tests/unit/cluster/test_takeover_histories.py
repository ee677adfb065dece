"""Random histories of a client that goes from node to node, while links are cut and nodes crash: each seed is one."""
from random import Random

import pytest

from emqtwist.core.cluster import frames as f
from tests.clusters import Net
from tests.unit.cluster.takeovers import NODES, History

HALTS = ("TAKE", "SESSION", "ROWS", "HAVE", "LEVEL", "READY", "FLUSH", "FLUSHED", "END", "DONE", "GONE", "DISCARD", "FORWARD", "TOOK",
         "DELTA", "APPLIED")


def step(history: History, dice: Random, crashes: bool) -> None:
    """Something happens."""
    net, node, chance = history.net, dice.choice(NODES), dice.random()
    if chance < 0.25:
        history.arrive(node)
    elif chance < 0.45:
        history.publish(node)
    elif chance < 0.55:
        history.take()
    elif chance < 0.7:
        net.halt_before(getattr(f, dice.choice(HALTS)))
    elif chance < 0.8:
        net.go_on()
    elif chance < 0.85:
        history.leave()
    elif chance < 0.9:
        other = dice.choice([each for each in NODES if each != node])
        net.cut(node, other)
        if dice.random() < 0.5:
            net.join(node, other)
    elif chance < 0.95 and crashes:
        history.take()
        history.crash(node)
        if dice.random() < 0.7:
            net.go_on()
            net.join_all()
    else:
        net.advance(dice.choice([0.1, 0.6]))
        net.join_all()


def play(seed: int, crashes: bool) -> None:
    """What happens comes to an end: then alice has all, and one session."""
    dice = Random(seed)
    net = Net(*NODES, lines=dice.choice([(), ("mqtt.mqueue.max_memory = 2KB",)]))
    history = History(net)
    history.begin(dice.choice(NODES))
    for _ in range(dice.randrange(3, 14)):
        step(history, dice, crashes)
    net.go_on()
    net.join_all()
    for _ in range(2):
        history.wait(7)
        history.arrive_again(dice.choice(NODES))
    history.wait(7)
    history.publish(*NODES)
    history.wait(1)
    history.check()
    assert len(history.holders()) == 1


@pytest.mark.parametrize("seed", range(40))
def test_a_session_is_whole_wherever_its_client_goes(seed: int) -> None:
    play(seed, False)


@pytest.mark.parametrize("seed", range(40))
def test_a_session_is_whole_though_nodes_crash(seed: int) -> None:
    play(seed, True)
