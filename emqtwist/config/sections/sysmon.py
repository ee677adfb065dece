"""[sysmon]: at what the broker warns of itself, of its machine, and of slow clients."""
from dataclasses import dataclass
from typing import Final

from emqtwist.config.rows import row
from emqtwist.config.values import DURATION, INTEGER, PERCENT, SIZE

EFFECTS: Final = "tests/adapters/sysmon/test_thresholds.py"
AUTO: Final = -1


@dataclass(frozen=True, kw_only=True)
class SysmonSection:
    """The system monitor: beyond each of these there is a line in the log, a message below `$SYS` and an alarm."""

    long_schedule: float = row(
        "240ms", DURATION, live=True, minimum="20ms", maximum="1h", words={"off": 0.0}, test=EFFECTS,
        meaning="How late the broker may come to what is due, because something holds it up; the warning names what did.")
    long_gc: float = row(
        "100ms", DURATION, live=True, minimum="1ms", maximum="1h", words={"off": 0.0}, test=EFFECTS,
        meaning="How long one run of the garbage collector may take.")
    large_heap: int = row(
        "auto", SIZE, live=True, minimum="1MB", words={"auto": AUTO, "off": 0}, test=EFFECTS,
        meaning="Memory that the process may occupy (resident). `auto`: 80 % of what the machine has, or the limit of its "
                "control group or of the process if that is less.")
    busy_port: int = row(
        "1MB", SIZE, live=True, minimum="1KB", words={"off": 0}, test=EFFECTS,
        meaning="Unsent bytes that may wait for one client, longer than `busy_port_time`. With Twisted's own transports and "
                "with batches alike.")
    busy_port_time: float = row(
        "5s", DURATION, live=True, minimum="1s", maximum="1h", test=EFFECTS,
        meaning="How long so many bytes may wait for a client.")
    open_files: float = row(
        "80%", PERCENT, live=True, minimum="1%", maximum="100%", words={"off": 0.0}, test=EFFECTS,
        meaning="Share of the descriptors that the process may open.")
    busy_cpu: float = row(
        "90%", PERCENT, live=True, minimum="1%", maximum="100%", words={"off": 0.0}, test=EFFECTS,
        meaning="Share of one processor that the broker's thread may use, on average over a minute.")
    busy_pool: int = row(
        "100", INTEGER, live=True, minimum="1", words={"off": 0}, test=EFFECTS,
        meaning="Jobs that may wait for a thread, in the pooler and in the thread pool of the reactor.")
    certificate_expiry: float = row(
        "14d", DURATION, live=True, minimum="1h", words={"off": 0.0}, test="tests/adapters/tls/test_certificates.py",
        meaning="Time for which the certificates of listeners have to be good. One that expires sooner is an alarm, and one that "
                "has expired is another, also with `off`.")
    alarm_time: float = row(
        "1m", DURATION, live=True, minimum="1s", maximum="7d", test=EFFECTS,
        meaning="Time without another event after which the alarm of `long_schedule` or `long_gc` is over.")
