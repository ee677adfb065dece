"""Frames: what nodes tell each other over a link, as tuples that begin with a kind. One table names the fields of each.

Times are seconds that are left, or wall time where it says so. What is in a field that is a tuple is checked where it is used.
"""
from typing import Any, Final

Frame = tuple[Any, ...]


class BadFrame(Exception):
    """What came is no frame that this node knows; the message says what is wrong with it."""


STATE: Final = 1
WANT: Final = 2
DELTA: Final = 3
SNAPSHOT: Final = 4
APPLIED: Final = 5
GREET: Final = 6
MARK: Final = 7
FORWARD: Final = 8
TOOK: Final = 9
FLUSH: Final = 10
FLUSHED: Final = 11

MEMBERS: Final = 20
JOIN: Final = 21
GOODBYE: Final = 22
ABOUT: Final = 23
ECHO: Final = 24

TAKE: Final = 30
SESSION: Final = 31
ROWS: Final = 32
HAVE: Final = 33
LEVEL: Final = 34
READY: Final = 35
END: Final = 36
DONE: Final = 37
GONE: Final = 38
DISCARD: Final = 39
CUT: Final = 41

LOAD: Final = 40

RETAIN: Final = 50
ERASE: Final = 51
DIGESTS: Final = 52
MARKS: Final = 53
NEED: Final = 54

RUN: Final = 60
MORE: Final = 61
PAGE: Final = 62
STOP: Final = 63

BRIDGED: Final = 70
BRIDGE_OVER: Final = 71

TEXT: Final = (str,)
DATA: Final = (bytes,)
NUMBER: Final = (int,)
KEY: Final = (bytes, str)
LIST: Final = (tuple,)
REST: Final = (float, int, type(None))
OF_SESSION: Final = (("client_id", TEXT), ("epoch", NUMBER))

# `number` of a table: how many changes it has had; `digest`: of its entries.
KINDS: Final[dict[int, tuple[str, tuple[tuple[str, tuple[type, ...]], ...]]]] = {
    STATE: ("STATE", (("table", NUMBER), ("number", NUMBER), ("digest", NUMBER))),
    WANT: ("WANT", (("table", NUMBER), ("number", NUMBER))),
    DELTA: ("DELTA", (("table", NUMBER), ("number", NUMBER), ("changes", LIST))),
    SNAPSHOT: ("SNAPSHOT", (("table", NUMBER), ("number", NUMBER), ("digest", NUMBER), ("place", NUMBER), ("last", (bool,)),
                            ("entries", LIST))),
    APPLIED: ("APPLIED", (("table", NUMBER), ("number", NUMBER))),
    GREET: ("GREET", (("identity", TEXT),)),
    MARK: ("MARK", (("identity", TEXT), ("kept", NUMBER), ("volatile", NUMBER))),
    FORWARD: ("FORWARD", (("kept", NUMBER), ("volatile", NUMBER), ("origin", NUMBER), ("flags", NUMBER), ("topic", DATA),
                          ("payload", DATA), ("properties", DATA), ("rest", REST), ("publisher", TEXT), ("group", DATA))),
    TOOK: ("TOOK", (("identity", TEXT), ("kept", NUMBER), ("volatile", NUMBER))),
    FLUSH: ("FLUSH", (("number", NUMBER),)),
    FLUSHED: ("FLUSHED", (("number", NUMBER),)),
    MEMBERS: ("MEMBERS", (("rows", LIST),)),
    JOIN: ("JOIN", ()),
    GOODBYE: ("GOODBYE", ()),
    ABOUT: ("ABOUT", (("version", TEXT), ("asked", NUMBER))),
    ECHO: ("ECHO", (("asked", NUMBER), ("wall", (float, int)))),
    RUN: ("RUN", (("number", NUMBER), ("words", LIST))),
    MORE: ("MORE", (("number", NUMBER),)),
    PAGE: ("PAGE", (("number", NUMBER), ("piece", DATA), ("last", (bool,)), ("failure", TEXT))),
    STOP: ("STOP", (("number", NUMBER),)),
    LOAD: ("LOAD", (("group", DATA), ("messages", NUMBER))),
    # Retained messages.
    RETAIN: ("RETAIN", (("topic", DATA), ("stamp", NUMBER), ("node", TEXT), ("qos", NUMBER), ("payload", DATA),
                        ("properties", DATA), ("rest", REST), ("left", REST), ("publisher", TEXT))),
    ERASE: ("ERASE", (("topic", DATA), ("stamp", NUMBER), ("node", TEXT), ("rest", REST))),
    DIGESTS: ("DIGESTS", (("digests", LIST),)),
    MARKS: ("MARKS", (("bucket", NUMBER), ("marks", LIST))),
    NEED: ("NEED", (("bucket", NUMBER), ("topics", LIST))),
    TAKE: ("TAKE", (*OF_SESSION, ("have", NUMBER))),
    SESSION: ("SESSION", (*OF_SESSION, ("expiry_interval", REST), ("subscriptions", LIST), ("received", LIST))),
    ROWS: ("ROWS", (*OF_SESSION, ("rows", LIST))),
    HAVE: ("HAVE", (*OF_SESSION, ("seq", NUMBER))),
    LEVEL: ("LEVEL", OF_SESSION),
    READY: ("READY", (*OF_SESSION, ("nodes", LIST), ("claimed", LIST))),
    END: ("END", (*OF_SESSION, ("nodes", LIST), ("whole", (bool,)))),
    DONE: ("DONE", OF_SESSION),
    CUT: ("CUT", OF_SESSION),
    GONE: ("GONE", (*OF_SESSION, ("node", TEXT))),
    DISCARD: ("DISCARD", OF_SESSION),
    BRIDGED: ("BRIDGED", (("kept", NUMBER), ("volatile", NUMBER), ("flags", NUMBER), ("topic", DATA), ("payload", DATA),
                          ("properties", DATA), ("rest", REST), ("publisher", TEXT), ("trail", DATA))),
    BRIDGE_OVER: ("BRIDGE_OVER", ()),
}


def shapes_of(kind: int) -> frozenset[tuple[type, ...]]:
    """The types that a frame of this kind may be made of."""
    found: list[tuple[type, ...]] = [(int,)]
    for _, types in KINDS[kind][1]:
        found = [(*begin, each) for begin in found for each in types]
    return frozenset(found)


SHAPES: Final[dict[int, frozenset[tuple[type, ...]]]] = {kind: shapes_of(kind) for kind in KINDS}


def check(frame: object) -> Frame:
    """The frame, if it is one: BadFrame for an unknown kind, or fields that are not as its kind has them."""
    if not isinstance(frame, tuple) or not frame or type(frame[0]) is not int:
        raise BadFrame("not a frame")
    shapes = SHAPES.get(frame[0])
    if shapes is None:
        raise BadFrame(f"a frame of unknown kind {frame[0]}")
    if tuple([type(each) for each in frame]) not in shapes:
        raise BadFrame(_wrong(frame))
    return frame


def _wrong(frame: Frame) -> str:
    """What is wrong with the fields of a frame."""
    name, fields = KINDS[frame[0]]
    if len(frame) != len(fields) + 1:
        return f"{name} with {len(frame) - 1} fields instead of {len(fields)}"
    wrong = [f"{field} is of type {type(value).__name__}" for (field, types), value in zip(fields, frame[1:], strict=True)
             if type(value) not in types]
    return f"{name}: " + ", ".join(wrong)
