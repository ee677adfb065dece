"""Who is named for holding a thread up."""
import json
import sys
from functools import partial
from types import FrameType, ModuleType

import pytest
from twisted.internet.task import Clock

from emqtwist.services.sysmon.frames import blame

PLUGIN = """
def work(call):
    return call()


class Worker:
    def work(self, call):
        return call()
"""


def module(name: str, source: str, file: str = "") -> ModuleType:
    made = ModuleType(name)
    exec(compile(source, file or f"/somewhere/{name}.py", "exec"), made.__dict__)
    return made


@pytest.fixture
def plugin() -> ModuleType:
    return module("plugin", PLUGIN)


def test_a_function_is_named_with_module_and_line(plugin: ModuleType) -> None:
    assert blame(plugin.work(sys._getframe)) == "plugin:work:3"


def test_a_method_is_named_with_its_class(plugin: ModuleType) -> None:
    assert blame(plugin.Worker().work(sys._getframe)) == "plugin:Worker.work:8"


def caller(frame: FrameType) -> FrameType:
    assert frame.f_back is not None
    return frame.f_back


def test_who_called_the_library_is_named_and_not_the_library() -> None:
    class File:
        def read(self, size: int = -1) -> str:
            frame = caller(sys._getframe())
            assert frame.f_globals["__name__"] == "json"
            return json.dumps(blame(frame))

    assert json.load(File()).startswith(f"{__name__}:test_who_called_the_library_is_named_and_not_the_library:")


def test_twisted_is_not_named_for_what_it_was_called_to_do() -> None:
    clock = Clock()
    found: list[str] = []
    sleeper = module("sleeper", "def sleep(frame, found, blame):\n    found.append(blame(frame().f_back))")
    clock.callLater(1.0, sleeper.sleep, sys._getframe, found, blame)
    clock.advance(1.0)
    assert found[0].startswith(f"{__name__}:test_twisted_is_not_named_for_what_it_was_called_to_do:")


def test_of_our_own_functions_the_one_that_another_called_is_named_after_its_caller(plugin: ModuleType) -> None:
    ours = module("emqtwist.core.broker", "def tick(frame):\n    return frame()\ndef call(function):\n    return function()")
    loop = module("twisted.internet.base", "def mainLoop(call):\n    return call()")
    frame = loop.mainLoop(partial(plugin.work, partial(ours.tick, sys._getframe)))
    assert blame(frame) == "plugin:work:3, in emqtwist.core.broker:tick:2"
    assert blame(loop.mainLoop(partial(ours.call, partial(plugin.work, sys._getframe)))) == "plugin:work:3"


def test_what_called_the_event_loop_is_not_named() -> None:
    loop = module("twisted.internet.base", "def mainLoop(frame):\n    return frame()")
    host = module("host", "def main(loop, frame):\n    return loop(frame)")
    assert blame(host.main(loop.mainLoop, sys._getframe)) == ""


def test_nobody_is_named_while_the_loop_waits() -> None:
    poll = module("twisted.internet.epollreactor", "def doPoll(frame):\n    return frame()")
    assert blame(poll.doPoll(sys._getframe)) == ""


def test_where_all_is_the_librarys_the_innermost_is_named() -> None:
    loop = module("asyncio.base_events", "def _run_once(call, frame):\n    return call(frame)")
    library = module("selectors", "def register(frame):\n    return frame()", json.__file__)
    assert blame(loop._run_once(library.register, sys._getframe)) == "selectors:register:2"
