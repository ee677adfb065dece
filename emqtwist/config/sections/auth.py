"""[auth.scram]: clients that prove who they are."""
from dataclasses import dataclass
from typing import Final

from emqtwist.config.rows import row
from emqtwist.config.sections.defence import BackoffSection
from emqtwist.config.values import INTEGER, TEXT

EFFECTS: Final = "tests/adapters/test_authentication.py"


@dataclass(frozen=True, kw_only=True)
class ScramSection:
    """SCRAM-SHA-256, an Authentication Method of MQTT 5.0. See [who gets in](guide.md#who-gets-in)."""

    file: str = row(
        "", TEXT, live=True, test=EFFECTS,
        meaning="File of the users, a line each: `user:SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, as "
                "`python -m emqtwist.access.scram USER` makes them. SIGHUP reads it again. A relative path starts at the "
                "folder of broker.ini. Empty: there is no SCRAM-SHA-256.")
    iterations: int = row(
        "15000", INTEGER, live=True, minimum="4096", maximum="10000000", test=EFFECTS,
        meaning="Iterations that a user who is not in the file is told. Equal to those in the file, it hides who is.")


@dataclass(frozen=True, kw_only=True)
class AuthSection:
    """Authentication."""

    scram: ScramSection = ScramSection()
    backoff: BackoffSection = BackoffSection()
