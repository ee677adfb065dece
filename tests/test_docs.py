"""What the documents say holds: snippets run, links lead somewhere, names and tables are those of the code."""
import ast
import builtins
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

from emqtwist.app import Options
from emqtwist.config import Config, ConfigError, parse
from emqtwist.config.table import Table
from emqtwist.core import causes
from emqtwist.core.acl import REASONS
from emqtwist.ctl import reference
from emqtwist.ctl.commands import all_commands
from emqtwist.mqtt import constants, errors
from tests import hookpage

CHECKOUT = Path(__file__).parents[1]
PACKAGE = CHECKOUT / "emqtwist"
DOCS = CHECKOUT / "docs"
PAGES = [CHECKOUT / "README.md", CHECKOUT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]

FENCE = re.compile(r"^(?P<run><!-- run -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
SPAN = re.compile(r"`([^`\n]+)`")
KEY = re.compile(r"(?:node|ctl|store|log|mqtt|retainer|module|acl|auth|flapping|overload|trace|listener)(?:\.[a-z0-9_<>]+)+")
DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
NOT_OURS = {"*args", "Final", "mypy --strict"}  # what architecture.md names beside the project's own
ONLY_ANSWERED = {constants.TOPIC_FILTER_INVALID, constants.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED}  # they end no connection
ONLY_ANSWERED |= {constants.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED, constants.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED}


class Snippet(NamedTuple):
    page: Path
    line: int
    language: str
    text: str
    run: bool

    def __str__(self) -> str:
        return f"{self.page.relative_to(CHECKOUT)}:{self.line}"


def snippets_of(page: Path) -> Iterator[Snippet]:
    text = page.read_text()
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start("text")) + 1
        yield Snippet(page, line, found["language"], found["text"], found["run"] is not None)


SNIPPETS = [snippet for page in PAGES for snippet in snippets_of(page)]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))


def each_snippet(*languages: str, run: bool = False) -> pytest.MarkDecorator:
    chosen = [each for each in SNIPPETS if each.language in languages and (each.run or not run)]
    return pytest.mark.parametrize("snippet", chosen, ids=str)


def prose(page: Path) -> str:
    """The page without its snippets."""
    return FENCE.sub("", page.read_text())


def spans(page: Path) -> list[str]:
    """What stands as code within the text."""
    return SPAN.findall(prose(page))


def table_after(page: Path, mark: str) -> list[list[str]]:
    """The rows of the table that follows a comment, without its head."""
    lines = page.read_text().partition(f"<!-- {mark} -->\n\n")[2].partition("\n\n")[0].splitlines()
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines[2:]]


# Snippets.

@each_snippet("ini")
def test_a_configuration_is_good(snippet: Snippet) -> None:
    parse(snippet.text, str(snippet))


@each_snippet("python")
def test_python_compiles(snippet: Snippet) -> None:
    compile(snippet.text, str(snippet), "exec")


@each_snippet("python", run=True)
def test_python_that_is_marked_runs(snippet: Snippet, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", snippet.text], cwd=tmp_path, timeout=60, text=True,
                          env={"PYTHONPATH": str(CHECKOUT)}, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")


@each_snippet("sh")
def test_shell_is_shell(snippet: Snippet) -> None:
    done = subprocess.run(["bash", "-n"], input=snippet.text, text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")


@each_snippet("html")
def test_a_page_connects_where_a_listener_of_the_same_document_is(snippet: Snippet) -> None:
    [(port, path)] = re.findall(r"ws://localhost:([0-9]+)(/[a-z]+)", snippet.text)
    listeners = [listener for each in SNIPPETS if each.language == "ini" for listener in parse(each.text).listener.ws]
    assert (int(port), path) in [(listener.bind.port, listener.path) for listener in listeners]


def test_there_are_snippets_of_every_kind() -> None:
    assert {each.language for each in SNIPPETS} == {"conf", "html", "ini", "log", "mermaid", "python", "sh", "text"}
    assert any(each.run for each in SNIPPETS)


TWISTD = re.compile(r"^(?:\S*[/=])?twistd [^\n]*?\bemqtt\b([^\n#]*)", re.MULTILINE)
COMMANDS = [options for each in SNIPPETS for options in TWISTD.findall(each.text)]


@pytest.mark.parametrize("command", COMMANDS)
def test_emqtt_has_the_options_that_commands_give_it(command: str) -> None:
    known = {name.rstrip("=") for name in Options().longOpt}
    assert set(re.findall(r"--([a-z]+)", command)) <= known


@pytest.mark.parametrize("target", sorted({
    target for page in PAGES for target in re.findall(r"(?:`|```sh\n)make ([a-z-]+)", page.read_text())}))
def test_make_has_the_targets_that_are_named(target: str) -> None:
    assert re.search(rf"^{target}:", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)


# What the broker is said to print.

def pattern_of(node: ast.Constant | ast.JoinedStr) -> str:
    """A regular expression for what a log format or an f-string becomes; empty when there is no text in it."""
    if isinstance(node, ast.Constant):
        pieces = re.split(r"\{\w+\}", node.value) if isinstance(node.value, str) else []
    else:
        pieces = "".join(str(each.value) if isinstance(each, ast.Constant) else "\0" for each in node.values).split("\0")
    return ".*".join(map(re.escape, pieces)) if len("".join(pieces)) > 10 else ""


@cache
def printed() -> tuple[frozenset[str], frozenset[str]]:
    """All strings of the package, and the patterns of all that can be printed."""
    strings: set[str] = set()
    patterns: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Constant | ast.JoinedStr):
                patterns.add(pattern_of(node))
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                strings.add(node.value)
    return frozenset(strings), frozenset(patterns - {""})


def shown_lines() -> Iterator[str]:
    for snippet in SNIPPETS:
        if snippet.language == "text" and not snippet.text.startswith(("[Unit]", "broker.ini:")):
            yield from snippet.text.splitlines()


@pytest.mark.parametrize("line", list(shown_lines()))
def test_a_line_that_is_shown_is_one_that_the_broker_prints(line: str) -> None:
    logged = re.fullmatch(r"\[emqtwist\.(\S+)#info\] (.*)", line)
    assert logged is None or exists(logged[1])
    message = logged[2] if logged else line
    assert any(re.fullmatch(pattern, message) for pattern in printed()[1])


@pytest.mark.parametrize("template", [span for span in spans(DOCS / "operations.md") if "{" in span])
def test_a_log_line_that_is_explained_is_logged(template: str) -> None:
    assert template in printed()[0]


def test_mistakes_are_told_as_the_guide_shows() -> None:
    with pytest.raises(ConfigError) as raised:
        parse("[mqtt]\nmax_paket_size = 64KB\n[mqtt.session]\nmax_inflight = many\n", "broker.ini")
    assert f"```text\n{raised.value}\n```" in (DOCS / "guide.md").read_text()


# Links and names.

def anchors(page: Path) -> set[str]:
    """The headings, as GitHub makes anchors of them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    lost = []
    for link in LINK.findall(prose(page)):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not link.startswith("https://") and not (target.exists() and (not anchor or anchor in anchors(target))):
            lost.append(link)
    assert not lost


def test_readme_links_to_every_page_of_docs() -> None:
    linked = {link.partition("#")[0] for link in LINK.findall(prose(CHECKOUT / "README.md"))}
    assert {f"docs/{page.name}" for page in DOCS.glob("*.md")} <= linked


def test_decisions_are_numbered_in_turn() -> None:
    pages = sorted((DOCS / "decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for number, page in enumerate(pages, 1):
        assert page.read_text().startswith(f"# {number}. ")


@each_page
def test_keys_that_are_named_are_keys(page: Path) -> None:
    table = Table(Config)
    named = {span.partition(" =")[0].replace("<name>", "default") for span in spans(page)}
    lost = [key for key in named if KEY.fullmatch(key) and not table.row(key) and not table.rows(key)]
    assert [key for key in lost if not exists(key)] == []  # modules are called mqtt.decoder, too


def exists(dotted: str) -> bool:
    """Whether a module of the package, or what it holds, has this name; `emqtwist.` is left out."""
    path = ["emqtwist", *dotted.split(".")]
    for length in range(len(path), 1, -1):
        try:
            found: object = import_module(".".join(path[:length]))
        except ModuleNotFoundError:
            continue
        for name in path[length:]:
            found = getattr(found, name, None)
        return found is not None
    return hasattr(import_module("emqtwist"), path[1])


@each_page
def test_names_of_the_package_exist(page: Path) -> None:
    named = [span.partition("(")[0] for span in spans(page) if span.startswith("emqtwist.")]
    assert [name for name in named if DOTTED.fullmatch(name) and not exists(name.removeprefix("emqtwist."))] == []


@cache
def defined() -> frozenset[str]:
    """Every name that the package gives to a function, a class, a variable or a slot."""
    names: set[str] = set(dir(builtins)) | {"__slots__", "__init__"}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Assign) and [ast.unparse(each) for each in node.targets] == ["__slots__"]:
                names.update(ast.literal_eval(node.value))
    return frozenset(names)


def is_there(span: str) -> bool:
    """Whether architecture.md may name it: a path, something of the package, an option, a target of make."""
    if span in NOT_OURS or span in defined() or (span.startswith("make ") and span.count(" ") == 1):
        return True
    if "/" in span:
        return (CHECKOUT / span).exists() or (PACKAGE / span).exists()
    return span.removeprefix("--") in Options().longOpt or (DOTTED.fullmatch(span) is not None and exists(span))


@pytest.mark.parametrize("span", sorted(set(spans(DOCS / "architecture.md")) - {"emqtwist.", "emqtwist/"}))
def test_what_the_tour_names_exists(span: str) -> None:
    assert is_there(span)


@pytest.mark.parametrize("span", [
    "core/nowhere.py", "core.receive.nothing", "core.nowhere", "nowhere.receive", "core.session.Session.nothing",
    "no_such_name", "--no-such-option", "two words"])
def test_what_does_not_exist_is_noticed(span: str) -> None:
    assert not is_there(span)


# Tables of causes.

@pytest.mark.parametrize(("mark", "code"), [("causes: DROPS", causes.DROPS), ("causes: ENDS", causes.ENDS),
                                           ("causes: REFUSALS", causes.REFUSALS)], ids=["drops", "ends", "refusals"])
def test_the_causes_are_those_of_the_code(mark: str, code: dict[str, str]) -> None:
    assert [row[:2] for row in table_after(DOCS / "guide.md", mark)] == [list(item) for item in code.items()]


def raised_codes() -> set[int]:
    """The reason codes of all errors that the package makes."""
    codes: set[int] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                error = getattr(errors, node.func.id, None)
                if isinstance(error, type) and issubclass(error, errors.MQTTError):
                    name = ast.unparse(node.args[1]).removeprefix("c.") if len(node.args) > 1 else ""
                    if name == "rule.reason_code":
                        codes |= set(REASONS.values())
                    else:
                        codes.add(getattr(constants, name) if name else error("").reason_code)
    return codes


def test_the_ends_with_a_reason_code_are_those_of_the_code() -> None:
    rows = table_after(DOCS / "guide.md", "causes: reason codes")
    assert [cause for cause, _, _ in rows] == [causes.end_cause(int(code, 16)) for _, code, _ in rows]
    assert {int(code, 16) for _, code, _ in rows} == raised_codes() - ONLY_ANSWERED


def test_the_page_of_hooks_is_generated_from_their_table() -> None:
    assert (DOCS / "hooks.md").read_text() == hookpage.page()


def test_the_page_of_commands_is_generated_from_their_table() -> None:
    text = (DOCS / "ctl.md").read_text()
    assert text == reference.text()
    for command in [each for group in all_commands().groups().values() for each in group]:
        form = f"{command.name} {command.arguments}".strip()
        assert f"\n| `{form}` | {command.meaning} | {command.prints} |\n" in text
        assert command.prints
