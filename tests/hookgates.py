"""Functions at hooks that wait for a test to say what they give."""
from emqtwist.core.hooks import Answer
from emqtwist.core.pending import Pending
from tests.peers import World


class Gate:
    """A function at a hook whose answers come when the test says so."""

    def __init__(self, world: World, name: str, priority: int = 0) -> None:
        self.world = world
        self.asked: list[tuple[object, ...]] = []
        self._waiting: list[Pending[Answer]] = []
        world.broker.hooks.add(name, self.function, priority, ask=self.ask)

    def function(self) -> None:
        """Stands for the one that is called."""

    def ask(self, *arguments: object) -> Pending[Answer]:
        self.asked.append(arguments)
        self._waiting.append(Pending())
        return self._waiting[-1]

    def answer(self, value: object = None, error: Exception | None = None) -> None:
        self._waiting.pop(0).resume(Answer(value, error))
        self.world.settle()

    def waits(self) -> bool:
        """Whether somebody waits for an answer."""
        return bool(self._waiting)
