"""`python -m emqtwist.access.passwd NAME` asks for a password, or reads a line, and prints the line for a file of passwords."""
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from getpass import getpass
from secrets import token_bytes

from emqtwist.access.hashes import SALT_SIZE, make


def main(arguments: Sequence[str] | None = None) -> int:
    parser = ArgumentParser("python -m emqtwist.access.passwd", description="Print a line for a file of passwords.")
    parser.add_argument("name", help="user name, or client identifier")
    name = parser.parse_args(arguments).name
    if not name or name.startswith("#") or set(":\r\n") & set(name):
        parser.error("a name is not empty, does not begin with #, and has no colon")
    try:
        print(f"{name}:{make(ask().encode(), token_bytes(SALT_SIZE))}")
    except ValueError as error:
        parser.error(str(error))
    return 0


def ask() -> str:
    """A password, from a terminal twice; ValueError when the two differ."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().removesuffix("\n")
    password = getpass()
    if getpass("Again: ") != password:
        raise ValueError("the two passwords differ")
    return password


if __name__ == "__main__":
    sys.exit(main())
