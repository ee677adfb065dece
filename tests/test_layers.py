"""Imports point one way, in no circle, and a file stays readable: read from the source, nothing is imported."""
import ast
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "emqtwist"
LONGEST = 400

# A room may import from its own row and the rows above it here. The package's own `__init__` stands below them all.
ROWS = [
    {"_version"},
    {"mqtt"},
    {"core"},
    {"interfaces", "config"},
    {"net", "services", "storage", "access", "ctl", "cluster", "modules", "web"},
    {"app"},
    {"__init__"},
]
ROW_OF = {room: row for row, rooms in enumerate(ROWS) for room in rooms}
SANS_IO = {"mqtt", "core"}
OUTSIDE = {  # the clock, chance, threads and the machine: what sans-IO code is given, never fetches
    "asyncio", "concurrent", "gc", "multiprocessing", "os", "pathlib", "random", "secrets", "select", "selectors",
    "shutil", "signal", "socket", "socketserver", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time",
    "uuid", "weakref",
}
Imports = dict[str, set[str]]


def module_name(package: Path, path: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(module: str) -> str:
    """The part of the package that a module belongs to: `core` for `emqtwist.core.router`."""
    return [*module.split("."), "__init__"][1]


def named_by(node: ast.AST, package: str) -> list[tuple[str, str]]:
    """The (module, name in it) pairs of one import statement; `package` is where its dots start."""
    if isinstance(node, ast.Import):
        return [(alias.name, "") for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        start = package.split(".")[:1 - node.level or None] if node.level else []
        base = ".".join([*start, *([node.module] if node.module else [])])
        return [(base, alias.name) for alias in node.names]
    return []


def read_imports(package: Path) -> Imports:
    """What each module imports, in functions and under TYPE_CHECKING too; `from package import module` is module."""
    paths = {module_name(package, path): path for path in package.rglob("*.py")}
    found: Imports = {}
    for module, path in paths.items():
        home = module if path.name == "__init__.py" else module.rpartition(".")[0]
        named = [pair for node in ast.walk(ast.parse(path.read_bytes())) for pair in named_by(node, home)]
        found[module] = {f"{base}.{name}" if f"{base}.{name}" in paths else base for base, name in named}
    return found


def unknown_rooms(imports: Imports) -> list[str]:
    return [f"{module} is in no row" for module in imports if room(module) not in ROW_OF]


def inner(imports: Imports, package: str) -> list[tuple[str, str]]:
    """The arrows between modules of the package whose rooms are known."""
    return [(module, name) for module, names in sorted(imports.items()) for name in sorted(names)
            if name.partition(".")[0] == package and {room(module), room(name)} <= ROW_OF.keys()]


def arrows_back(imports: Imports, package: str) -> list[str]:
    return [f"{module} imports {name}" for module, name in inner(imports, package)
            if ROW_OF[room(module)] < ROW_OF[room(name)]]


def foreign_to_sans_io(imports: Imports, package: str) -> list[str]:
    allowed = sys.stdlib_module_names - OUTSIDE | {package}
    return [f"{module} imports {name}" for module, names in sorted(imports.items()) if room(module) in SANS_IO
            for name in sorted(names) if name.partition(".")[0] not in allowed]


def first_circle(arrows: list[tuple[str, str]]) -> list[str]:
    graph = TopologicalSorter[str]()
    for start, end in arrows:
        if start != end:
            graph.add(start, end)
    try:
        graph.prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def circle_of_modules(imports: Imports, package: str) -> list[str]:
    return first_circle(inner(imports, package))


def circle_of_rooms(imports: Imports, package: str) -> list[str]:
    return first_circle([(room(start), room(end)) for start, end in inner(imports, package)])


def long_modules(package: Path) -> list[str]:
    lengths = {path: len(path.read_bytes().splitlines()) for path in sorted(package.rglob("*.py"))}
    return [f"{module_name(package, path)} has {lines} lines" for path, lines in lengths.items() if lines > LONGEST]


@pytest.fixture(scope="module")
def imports() -> Imports:
    return read_imports(PACKAGE)


def test_every_room_has_its_row(imports: Imports) -> None:
    assert unknown_rooms(imports) == []


def test_no_import_points_back(imports: Imports) -> None:
    assert arrows_back(imports, "emqtwist") == []


def test_mqtt_and_core_import_the_standard_library_and_themselves_alone(imports: Imports) -> None:
    assert foreign_to_sans_io(imports, "emqtwist") == []


def test_no_modules_import_each_other_in_a_circle(imports: Imports) -> None:
    assert circle_of_modules(imports, "emqtwist") == []


def test_no_rooms_import_each_other_in_a_circle(imports: Imports) -> None:
    assert circle_of_rooms(imports, "emqtwist") == []


def test_no_module_is_longer_than_400_lines() -> None:
    assert long_modules(PACKAGE) == []


def plant(root: Path, **files: str) -> Imports:
    """The imports of a package `p` with these modules; `core__broker` is core/broker.py, folders get `__init__.py`."""
    for name, text in files.items():
        path = root.joinpath("p", *name.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in {path.parent, root / "p"}:
            (folder / "__init__.py").touch()
        path.write_text(text)
    return read_imports(root / "p")


@pytest.mark.parametrize("statement", [
    "import p.core.broker",
    "from p.core import broker",
    "from p.core.broker import Broker",
    "from ..core import broker",
    "from ..core.broker import Broker",
    "from p import core",
    "from .. import core",
    "def late() -> None:\n    import p.core.broker",
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.core.broker import Broker",
])
def test_an_arrow_back_is_found(tmp_path: Path, statement: str) -> None:
    imports = plant(tmp_path, mqtt__decoder=statement, core__broker="")
    found = "p.core" if statement.endswith("core") else "p.core.broker"
    assert arrows_back(imports, "p") == [f"p.mqtt.decoder imports {found}"]


def test_an_arrow_to_the_package_itself_is_found(tmp_path: Path) -> None:
    imports = plant(tmp_path, net__protocol="from p import BrokerService", app="")
    assert arrows_back(imports, "p") == ["p.net.protocol imports p"]


def test_arrows_forward_are_allowed(tmp_path: Path) -> None:
    imports = plant(
        tmp_path, _version="", services__ticker="",
        app="from p.net import protocol\nfrom . import core",
        net__protocol="import p.core.broker\nfrom p.services import ticker\nimport twisted",
        core__broker="from heapq import heappush\nfrom p.mqtt import wire",
        mqtt__wire="from p import _version")
    assert unknown_rooms(imports) == []
    assert arrows_back(imports, "p") == foreign_to_sans_io(imports, "p") == []
    assert circle_of_modules(imports, "p") == circle_of_rooms(imports, "p") == []


@pytest.mark.parametrize("statement", [
    "from twisted.python import log",
    "import zope.interface",
    "import time",
    "from os import path",
])
def test_the_world_outside_is_found_in_core(tmp_path: Path, statement: str) -> None:
    imports = plant(tmp_path, core__broker=statement, net__protocol=statement)
    assert foreign_to_sans_io(imports, "p") == [f"p.core.broker imports {statement.split()[1]}"]


def test_a_circle_of_modules_is_found(tmp_path: Path) -> None:
    imports = plant(tmp_path, core__a="from p.core import b", core__b="import p.core.c", core__c="from . import a")
    assert set(circle_of_modules(imports, "p")) == {"p.core.a", "p.core.b", "p.core.c"}


def test_a_circle_of_rooms_is_found(tmp_path: Path) -> None:
    imports = plant(tmp_path, net__a="import p.storage.b", storage__b="", storage__c="import p.net.d", net__d="")
    assert circle_of_modules(imports, "p") == []
    assert set(circle_of_rooms(imports, "p")) == {"net", "storage"}


def test_a_long_module_is_found(tmp_path: Path) -> None:
    plant(tmp_path, core__long="x = 1\n" * 401, core__short="x = 1\n" * 400)
    assert long_modules(tmp_path / "p") == ["p.core.long has 401 lines"]


def test_a_room_without_a_row_is_found(tmp_path: Path) -> None:
    imports = plant(tmp_path, attic__a="", cellar="import p.attic.a")
    assert sorted(unknown_rooms(imports)) == ["p.attic is in no row", "p.attic.a is in no row", "p.cellar is in no row"]
