"""How answers are printed."""
import json

from emqtwist.ctl.printer import Printer


def printed(form: str, *rows: tuple[str, dict[str, object]], encoding: str = "utf-8", size: int = 7) -> str:
    """What is printed of rows that come in pieces of `size` bytes."""
    out: list[str] = []
    printer = Printer(form, out.append, encoding)
    data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    for start in range(0, len(data), size):
        printer.feed(data[start:start + size])
    printer.end()
    return "".join(out)


ROWS: tuple[tuple[str, dict[str, object]], ...] = (
    ("one", {"name": "a", "count": 1, "flag": True, "none": None}), ("  more", {}), ("two", {"name": "long", "other": [1]}))


def test_lines_are_as_they_come() -> None:
    assert printed("lines", *ROWS) == "one\n  more\ntwo\n"
    assert printed("lines") == ""


def test_json_is_an_array_of_what_has_columns() -> None:
    assert json.loads(printed("json", *ROWS)) == [ROWS[0][1], ROWS[2][1]]
    assert json.loads(printed("json")) == []
    assert json.loads(printed("json", ("more", {}))) == []


def test_a_table_has_all_columns_in_their_widths() -> None:
    assert printed("table", *ROWS) == ("name  count  flag  none  other\n"
                                       "a     1      true\n"
                                       "long                     [1]\n")
    assert printed("table") == ""


def test_only_a_table_keeps_rows() -> None:
    for form, kept in (("lines", 0), ("json", 0), ("table", 1000)):
        printer = Printer(form, lambda text: None)
        for number in range(1000):
            printer.feed(json.dumps((f"line {number}", {"number": number})).encode() + b"\n")
        assert len(printer._kept) == kept


def test_a_client_identifier_can_steer_no_terminal_and_forge_no_line() -> None:
    name = "x\x1b[2J\nClient(admin)\x7f\x9b"
    row: tuple[str, dict[str, object]] = (f"Client({name})", {"client_id": name})
    assert printed("lines", row) == "Client(x\\x1b[2J\\x0aClient(admin)\\x7f\\x9b)\n"
    assert printed("table", row) == "client_id\nx\\x1b[2J\\x0aClient(admin)\\x7f\\x9b\n"
    assert json.loads(printed("json", row)) == [{"client_id": name}]


def test_a_refusal_keeps_its_lines_and_steers_no_terminal() -> None:
    assert Printer("lines", print, "ascii").escaped("no key x\x1b[2J\nor €") == "no key x\\x1b[2J\nor \\u20ac"


def test_what_the_terminal_cannot_show_is_escaped() -> None:
    assert printed("lines", ("grün €", {}), encoding="ascii") == "gr\\xfcn \\u20ac\n"
    assert printed("lines", ("grün €", {})) == "grün €\n"
