"""What the system says of the process."""
import os
import resource
from pathlib import Path

import pytest

from emqtwist.services.sysmon.machine import PAGE, SHARE, Machine


def test_memory_is_that_of_the_process() -> None:
    before = Machine().memory()
    block = bytearray(64 << 20)
    assert Machine().memory() >= before + (32 << 20)
    assert len(block) == 64 << 20


def test_each_descriptor_counts() -> None:
    machine = Machine()
    if not machine.descriptors():
        machine.descriptors = machine.listed_descriptors  # type: ignore[method-assign]  # before Linux 6.2
    before = machine.descriptors()
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(5)]
    assert machine.descriptors() == before + 5
    for each in opened:
        os.close(each)
    assert machine.descriptors() == before
    assert Machine().most_descriptors() == resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_descriptors_can_be_listed(tmp_path: Path) -> None:
    folder = tmp_path / "proc/self/fd"
    folder.mkdir(parents=True)
    for number in range(7):
        (folder / str(number)).touch()
    assert Machine(tmp_path).listed_descriptors() == 6


@pytest.mark.parametrize(("groups", "files", "limit"), [
    ("0::/a/b", {"a/b/memory.max": "4096000", "a/memory.max": "max"}, 4096000),
    ("0::/a/b", {"a/b/memory.max": "max", "a/memory.max": "5000000"}, 5000000),
    ("0::/", {"memory.max": "6000000"}, 6000000),
    ("5:cpu:/x\n4:memory,hugetlb:/a", {"memory/a/memory.limit_in_bytes": "7000000"}, 7000000),
    ("4:memory:/a", {"memory/memory.limit_in_bytes": "8000000"}, 8000000),
])
def test_large_is_a_share_of_what_the_control_group_allows(tmp_path: Path, groups: str, files: dict[str, str],
                                                           limit: int) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(groups + "\n")
    for name, text in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    assert Machine(tmp_path).large() == int(limit * SHARE)


def test_large_is_a_share_of_the_machines_memory_where_there_is_no_limit(tmp_path: Path,
                                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda kind: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert Machine(tmp_path).large() == int(PAGE * os.sysconf("SC_PHYS_PAGES") * SHARE)
    assert Machine(tmp_path).most_descriptors() == 0


def test_without_proc_nothing_is_known(tmp_path: Path) -> None:
    assert (Machine(tmp_path).memory(), Machine(tmp_path).descriptors(), Machine(tmp_path).listed_descriptors()) == (0, 0, 0)


def test_the_processor_is_that_of_the_thread() -> None:
    before = Machine().cpu()
    sum(range(1_000_000))
    assert Machine().cpu() > before
