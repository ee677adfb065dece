"""References in values: `${ENV:NAME}` and `${file:/path}`, so that secrets need not stand in broker.ini."""
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

REFERENCE: Final = re.compile(r"\$\{([^{}]*)\}")
FORMS: Final = "${ENV:NAME} or ${file:/path}"


def expand(text: str, folder: Path, environment: Mapping[str, str]) -> str:
    """`text` with what its references name; a relative path starts at `folder`. ValueError names what is missing."""
    pieces = REFERENCE.split(text)
    if any("${" in piece for piece in pieces[::2]):
        raise ValueError(f"a reference is not closed; write {FORMS}")
    pieces[1::2] = [_referenced(name, folder, environment) for name in pieces[1::2]]
    return "".join(pieces)


def _referenced(reference: str, folder: Path, environment: Mapping[str, str]) -> str:
    scheme, _, name = reference.partition(":")
    if scheme == "ENV" and name:
        if name not in environment:
            raise ValueError(f"the environment variable {name} is not set")
        return environment[name]
    if scheme == "file" and name:
        return _content(folder / name)
    raise ValueError(f"not a reference; write {FORMS}")


def _content(path: Path) -> str:
    try:
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"cannot read {path}: it is not UTF-8") from None
    return content.removesuffix("\n")
