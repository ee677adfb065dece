"""vm: the process that the broker is, under emqttd's names where Python and Linux know such a thing."""
import os
import resource
from collections.abc import Iterator
from pathlib import Path

from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Registry, Words, pair
from emqtwist.services.sysmon.machine import Machine

PROC = Path("/proc/self")
MACHINE = Machine()


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
        yield pair(name, f"{value:.2f}", 20, "cpu/")[0], {"key": f"cpu/{name}", "value": round(value, 2)}


def memory(context: Context, words: Words) -> Iterator[Line]:
    status = _status()
    yield pair("total", status["VmRSS"], 17, "memory/")
    yield pair("peak", status["VmHWM"], 17, "memory/")
    yield pair("code", status["VmExe"] + status["VmLib"], 17, "memory/")


def process(context: Context, words: Words) -> Iterator[Line]:
    yield pair("limit", _limit(resource.RLIMIT_NPROC), 16, "process/")
    yield pair("count", _status()["Threads"], 16, "process/")


async def io(context: Context, words: Words) -> list[Line]:
    """Where the kernel does not count what is open, a thread does."""
    count: int = MACHINE.descriptors() or await context.service.pool.submit(MACHINE.listed_descriptors)
    return [pair("max_fds", _limit(resource.RLIMIT_NOFILE), 21, "io/"), pair("active_fds", count, 21, "io/")]


async def everything(context: Context, words: Words) -> list[Line]:
    return [*load(context, words), *memory(context, words), *process(context, words), *await io(context, words)]


def add(registry: Registry) -> None:
    registry.add_waiting("vm", "", "Show all of the following", everything, "as the following")
    registry.add_waiting("vm all", "", "Show all of the following", everything, "as the following")
    registry.add("vm load", "", "Show the load of the machine", load, "`cpu/load1`, `cpu/load5`, `cpu/load15`")
    registry.add("vm memory", "", "Show the memory of the broker, in bytes", memory,
                 "`memory/total`, `memory/peak`, `memory/code`")
    registry.add("vm process", "", "Show the threads of the broker", process, "`process/limit`, `process/count`")
    registry.add_waiting("vm io", "", "Show the open files and sockets of the broker", io, "`io/max_fds`, `io/active_fds`")
