"""The seams behind which parts of the broker are exchanged."""
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Interface

from emqtwist.core.access import Client, Finding, Verdict
from emqtwist.core.records import Fetch, Snapshot


class IStore(Interface):
    """Keeps the records of a broker's journal (`core.records`). What fails, fails with a StoreError."""

    def start() -> "Deferred[Snapshot | None]":
        """Open it; what is stored, without the queues' rows. After an end by itself or `interrupt`: None, and it goes on."""

    def watch(function: Callable[[Exception], object]) -> None:
        """Call `function` with the reason when it has ended by itself; requests wait until it is started again."""

    def interrupt() -> Deferred[None]:
        """End it as a defect would, without a call of the watcher; requests wait until it is started again."""

    def commit(number: int, records: Sequence[tuple[Any, ...]]) -> Deferred[None]:
        """Store a group, wholly or not at all; fires when it is as safe as the store makes it.

        Numbers rise from 1 on between two starts; a group whose number is stored already is taken to be stored. One
        group at a time.
        """

    def page(fetch: Fetch) -> "Deferred[tuple[list[tuple[Any, ...]], bool]]":
        """Rows of a session's queue, and whether more follow them."""

    def stop() -> Deferred[None]:
        """Close it; fires when all that was committed is safe. It can be started again."""

    def info() -> Deferred[dict[str, float]]:
        """Sizes, counts and times, by name."""

    def backup(target: Path) -> Deferred[int]:
        """Copy it as it is at one moment to a new file; fires with the size."""

    def check() -> Deferred[list[str]]:
        """Read all of it; what is wrong, nothing when all is well."""


class IAuthenticator(Interface):
    """Knows some clients, and whether they are who they say that they are."""

    def authenticate(client: Client, password: bytes | None) -> "Awaitable[Finding]":
        """`Ok`, `Deny`, or `Ignore` for a client that it does not know.

        `client.user_name` and `password` are those of CONNECT, None where it has none. What this raises, or gives too late, is
        a failure: `auth.on_error` says what it means.
        """

    def close() -> None:
        """It is asked no more; what was asked before may go on."""


class IAuthorizer(Interface):
    """Says what some clients may do."""

    def authorize(client: Client, action: str, topic: str) -> "Awaitable[Verdict]":
        """Whether a client may `publish` to a Topic Name, or `subscribe` to a Topic Filter without what stands before it.

        The answer of the Verdict is `allow`, `deny`, or `ignore` where somebody else is to be asked. A connection that publishes
        remembers it for `acl.cache_ttl`. What this raises, or gives too late, is a failure: `acl.on_error` says what it means.
        """

    def close() -> None:
        """It is asked no more; what was asked before may go on."""
