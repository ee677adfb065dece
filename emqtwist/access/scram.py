"""SCRAM-SHA-256 (RFC 5802, RFC 7677): the client proves that it knows the password, and the broker that it knows the verifier.

`python -m emqtwist.access.scram USER` asks for a password, or reads a line, and prints the user's line of the file.

Nobody learns whether a user exists: one who does not gets a salt of its own, always the same, and fails at the same point.
There is no channel binding. scramp does the protocol; it is slow with long names, so messages are bounded before it
sees them.
"""
import hmac
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from getpass import getpass
from secrets import token_bytes
from typing import Final

from scramp import ScramException, ScramMechanism

from emqtwist.access.verifiers import (
    KEY_SIZE,
    LEAST_ITERATIONS,
    METHOD,
    MOST_ITERATIONS,
    Verifier,
    common_secret,
    line_of,
    make,
)
from emqtwist.core.access import Accept, Client, Continue, Refuse, Step
from emqtwist.core.pending import Pending
from emqtwist.mqtt.errors import NotAuthorized

MAX_MESSAGE: Final = 1024
SALT_SIZE: Final = 16
USUAL_ITERATIONS: Final = 15_000  # the estimate of RFC 7677


class Scram:
    """The method for users with a Verifier. `iterations` is what unknown users are told; `nonce` gives random printable text."""

    def __init__(self, users: Mapping[str, Verifier], iterations: int, nonce: Callable[[], str]) -> None:
        self._users = users
        self._iterations = iterations
        self._nonce = nonce
        self._secret = common_secret(users)

    def open(self, client: Client) -> "ScramConversation":
        return ScramConversation(self.verifier, self._nonce())

    def verifier(self, user: str) -> Verifier:
        """The user's, or one that no password fits; both are made, so that they take the same time."""
        unknown = Verifier(self._digest("salt", user)[:SALT_SIZE], self._digest("key", user), bytes(KEY_SIZE), self._iterations)
        return self._users.get(user, unknown)

    def _digest(self, purpose: str, user: str) -> bytes:
        return hmac.digest(self._secret, f"{purpose} {user}".encode(), "sha256")


class ScramConversation:
    """client-first, server-first, client-final, server-final."""

    def __init__(self, verifier: Callable[[str], Verifier], nonce: str) -> None:
        self._verifier = verifier
        self._server = ScramMechanism(METHOD).make_server(self._look_up, s_nonce=nonce)
        self._user = ""
        self._begun = False

    def take(self, data: bytes | None) -> Pending[Step]:
        try:
            return Pending(self._step(_text(data)))
        except ScramException as error:
            cause = "other-error" if error.server_error is None else error.server_error.value  # a word of RFC 5802
            return Pending(Refuse(NotAuthorized(f"{METHOD}: {cause}")))

    def _step(self, message: str) -> Step:
        if not message and not self._begun:
            return Continue(None)  # RFC 4422: a client without initial response is asked for it
        if self._begun:
            self._server.set_client_final(message)
            return Accept(self._user, self._server.get_server_final().encode())
        self._begun = True
        self._server.set_client_first(message)
        return Continue(self._server.get_server_first().encode())

    def _look_up(self, user: str) -> Verifier:
        self._user = user
        return self._verifier(user)


def _text(data: bytes | None) -> str:
    try:
        text = (data or b"").decode("utf-8")
    except UnicodeDecodeError:
        raise ScramException("not UTF-8") from None
    if len(text) > MAX_MESSAGE:
        raise ScramException("too long")
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the line of one user."""
    parser = ArgumentParser("python -m emqtwist.access.scram", description="Print a user's line for [auth.scram] file.")
    parser.add_argument("user", help="the name")
    parser.add_argument("--iterations", type=int, default=USUAL_ITERATIONS, metavar="N",
                        help="what a login costs the client, and a thief for each guess (default: %(default)s)")
    options = parser.parse_args(arguments)
    if not LEAST_ITERATIONS <= options.iterations <= MOST_ITERATIONS:
        parser.error(f"--iterations is from {LEAST_ITERATIONS} to {MOST_ITERATIONS}")
    password = getpass() if sys.stdin.isatty() else sys.stdin.readline().removesuffix("\n")
    if sys.stdin.isatty() and getpass("Again: ") != password:
        parser.error("the two passwords differ")
    try:
        print(line_of(options.user, make(password, token_bytes(SALT_SIZE), options.iterations)))
    except ValueError as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
