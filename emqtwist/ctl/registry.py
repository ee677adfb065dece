"""The table of commands: names, usage, and the functions that answer."""
import time
from collections.abc import Callable, Iterable, Sequence

from emqtwist.core.broker import Broker
from emqtwist.services.supervisor import Supervisor

Line = tuple[str, dict[str, object]]  # as emqttd prints it; the same in columns


class WrongWords(Exception):
    """No command takes these words; the message is the usage to show."""


class Refused(Exception):
    """The command cannot do it; the message says why."""


class Context:
    """What commands see: the broker, its name, when it began (wall time), the root of its supervisors if there is one."""

    def __init__(self, broker: Broker, node: str, root: Supervisor | None = None) -> None:
        self.broker = broker
        self.node = node
        self.root = root
        self.began = time.time()


Function = Callable[[Context, Sequence[str]], Iterable[Line]]


class Registry:
    """Commands by their first words: `clients list` is one, and takes what follows as its words."""

    def __init__(self) -> None:
        self._commands: dict[str, tuple[int, str, Function]] = {}
        self._usage: dict[str, str] = {}

    def add(self, name: str, arguments: str, meaning: str, function: Function) -> None:
        """One command; `arguments` are the words that it needs, as `<ClientId>`."""
        self._commands[name] = len(arguments.split()), meaning, function
        self._usage[name] = f"{name} {arguments}".strip().ljust(48) + f"# {meaning}"

    def usage(self, group: str = "") -> str:
        """The usage lines of all commands, or of those that begin with a word."""
        return "\n".join(line for name, line in self._usage.items() if not group or name.split()[0] == group)

    def run(self, context: Context, words: Sequence[str]) -> Iterable[Line]:
        """The lines of a command's answer; raises WrongWords, Refused, or what its function raises."""
        for length in (3, 2, 1):
            found = self._commands.get(" ".join(words[:length]))
            if found is not None and len(words) >= length and len(words) - length == found[0]:
                return found[2](context, words[length:])
        raise WrongWords(self.usage(words[0] if words else "") or self.usage())


def plain(text: str) -> Line:
    return text, {"line": text}
