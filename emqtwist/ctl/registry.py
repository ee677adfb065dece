"""The table of commands: names, usage, and the functions that answer."""
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from emqtwist.ctl.context import Context

RULE: Final = "-" * 80
HEAD: Final = "Usage: emqtwist_ctl"
WIDTH: Final = 48  # of the words of a usage line
LONGEST: Final = 3  # words of a name
MORE: Final = "..."  # ends the arguments of a command that takes any number of further words

Line = tuple[str, dict[str, object]]  # as emqttd prints it; the same in columns
Step = Line | Deferred[None] | None  # a line, or what to wait for, or a bounded piece of work that has brought nothing
Words = Sequence[str]
Listing = Callable[[Context, Words], Iterable[Step]]
Waiting = Callable[[Context, Words], "Coroutine[Deferred[Any], Any, Iterable[Step]]"]


class WrongWords(Exception):
    """No command takes these words; the message is the usage to show."""


class Refused(Exception):
    """The command cannot do it; the message says why."""


@dataclass(frozen=True)
class Command:
    """One form of a command: `arguments` are the words after its name, `prints` is what it answers, for the manual.

    With `asks_password` the client adds a password to these words, which is not to be seen where commands are written. `here` is
    what other nodes may ask for: the listing of this node alone.

    A `listing` gives its lines a step at a time, and each step is little work: between some of them the broker serves
    others. What has to wait before it can begin is `waiting` instead. When whoever asks has gone, a listing that is a
    generator is closed.
    """

    name: str
    arguments: str
    meaning: str
    prints: str
    listing: Listing | None
    waiting: Waiting | None
    asks_password: bool = False
    here: Listing | None = None

    @property
    def usage(self) -> str:
        return f"{self.name} {self.arguments}".strip().ljust(WIDTH - 1) + f" # {self.meaning}"

    @property
    def takes_more(self) -> bool:
        return self.arguments.endswith(MORE)

    @property
    def least(self) -> int:
        """How many words have to follow the name."""
        return len(self.arguments.split()) - self.takes_more

    @property
    def group(self) -> str:
        return self.name.partition(" ")[0]


class Registry:
    """Commands by name and least number of further words, in the order in which they were added."""

    log = Logger()

    def __init__(self) -> None:
        self._commands: dict[tuple[str, int], Command] = {}

    def add(self, name: str, arguments: str, meaning: str, listing: Listing, prints: str = "",
            here: Listing | None = None) -> None:
        """A command that can go on at once. One that is there already is replaced, which is logged."""
        self._add(Command(name, arguments, meaning, prints, listing, None, here=here))

    def add_waiting(self, name: str, arguments: str, meaning: str, waiting: Waiting, prints: str = "",
                    asks_password: bool = False) -> None:
        """A command that has to wait for something."""
        self._add(Command(name, arguments, meaning, prints, None, waiting, asks_password))

    def remove(self, name: str) -> None:
        """Take away all forms of a command; KeyError when there is none."""
        keys = [key for key in self._commands if key[0] == name]
        if not keys:
            raise KeyError(name)
        for key in keys:
            del self._commands[key]

    def _add(self, command: Command) -> None:
        key = command.name, command.least
        if key in self._commands:
            self.log.warn("the command {command} is replaced", command=command.name)
        self._commands[key] = command

    def groups(self) -> dict[str, list[Command]]:
        """All commands by their first word."""
        found: dict[str, list[Command]] = {}
        for command in self._commands.values():
            found.setdefault(command.group, []).append(command)
        return found

    def usage(self) -> list[str]:
        """The lines of `help`."""
        lines = [HEAD]
        for commands in self.groups().values():
            lines += [RULE, *(command.usage for command in commands)]
        return lines

    def find(self, words: Words) -> tuple[Command, Words]:
        """The command that takes these words, and those after its name; WrongWords when there is none."""
        for length in range(min(LONGEST, len(words)), 0, -1):
            found = self._form(" ".join(words[:length]), len(words) - length)
            if found is not None:
                return found, words[length:]
        group = self.groups().get(words[0] if words else "")
        if group is None:
            raise WrongWords("\n".join([*self.usage(), "cmd_not_found"]))
        raise WrongWords("\n".join(command.usage for command in group))

    def _form(self, name: str, count: int) -> Command | None:
        """The form of a command that takes so many words."""
        exact = self._commands.get((name, count))
        if exact is not None:
            return exact
        fewer = (self._commands.get((name, least)) for least in range(count - 1, -1, -1))
        return next((command for command in fewer if command is not None and command.takes_more), None)

    async def open(self, context: Context, words: Words) -> Iterator[Step]:
        """The steps of a command; raises WrongWords, Refused, or what its function raises."""
        command, rest = self.find(words or ("help",))
        if command.waiting is not None:
            return iter(await command.waiting(context, rest))
        assert command.listing is not None
        return iter(command.listing(context, rest))


def plain(text: str) -> Line:
    return text, {"line": text}


def pair(key: str, value: object, width: int, before: str = "") -> Line:
    """`key : value` as emqttd prints it, the key padded to `width`."""
    return f"{before}{key:<{width}}: {value}", {"key": before.strip() + key, "value": value}
