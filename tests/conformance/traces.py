"""Where statements are named: in comments and messages of the package, and in the marks of the tests."""
import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.conformance.statements import MARKS

TAG: Final = re.compile(r"\[(MQTT3?-\d+(?:\.\d+)+-\d+)\]")
SILENT: Final = (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT)


class Place(NamedTuple):
    """A line of code with a statement beside it; `path` is relative to the checkout."""

    path: str
    line: int


def files(root: Path, under: str) -> list[Path]:
    return sorted([path for path in (root / under).rglob("*.py") if "node_modules" not in path.parts])


def places(root: Path) -> dict[str, list[Place]]:
    """Tag -> the lines of the package that obey it."""
    found: dict[str, list[Place]] = {}
    for path in files(root, "emqtwist"):
        for tag, line in tags_of(path.read_text()):
            place = Place(str(path.relative_to(root)), line)
            if place not in found.setdefault(tag, []):
                found[tag].append(place)
    return found


def tags_of(source: str) -> Iterator[tuple[str, int]]:
    """Each tag with its line. A comment of its own stands beside the line of code below it; a docstring is beside none."""
    docstrings = _docstrings(ast.parse(source))
    waiting: list[str] = []
    code = 0  # the last line that has code
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        tags = TAG.findall(token.string) if token.type in (tokenize.COMMENT, tokenize.STRING) else []
        line = token.start[0]
        if token.type == tokenize.COMMENT and line != code:
            waiting += tags
            continue
        if token.type in SILENT:
            yield from [(tag, line) for tag in tags]
            continue
        code = token.end[0]
        if line in docstrings:
            continue
        yield from [(tag, line) for tag in waiting + tags]
        waiting = []


def _docstrings(tree: ast.Module) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node):
            lines |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return lines


def marks(root: Path) -> dict[str, list[str]]:
    """Tag -> the node ids of the test functions that are marked with it."""
    found: dict[str, list[str]] = {}
    for path in files(root, "tests"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for tag in _marked(node):
                    found.setdefault(tag, []).append(f"{path.relative_to(root)}::{node.name}")
    return found


def _marked(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute) and decorator.func.attr in MARKS:
            for argument in decorator.args:
                if not isinstance(argument, ast.Constant):
                    raise ValueError(f"{function.name}: a mark names its statements in so many words")
                yield MARKS[decorator.func.attr] + str(argument.value)
