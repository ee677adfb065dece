"""[ctl]: where commands for the running broker are taken."""
from dataclasses import dataclass

from emqtwist.config.rows import row
from emqtwist.config.values import Text


@dataclass(frozen=True, kw_only=True)
class CtlSection:
    """The socket of `emqtwist_ctl`."""

    socket: str = row(
        "./emqtwist.ctl", Text("a path", r"[^\0]+"), test="tests/integration/test_ctl.py",
        meaning="Unix socket of `twistd emqtt` for `emqtwist_ctl`, its owner's alone. A relative path starts at the folder "
                "that the broker was started in.")
