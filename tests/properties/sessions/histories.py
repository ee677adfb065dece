"""Which histories are tried: all clients connect and subscribe, then anything happens.

An operation is read from a few bytes, low ones first, so that Hypothesis is asked once for each: asked for each field, it
would take six times as long as all the rest. Zeros are the simplest operation.
"""
from collections.abc import Callable, Sequence
from typing import TypeVar

from hypothesis import strategies as st

from emqtwist.mqtt import constants as c
from tests.properties.sessions import operations as o
from tests.properties.sessions.reference import Rules

SMALL_TABLES = ("retainer.replay_batch = 1", "mqtt.pubsub.route_cache = 2")
PRIORITIES = ("mqtt.mqueue.type = priority", "mqtt.mqueue.priority = a/b=5, a=1")
RULES = [
    Rules(), Rules(more=SMALL_TABLES, chunk=3), Rules(max_inflight=2, receive_maximum=2), Rules(more=PRIORITIES, max_inflight=1),
    Rules(store_qos0=False), Rules(max_length=2, max_inflight=2), Rules(upgrade_qos=True, ignore_loop_deliver=True),
]
CLIENTS = range(len(o.CLIENTS))
SESSION_EXPIRIES = (0, 4, 60, c.SESSION_NEVER_EXPIRES)
MESSAGE_EXPIRIES = (None, None, 2, 7)
OPTIONS = (0, c.OPTION_NO_LOCAL, c.OPTION_RETAIN_AS_PUBLISHED, c.OPTION_NO_LOCAL | c.OPTION_RETAIN_AS_PUBLISHED)
SELDOM = (False, False, False, True)
T = TypeVar("T")


class Dice:
    """Choices, read from bytes."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data, "little")

    def pick(self, among: Sequence[T]) -> T:
        self._number, at = divmod(self._number, len(among))
        return among[at]

    def flag(self) -> bool:
        return self.pick((False, True))

    def seldom(self) -> bool:
        return self.pick(SELDOM)

    def number(self) -> int:
        return self.pick(range(6))

    def qos(self) -> int:
        return self.pick((0, 1, 2))


def connect(dice: Dice, client: int) -> o.Connect:
    return o.Connect(
        client, version=dice.pick((5, 5, 4, 3)), clean_start=dice.seldom(), expiry=dice.pick(SESSION_EXPIRIES),
        window=dice.pick((0, 0, 1, 2)), small_packets=dice.seldom(), keep_alive=4 * dice.seldom(),
        will=will(dice) if dice.flag() else None)


def will(dice: Dice) -> o.Will:
    return o.Will(dice.pick(range(4)), dice.qos(), dice.flag(), dice.pick((0, 3, 20)), dice.pick(MESSAGE_EXPIRIES))


def subscribe(dice: Dice, client: int) -> o.Subscribe:
    filters = tuple((dice.pick(range(len(o.FILTERS))), dice.pick((0, 1, 1, 2, 2)) | dice.pick(OPTIONS) | dice.qos() << 4)
                    for _ in range(dice.pick((1, 2, 3))))
    return o.Subscribe(client, filters, dice.number())


def publish(dice: Dice, client: int) -> o.Publish:
    return o.Publish(
        client, dice.pick(range(len(o.TOPICS))), dice.pick((0, 1, 1, 2, 2)), dice.flag(),
        dice.pick(("small", "small", "small", "large", "empty")), dice.pick(MESSAGE_EXPIRIES), dice.flag(), dice.seldom())


def unsubscribe(dice: Dice, client: int) -> o.Unsubscribe:
    return o.Unsubscribe(client, tuple(dice.pick(range(len(o.FILTERS))) for _ in range(dice.pick((1, 2)))))


def disconnect(dice: Dice, client: int) -> o.Disconnect:
    return o.Disconnect(client, dice.flag(), dice.pick((None, *SESSION_EXPIRIES)))


Maker = Callable[[Dice, int], o.Operation]
WEIGHTS: list[tuple[int, Maker]] = [
    (1, lambda dice, client: o.Nothing()),
    (9, publish),
    (4, lambda dice, client: o.Acknowledge(client, dice.number(), dice.flag(), dice.seldom())),
    (3, connect),
    (3, subscribe),
    (2, lambda dice, client: o.Drop(client)),
    (2, lambda dice, client: o.Advance(dice.pick((0.5, 1.0, 3.0, 10.0)))),
    (1, disconnect),
    (1, lambda dice, client: o.Stall(client)),
    (1, unsubscribe),
    (1, lambda dice, client: o.Release(client, dice.number(), dice.seldom())),
    (1, lambda dice, client: o.Repeat(client, dice.number())),
    (1, lambda dice, client: o.Cork(dice.pick((2, 3, 4)))),
    (1, lambda dice, client: o.Ping(client)),
    (1, lambda dice, client: o.StrayAcknowledge(client, dice.pick((c.PUBACK, c.PUBREC, c.PUBCOMP)))),
]
MAKERS = [make for weight, make in WEIGHTS for _ in range(weight)]
SIZE = 10  # bytes for an operation


def history(opening: bytes, rest: list[bytes]) -> o.History:
    """The history that these bytes stand for; `opening` is for the rules, the first CONNECT and SUBSCRIBE of all."""
    pieces = [Dice(opening[at:at + SIZE]) for at in range(0, len(opening), SIZE)]
    rules = pieces.pop().pick(RULES)
    begin: list[o.Operation] = [connect(pieces.pop(), client) for client in CLIENTS]
    begin += [subscribe(pieces.pop(), client) for client in CLIENTS]
    return o.History(rules, begin + [_operation(Dice(piece)) for piece in rest])


def _operation(dice: Dice) -> o.Operation:
    return dice.pick(MAKERS)(dice, dice.pick(CLIENTS))


def binary(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


histories = st.builds(history, binary(SIZE * (1 + 2 * len(CLIENTS))), st.lists(binary(SIZE), min_size=30, max_size=60))
