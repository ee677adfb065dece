"""What the process takes from its machine, and what it may take. What cannot be known is 0."""
import os
import resource
import time
from pathlib import Path
from typing import Final

SHARE: Final = 0.8  # of the memory there is, above which the process is large
PAGE: Final = os.sysconf("SC_PAGE_SIZE")
UNLIMITED: Final = 1 << 60  # a control group without a limit shows a number above this, or none


class Machine:
    """Asks the system. `root` is where its file systems are."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def memory(self) -> int:
        """Resident bytes of the process."""
        try:
            return int((self._root / "proc/self/statm").read_bytes().split()[1]) * PAGE
        except (OSError, IndexError, ValueError):
            return 0

    def large(self) -> int:
        """Resident bytes that are much here: a share of what there is."""
        limits = [PAGE * os.sysconf("SC_PHYS_PAGES"), resource.getrlimit(resource.RLIMIT_AS)[0], *self._group_limits()]
        known = [limit for limit in limits if 0 < limit < UNLIMITED]
        return int(min(known) * SHARE) if known else 0

    def _group_limits(self) -> list[int]:
        """Those of the control group and of the groups around it."""
        try:
            lines = (self._root / "proc/self/cgroup").read_text().splitlines()
        except OSError:
            return []
        groups = self._root / "sys/fs/cgroup"
        found: list[int] = []
        for line in lines:
            number, controllers, path = [*line.split(":", 2), "", ""][:3]
            if number == "0":
                found += self._limits(groups, path, "memory.max")
            elif "memory" in controllers.split(","):
                found += self._limits(groups / "memory", path, "memory.limit_in_bytes")
        return found

    def _limits(self, groups: Path, path: str, name: str) -> list[int]:
        folder = groups / path.lstrip("/")
        return [limit for each in (folder, *folder.parents) if each.is_relative_to(groups) for limit in _number(each / name)]

    def descriptors(self) -> int:
        """How many are open, where the kernel counts them (since Linux 6.2)."""
        try:
            return os.stat(self._root / "proc/self/fd").st_size
        except OSError:
            return 0

    def listed_descriptors(self) -> int:
        """The same without the kernel's help: 100 ms for 20,000 of them, so for a thread."""
        try:
            return len(os.listdir(self._root / "proc/self/fd")) - 1  # its own is among them
        except OSError:
            return 0

    def most_descriptors(self) -> int:
        """How many may be open."""
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return limit if 0 < limit < UNLIMITED else 0

    def cpu(self) -> float:
        """Seconds of a processor that the calling thread has used."""
        return time.thread_time()


def _number(path: Path) -> list[int]:
    try:
        return [int(path.read_text())]
    except (OSError, ValueError):
        return []  # no such file, or `max`
