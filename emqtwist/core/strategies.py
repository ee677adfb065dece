"""How a group chooses the member that gets a message: one function for each strategy, and the table of them."""
from collections.abc import Callable
from typing import Final
from zlib import crc32

from emqtwist.core.members import Members
from emqtwist.core.message import Message
from emqtwist.core.subscriber import Subscriber

MODULUS: Final = 2_147_483_647
MULTIPLIER: Final = 48_271
MOST_PUBLISHERS: Final = 4096  # whose turn a group remembers


class Dice:
    """Numbers as if by chance, Lehmer's way; the only chance in them is that of the seed."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed % (MODULUS - 1) + 1

    def below(self, bound: int) -> int:
        self._state = self._state * MULTIPLIER % MODULUS
        return self._state % bound


class Memory:
    """What a group remembers of its choices: the `favourite`, whose `turn` it is, and that for each publisher."""

    __slots__ = ("dice", "favourite", "turn", "turns")

    def __init__(self, dice: Dice) -> None:
        self.dice = dice
        self.favourite: Subscriber | None = None
        self.turn = 0
        self.turns: dict[str, int] = {}


Strategy = Callable[[Members, Memory, Message], Subscriber]


def least_loaded(members: Members, memory: Memory, message: Message) -> Subscriber:
    """The one with the fewest messages in flight and waiting; of several the one served longest ago."""
    best = members.order[0]
    least = -1
    for subscriber in members.queue:
        load = subscriber.load()
        if not load:
            return subscriber
        if least < 0 or load < least:
            best, least = subscriber, load
    return best


def at_random(members: Members, memory: Memory, message: Message) -> Subscriber:
    return members.order[memory.dice.below(len(members.order))]


def round_robin(members: Members, memory: Memory, message: Message) -> Subscriber:
    """One after the other, for each publisher by itself: each begins anywhere."""
    turn = memory.turns.pop(message.publisher, -1)
    if turn < 0:
        turn = memory.dice.below(len(members.order))
        if len(memory.turns) >= MOST_PUBLISHERS:
            del memory.turns[next(iter(memory.turns))]
    memory.turns[message.publisher] = turn + 1
    return members.order[turn % len(members.order)]


def round_robin_per_group(members: Members, memory: Memory, message: Message) -> Subscriber:
    """One after the other, whoever publishes."""
    memory.turn += 1
    return members.order[(memory.turn - 1) % len(members.order)]


def sticky(members: Members, memory: Memory, message: Message) -> Subscriber:
    """The same as before, while it is there."""
    favourite = memory.favourite
    if favourite is None or favourite not in members.queue:
        favourite = memory.favourite = at_random(members, memory, message)
    return favourite


def local(members: Members, memory: Memory, message: Message) -> Subscriber:
    """One of this node at random, one of another node only when there is none."""
    near = [subscriber for subscriber in members.order if not members.queue[subscriber].node]
    choice = near or members.order
    return choice[memory.dice.below(len(choice))]


def hash_clientid(members: Members, memory: Memory, message: Message) -> Subscriber:
    """The same for all messages of one publisher, while the members are the same."""
    return members.order[crc32(message.publisher.encode()) % len(members.order)]


def hash_topic(members: Members, memory: Memory, message: Message) -> Subscriber:
    """The same for all messages of one topic, while the members are the same."""
    return members.order[crc32(message.topic) % len(members.order)]


STRATEGIES: Final[dict[str, Strategy]] = {
    "least_loaded": least_loaded,
    "random": at_random,
    "round_robin": round_robin,
    "round_robin_per_group": round_robin_per_group,
    "sticky": sticky,
    "local": local,
    "hash_clientid": hash_clientid,
    "hash_topic": hash_topic,
}
