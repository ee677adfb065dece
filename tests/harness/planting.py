"""Bugs that are planted into the package for the length of a test, to see that a harness finds them."""
import inspect
import re
import sys
from dataclasses import dataclass
from importlib import import_module
from textwrap import dedent

import pytest


@dataclass(frozen=True)
class Bug:
    """`place`, as `core.session:Session.pump`, with `right` in its source replaced by `wrong`."""

    name: str
    place: str
    right: str
    wrong: str

    def plant(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """ValueError when the source, its comments aside, does not have `right`: then the bug belongs somewhere else."""
        module_name, _, path = self.place.partition(":")
        module = import_module(f"emqtwist.{module_name}")
        *owners, name = path.split(".")
        owner = getattr(module, owners[0]) if owners else module
        source = re.sub(r"  #.*$", "", dedent(inspect.getsource(getattr(owner, name))), flags=re.MULTILINE)
        if self.right not in source:
            raise ValueError(f"{self.place} has no {self.right!r} any more")
        made: dict[str, object] = {}
        exec(source.replace(self.right, self.wrong), vars(module), made)
        _replace(monkeypatch, owner, name, made[name])


def _replace(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, wrong: object) -> None:
    """In its owner; a function also where other modules of the package imported it, and in their tables."""
    right = getattr(owner, name)
    for holder in [owner, *[module for key, module in sys.modules.items() if key.startswith("emqtwist.")]]:
        if getattr(holder, name, None) is right:
            monkeypatch.setattr(holder, name, wrong)
        for table in [table for table in vars(holder).values() if isinstance(table, dict)]:
            for key in [key for key, value in table.items() if value is right]:
                monkeypatch.setitem(table, key, wrong)
