"""A client that runs as a program of its own; see `clients.program` for what it hears and answers."""
from pathlib import Path

from tests.integration.clients.vocabulary import Message, Opening
from tests.integration.program import Program


class ProgramClient:
    """A Client whose calls are commands to a program."""

    def __init__(self, *command: str | Path) -> None:
        self._program = Program(*command)
        self._connected = False
        self._answering = True  # nothing is left unanswered

    def open(self, opening: Opening) -> bool | None:
        present = self._ask(f"open {opening.to_json()}")
        self._connected = True
        return {"True": True, "False": False, "None": None}[present]

    def subscribe(self, topic_filter: str, qos: int) -> None:
        self._ask(f"subscribe {qos} {topic_filter}")

    def publish(self, message: Message) -> None:
        self._ask(f"publish {message.to_json()}")

    def receive(self) -> Message:
        return Message.from_json(self._ask("receive"))

    def close(self) -> None:
        self._ask("close")
        self._connected = False

    def kill(self) -> None:
        self._answering = False
        self._program.kill()

    def rest(self) -> bool:
        if self._answering and self._connected:
            self.close()
        if not self._answering:
            self.kill()
        return self._answering

    def _ask(self, command: str) -> str:
        self._answering = False
        self._program.say(command)
        answer = self._program.next("^answer: ?(.*)")[1]
        self._answering = True
        return answer
