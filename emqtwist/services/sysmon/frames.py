"""What a thread is doing, in the words of a person who wants to mend it: `module:function:line`."""
import os
import sysconfig
from collections.abc import Iterator
from types import FrameType
from typing import Final

import twisted

LIBRARY: Final = tuple({os.path.join(sysconfig.get_path(name), "") for name in ("stdlib", "platstdlib")})
PACKAGES: Final = tuple(os.sep + name + os.sep for name in ("site-packages", "dist-packages"))  # may lie in the library
TWISTED: Final = os.path.join(os.path.dirname(twisted.__file__), "")
OURS: Final = "emqtwist."
LOOPS: Final = {  # where an event loop begins: what is below it called the loop, and was not called by it
    ("twisted.internet.base", "mainLoop"), ("twisted.internet.base", "run"), ("asyncio.base_events", "_run_once"),
    ("asyncio.base_events", "run_forever"),
}
WAITING: Final = {("twisted.internet.epollreactor", "doPoll"), ("twisted.internet.pollreactor", "doPoll"),
                  ("twisted.internet.selectreactor", "doSelect"), ("selectors", "select")}


def blame(frame: FrameType) -> str:
    """Who holds the thread up: the innermost of its frames that is neither the library's nor Twisted's.

    Is that one of ours, called by another's, both are named, the other's first. Empty while an event loop waits.
    """
    frames = list(_inside_loop(frame))
    if not frames or _is(frames[0], WAITING):
        return ""
    known = [each for each in frames if not _is_library(each)]
    if not known:
        return place(frames[0])
    foreign = [each for each in known if not _module(each).startswith(OURS)]
    if not foreign or foreign[0] is known[0]:
        return place(known[0])
    return f"{place(foreign[0])}, in {place(known[0])}"


def place(frame: FrameType) -> str:
    return f"{_module(frame)}:{frame.f_code.co_qualname}:{frame.f_lineno}"


def _inside_loop(frame: FrameType) -> Iterator[FrameType]:
    """From the innermost to the one that the event loop called."""
    each: FrameType | None = frame
    while each is not None and not _is(each, LOOPS):
        yield each
        each = each.f_back


def _is(frame: FrameType, names: set[tuple[str, str]]) -> bool:
    return (_module(frame), frame.f_code.co_name) in names


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "?"))


def _is_library(frame: FrameType) -> bool:
    path = frame.f_code.co_filename
    if path.startswith((TWISTED, "<frozen ")):
        return True
    return path.startswith(LIBRARY) and not any(part in path for part in PACKAGES)
