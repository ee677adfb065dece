"""The functions at a hook where some may wait, one after the other; their connection keeps what comes meanwhile."""
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from emqtwist.core.connection import CLOSED, Connection
from emqtwist.core.hooks import Answer, Folded, Hook
from emqtwist.core.link import Link

A = TypeVar("A")


class Chain(Generic[A]):
    """Asks each function in its turn, then calls `done` with the connection and what they made of the accumulator.

    Where none waits that is at once. A connection that ends meanwhile, be it by a function that is asked, asks nobody any
    more, and nothing follows.
    """

    __slots__ = ("_hooks", "_next", "_arguments", "_folded", "_has_accumulator", "_done")

    def __init__(self, hooks: tuple[Hook, ...], arguments: tuple[object, ...], value: A, has_accumulator: bool,
                 done: "Callable[[Connection, Folded[A]], None]") -> None:
        self._hooks = hooks
        self._next = 0
        self._arguments = arguments
        self._folded = Folded(value, False)
        self._has_accumulator = has_accumulator
        self._done = done

    def run(self, connection: Connection) -> None:
        """Ask those who have not been asked."""
        hooks = connection.broker.hooks
        while self._next < len(self._hooks) and not self._folded.stopped and connection.state != CLOSED:
            hook = self._hooks[self._next]
            arguments = (*self._arguments, self._folded.value) if self._has_accumulator else self._arguments
            if hook.ask is not None:
                connection.wait(hook.ask(*arguments), self._answered)
                return
            self._next += 1
            hooks.take(hook, self._folded, hooks.call(hook, arguments))
        if connection.state != CLOSED:
            self._done(connection, self._folded)

    def _answered(self, link: Link, answer: Answer) -> None:
        connection = cast(Connection, link)
        hooks = connection.broker.hooks
        hook = self._hooks[self._next]
        self._next += 1
        if answer.error is None:
            hooks.worked(hook)
        else:
            hooks.failed(hook, answer.error)
        hooks.take(hook, self._folded, answer)
        self.run(connection)


def ask(connection: Connection, name: str, arguments: tuple[object, ...], value: A,
        done: "Callable[[Connection, Folded[A]], None]") -> None:
    """Ask the functions at a hook with an accumulator."""
    Chain(connection.broker.hooks.at[name], arguments, value, True, done).run(connection)


def announce(connection: Connection, name: str, arguments: tuple[object, ...],
             done: "Callable[[Connection, Folded[bool]], None]") -> None:
    """Ask the functions at a hook without accumulator: whether one has stopped it."""
    Chain(connection.broker.hooks.at[name], arguments, True, False, done).run(connection)
