"""Statements, lines and tests belong together, and the page says so."""
from pathlib import Path

import pytest

from tests.conformance.page import Map, page
from tests.conformance.statements import CHECKOUT, Statement, parse_line, statements
from tests.conformance.traces import TAG, Place, files, marks, tags_of

FOUND = Map(CHECKOUT)


def test_the_tables_have_all_statements_of_both_versions() -> None:
    of_version = {version: [each for each in statements().values() if each.version == version] for version in ("5.0", "3.1.1")}
    assert {version: len(all_of_it) for version, all_of_it in of_version.items()} == {"5.0": 251, "3.1.1": 141}


def test_a_line_of_the_tables_is_a_statement() -> None:
    assert parse_line("5.0", "3.1.0-1 | client | CONNECT comes first") == Statement(
        "MQTT-3.1.0-1", "5.0", "3.1.0-1", "client", "CONNECT comes first", (), "")
    assert parse_line("3.1.1", "2.2.2-2 | both | flags | as 2.1.3-1 4.2-1").same == ("MQTT-2.1.3-1", "MQTT-4.2-1")
    assert parse_line("3.1.1", "7.0.0-1 | server | others | there are none").why == "there are none"
    with pytest.raises(ValueError, match="not `id"):
        parse_line("5.0", "3.1.0-1 | nobody | words")


def test_what_is_the_same_in_5_0_is_a_statement_there() -> None:
    known = statements()
    assert [tag for each in known.values() for tag in each.same if tag not in known] == []
    assert [each.tag for each in known.values() if each.version == "5.0" and each.same] == []


@pytest.mark.parametrize("under", ["emqtwist", "tests"])
def test_every_number_in_the_sources_is_a_statement(under: str) -> None:
    known = statements()
    ours = [path for path in files(CHECKOUT, under) if path.parent.name != "conformance"]
    assert [(path.name, tag) for path in ours for tag in TAG.findall(path.read_text()) if tag not in known] == []


def test_every_mark_is_of_a_statement() -> None:
    assert sorted(FOUND.marks.keys() - statements().keys()) == []


def test_every_statement_that_binds_a_server_has_a_test_or_a_reason() -> None:
    assert [each.tag for each in FOUND.open() if "?" in FOUND.why(each)] == []


def test_a_reason_is_for_what_has_no_test_or_no_line() -> None:
    known = FOUND.statements.values()
    assert [each.tag for each in known if each.why and FOUND.proved(each) and not each.why.startswith("no line: ")] == []


def test_what_is_proved_stands_beside_a_line_or_says_why_not() -> None:
    known = FOUND.statements
    for each in [each for each in known.values() if each.binds_server and FOUND.proved(each)]:
        reasons = [known[tag].why for tag in (each.tag, *each.same)]
        assert bool(FOUND.lines(each)) != any(why.startswith("no line: ") for why in reasons), each


def test_the_page_is_up_to_date() -> None:
    assert (CHECKOUT / "docs" / "conformance.md").read_text() == page(CHECKOUT), "run `make docs`"


SOURCE = '''"""[MQTT-1.1.1-1]"""
# [MQTT-1.1.1-2] [MQTT-4.2-1]
# and more
TABLE = (
    1,  # [MQTT3-1.1.1-3]
    "[MQTT-1.1.1-4]",
)


def served() -> None:
    """[MQTT-1.1.1-5]"""
    raise ValueError("[MQTT-1.1.1-6]")  # [MQTT-1.1.1-7] [MQTT-none]
'''


def test_numbers_are_found_beside_lines_and_not_in_docstrings() -> None:
    assert list(tags_of(SOURCE)) == [
        ("MQTT-1.1.1-2", 4), ("MQTT-4.2-1", 4), ("MQTT3-1.1.1-3", 5), ("MQTT-1.1.1-4", 6), ("MQTT-1.1.1-6", 12),
        ("MQTT-1.1.1-7", 12)]


def plant(root: Path, **modules: str) -> None:
    """Modules by their path, `__` for a slash."""
    for name, source in modules.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)


def test_a_map_is_made_of_comments_and_marks(tmp_path: Path) -> None:
    plant(tmp_path, emqtwist__core="PING = 1  # [MQTT-3.12.4-1]\n", tests__unit__test_it="""
import pytest

@pytest.mark.mqtt5("3.12.4-1", "3.1.0-1")
@pytest.mark.mqtt3("7.0.0-1")
@pytest.mark.parametrize("n", [1])
def test_ping(n: int) -> None: ...
""")
    found = Map(tmp_path)
    ping = found.statements["MQTT-3.12.4-1"]
    assert found.lines(ping) == [Place("emqtwist/core.py", 1)]
    assert found.tests(ping) == ["tests/unit/test_it.py::test_ping"]
    assert found.proved(found.statements["MQTT3-3.12.4-1"])
    assert not found.proved(found.statements["MQTT-3.14.4-3"])
    assert found.marks["MQTT3-7.0.0-1"] == ["tests/unit/test_it.py::test_ping"]
    text = page(tmp_path)
    assert "| 3.12.4-1 | PINGREQ is answered by PINGRESP | `core.py` | test_it: ping | proved |" in text
    assert "| 3.1.0-1 | CONNECT comes first |  | test_it: ping | of clients; looked at |" in text


def test_a_mark_that_is_computed_is_refused(tmp_path: Path) -> None:
    plant(tmp_path, tests__test_it="import pytest\n@pytest.mark.mqtt5(NUMBER)\ndef test_it() -> None: ...\n")
    with pytest.raises(ValueError, match="in so many words"):
        marks(tmp_path)
