"""What commands answer to what a test did: all rows, and all lines, so that none of their numbers is left out."""
from collections.abc import Callable

from tests.desks import Desk

Row = dict[str, object]
Answer = tuple[Desk, list[Row], list[str]]
Scene = Callable[[], Answer]
QUIET = "mqtt.broker.sys_interval = 0"  # nothing is published by itself


class Scenes(list[tuple[str, Scene]]):
    """Scenes with the command whose answer they are."""

    def asked(self, *commands: str) -> Callable[[Scene], Scene]:
        """The decorator of what these commands answer to."""
        def add(scene: Scene) -> Scene:
            self.extend((command, scene) for command in commands)
            return scene
        return add


def called(kind: str, rows: list[Row], names: int = 1) -> list[str]:
    """Lines as `Client(<id>, key=value)`."""
    def word(value: object) -> str:
        return "undefined" if value is None else str(value).lower() if isinstance(value, bool) else str(value)

    def line(row: Row) -> str:
        first, rest = list(row.values())[:names], list(row.items())[names:]
        return f"{kind}({', '.join([*map(word, first), *(f'{key}={word(value)}' for key, value in rest)])})"
    return list(map(line, rows))


def paired(desk: Desk, values: Row, width: int) -> Answer:
    """Of a command that prints keys with values."""
    return desk, [{"key": key, "value": value} for key, value in values.items()], [
        f"{key:<{width}}: {value}" for key, value in values.items()]
