"""Commands across nodes: what one node lists of itself, listed of all; and the answers that others get of this one.

A line of another node comes as JSON, `[line, columns]` or `{"refused": why}`, each ended by a newline. Other nodes are asked at
the same time, and their answers printed one after the other, page by page as they are wanted.
"""
import json
from collections.abc import Generator, Iterator
from typing import Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from emqtwist.core.cluster.remote import Asked, Remote, Running, Words
from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Listing, Refused, Registry, Step, WrongWords
from emqtwist.ctl.registry import Words as Typed

STEPS: Final = 100  # of one page: some hundred microseconds, then the reactor serves others
LONGEST: Final = 1_000_000  # bytes of a line: the identifier of a client, six for each of its own
UNKNOWN: Final = "it does not know this command"
TOO_LONG: Final = "a line of its answer is too long"
DEFECT: Final = "the command failed there: its log says why"


def add(registry: Registry, name: str, arguments: str, meaning: str, here: Listing, prints: str = "") -> None:
    """A command that lists what each node has; `here` is the listing of one."""
    registry.add(name, arguments, meaning, _of_all(name, here), prints, here)


def add_one(registry: Registry, name: str, arguments: str, meaning: str, here: Listing, prints: str = "") -> None:
    """A command about something that one node has: `here` raises Refused where it is not."""
    registry.add(name, arguments, meaning, _of_one(name, here), prints, here)


def _of_all(name: str, here: Listing) -> Listing:
    def listing(context: Context, words: Typed) -> Iterator[Step]:
        questions = Questions(context, (*name.split(), *words))
        try:
            questions.ask()
            yield from _here(context, here, words)
            for asked in questions.asked:
                yield from questions.lines(asked)
            yield from questions.silent()
        finally:
            questions.stop()
    return listing


def _of_one(name: str, here: Listing) -> Listing:
    def listing(context: Context, words: Typed) -> Iterator[Step]:
        questions = Questions(context, (*name.split(), *words))
        try:
            yield from _here(context, here, words)
            return
        except Refused as error:
            refused = str(error)
        try:
            questions.ask()
            for asked in questions.asked:
                yield from questions.lines(asked)
                if not asked.failure and asked.number not in questions.refused:
                    return
            raise Refused("\n".join([refused, *(line for line, _ in questions.silent())]))
        finally:
            questions.stop()
    return listing


def _here(context: Context, here: Listing, words: Typed) -> Iterator[Step]:
    for step in here(context, words):
        yield step if step is None or isinstance(step, Deferred) else at(step, context.node)


def at(line: Line, node: str) -> Line:
    """The line with the node that it is of; lines without columns belong to the one before."""
    text, columns = line
    return (text, {**columns, "node": node}) if columns else line


class Questions:
    """The same `words` for all other nodes: `asked` are those that were asked, and those that could not be.

    `refused` has the numbers of those that cannot do it.
    """

    def __init__(self, context: Context, words: Words) -> None:
        self.asked: list[Asked] = []
        self.refused: dict[int, str] = {}
        self._context = context
        self._words = words
        self._buffers: dict[int, bytes] = {}

    @property
    def _remote(self) -> Remote:
        nodes = self._context.service.nodes
        assert nodes is not None
        return nodes.remote

    def ask(self) -> None:
        nodes = self._context.service.nodes
        if nodes is not None:
            names = [member.name for member in nodes.members.roll.up() if member.name != nodes.cluster.node]
            self.asked += [nodes.remote.ask(name, self._words) for name in names]

    def stop(self) -> None:
        """Nobody wants the rest."""
        for asked in self.asked:
            self._remote.stop(asked)

    def lines(self, asked: Asked) -> Iterator[Step]:
        """What one node answers."""
        rest = b""
        while True:
            if not asked.piece and not asked.over:
                yield self._woken(asked)
            *whole, rest = (rest + self._remote.take(asked)).split(b"\n")
            for row in whole:
                line = self._line(asked, row)
                if line is not None:
                    yield at(line, asked.node)
            if len(rest) > LONGEST:
                self._remote.stop(asked)
                asked.fail(TOO_LONG)
            if asked.over and not asked.piece:
                return

    def _line(self, asked: Asked, row: bytes) -> Line | None:
        said = json.loads(row)
        if isinstance(said, dict):
            self.refused[asked.number] = str(said.get("refused", ""))
            return None
        line, columns = said
        return str(line), dict(columns)

    def silent(self) -> Iterator[Line]:
        """A line for each node that has not answered, or not to the end."""
        for asked in self.asked:
            if asked.failure:
                yield f"Node {asked.node} does not answer: {asked.failure}", {"node": asked.node, "error": asked.failure}

    def _woken(self, asked: Asked) -> "Deferred[None]":
        woken: Deferred[None] = Deferred()

        def wake() -> None:
            if not woken.called:
                woken.callback(None)

        asked.wake = wake
        return woken


class Commands:
    """The commands of this node for others: those that list what is here."""

    def __init__(self, registry: Registry, context: Context) -> None:
        self._registry = registry
        self._context = context

    def run(self, words: Words) -> Running:
        try:
            command, rest = self._registry.find(words)
        except WrongWords:
            return Failing()
        return Failing() if command.here is None else Listed(command.here, self._context, rest)


class Failing:
    """There is no such command."""

    over = True
    failure = UNKNOWN
    used = 0.0

    def page(self, size: int) -> bytes:
        return b""

    def close(self) -> None:
        """There is nothing."""


class Listed:
    """A listing of this node."""

    log = Logger()

    def __init__(self, here: Listing, context: Context, words: Typed) -> None:
        self.over = False
        self.failure = ""
        self.used = 0.0
        self._steps = self._begin(here, context, words)
        self._rest = b""
        self._ended = False

    def _begin(self, here: Listing, context: Context, words: Typed) -> Generator[Step, None, None]:
        yield from here(context, words)

    def page(self, size: int) -> bytes:
        if not self._ended and len(self._rest) < size:
            self._fill(size)
        piece, self._rest = self._rest[:size], self._rest[size:]
        self.over = self._ended and not self._rest
        return piece

    def _fill(self, size: int) -> None:
        try:
            for _ in range(STEPS):
                step = next(self._steps, self)
                if step is self:
                    self._ended = True
                    return
                if isinstance(step, tuple):
                    self._rest += json.dumps(step).encode() + b"\n"
                if len(self._rest) >= size:
                    return
        except Refused as error:
            self._rest += json.dumps({"refused": str(error)}).encode() + b"\n"
            self._ended = True
        except Exception:
            self.log.failure("a command of another node failed")
            self.failure, self._ended = DEFECT, True

    def close(self) -> None:
        self._steps.close()
