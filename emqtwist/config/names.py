"""Several names as one value."""
from emqtwist.config.values import Unit


class Names(Unit[tuple[str, ...]]):
    """Names in the order written, without commas in them."""

    name = "names"
    form = "names as alice, bob"

    def read(self, text: str) -> tuple[str, ...]:
        names = tuple(part.strip() for part in text.split(",")) if text else ()
        if not self.holds(names):
            raise ValueError(f"not {self.form}, each once")
        return names

    def holds(self, value: object) -> bool:
        if not isinstance(value, tuple) or len(set(value)) < len(value):
            return False
        return all(isinstance(name, str) and name and "," not in name and name == name.strip() for name in value)

    def write(self, value: object) -> str:
        assert isinstance(value, tuple)
        return ", ".join(value)


class Words(Names):
    """Some of these words, in the order written."""

    name = "words"

    def __init__(self, *words: str) -> None:
        self._words = words
        self.form = f"some of {', '.join(words)}"

    def holds(self, value: object) -> bool:
        return super().holds(value) and isinstance(value, tuple) and set(value) <= set(self._words)
