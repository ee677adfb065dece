"""[trace]: what goes over connections, for those that an operator has chosen."""
from dataclasses import dataclass
from typing import Final

from emqtwist.config.rows import row
from emqtwist.config.values import DURATION, INTEGER, SIZE, Text

EFFECTS: Final = "tests/adapters/trace/test_bounds.py"


@dataclass(frozen=True, kw_only=True)
class TraceSection:
    """Traces, which `emqtwist_ctl trace` begins and ends."""

    dir: str = row(
        "auto", Text("a path", r"[^\0]+"), words={"auto": "auto"}, live=True, test="tests/adapters/trace/test_files.py",
        meaning="Folder for the files of traces, made when the first one begins; `auto`: `traces` in `node.data_dir`. A "
                "relative path starts at the folder that the broker was started in.")
    max_traces: int = row(
        "10", INTEGER, live=True, minimum="1", maximum="1000", test=EFFECTS,
        meaning="Traces that may go on at a time.")
    max_time: float = row(
        "1h", DURATION, live=True, minimum="1s", maximum="30d", test=EFFECTS,
        meaning="Longest time that a trace goes on.")
    max_size: int = row(
        "10MB", SIZE, live=True, minimum="4KB", maximum="10GB", test=EFFECTS,
        meaning="Largest size of a trace. It ends when it has that many bytes.")
    max_payload: int = row(
        "4KB", SIZE, live=True, maximum="4KB", test=EFFECTS,
        meaning="How much of each payload a trace may show that is asked to; with 0 it shows nothing of any.")
