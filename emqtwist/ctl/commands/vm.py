"""vm: the process that the broker is, under emqttd's names where Python and Linux know such a thing."""
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Registry, Words, pair

PROC = Path("/proc/self")


def _status() -> dict[str, int]:
    """The numbers of /proc/self/status, sizes in bytes."""
    found: dict[str, int] = {}
    for line in (PROC / "status").read_text().splitlines():
        key, _, value = line.partition(":")
        number, _, unit = value.strip().partition(" ")
        if number.isdecimal():
            found[key] = int(number) * (1024 if unit == "kB" else 1)
    return found


def _limit(which: int) -> int | str:
    soft = resource.getrlimit(which)[0]
    return "infinity" if soft == resource.RLIM_INFINITY else soft


def load(context: Context, words: Words) -> Iterator[Line]:
    for name, value in zip(("load1", "load5", "load15"), os.getloadavg(), strict=True):
        yield pair(name, f"{value:.2f}", 20, "cpu/")


def memory(context: Context, words: Words) -> Iterator[Line]:
    status = _status()
    yield pair("total", status["VmRSS"], 17, "memory/")
    yield pair("peak", status["VmHWM"], 17, "memory/")
    yield pair("code", status["VmExe"] + status["VmLib"], 17, "memory/")


def process(context: Context, words: Words) -> Iterator[Line]:
    yield pair("limit", _limit(resource.RLIMIT_NPROC), 16, "process/")
    yield pair("count", _status()["Threads"], 16, "process/")


def io(context: Context, words: Words) -> Iterator[Line]:
    yield pair("max_fds", _limit(resource.RLIMIT_NOFILE), 21, "io/")
    yield pair("active_fds", len(os.listdir(PROC / "fd")) - 1, 21, "io/")  # one is that of the listing


PARTS: dict[str, tuple[Callable[[Context, Words], Iterator[Line]], str, str]] = {
    "load": (load, "Show the load of the machine", "`cpu/load1`, `cpu/load5`, `cpu/load15`"),
    "memory": (memory, "Show the memory of the broker, in bytes", "`memory/total`, `memory/peak`, `memory/code`"),
    "process": (process, "Show the threads of the broker", "`process/limit`, `process/count`"),
    "io": (io, "Show the open files and sockets of the broker", "`io/max_fds`, `io/active_fds`"),
}


def everything(context: Context, words: Words) -> Iterator[Line]:
    for function, _, _ in PARTS.values():
        yield from function(context, words)


def add(registry: Registry) -> None:
    registry.add("vm", "", "Show all of the following", everything, "as the following")
    registry.add("vm all", "", "Show all of the following", everything, "as the following")
    for name, (function, meaning, prints) in PARTS.items():
        registry.add(f"vm {name}", "", meaning, function, prints)
