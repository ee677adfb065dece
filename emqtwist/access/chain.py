"""The chain: one authenticator after the other is asked about a client, until one knows it."""
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from emqtwist.access.stage import Failed, Stage
from emqtwist.core.access import Client, Deny, Finding, Ignore, Ok
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import MQTTError

OK: Final = "ok"
DENY: Final = "deny"
IGNORE: Final = "ignore"
ERROR: Final = "error"


class Told(NamedTuple):
    """What one authenticator said: `outcome` is one of the four words above."""

    name: str
    outcome: str
    why: str
    seconds: float


class Decision(NamedTuple):
    """What the chain finds, and how it came to that. It `holds` for a while unless something failed on the way."""

    finding: Finding
    story: tuple[Told, ...]
    holds: bool


async def decide(stages: Sequence[Stage], client: Client, password: bytes | None, goes_on: bool, wanted: Callable[[], bool],
                 now: Callable[[], float]) -> Decision:
    """Ask until one says Ok or Deny; where none does, nobody knows the client.

    One that fails decides that the client is kept out, unless the chain `goes_on`. Raises stage.Unwanted.
    """
    story: list[Told] = []
    holds = True
    for stage in stages:
        began = now()
        try:
            finding = await stage.ask(client, password, wanted)
        except Failed as error:
            holds = False
            story.append(Told(stage.name, ERROR, str(error), now() - began))
            if not goes_on:
                return Decision(cannot_tell(stage.name), tuple(story), False)
            continue
        story.append(Told(stage.name, _word(finding), finding.why, now() - began))
        if not isinstance(finding, Ignore):
            return Decision(finding, tuple(story), holds)
    return Decision(Ignore(), tuple(story), holds)


def cannot_tell(name: str) -> Deny:
    return Deny(f"{name} failed", MQTTError("who the client is cannot be found out now", c.SERVER_UNAVAILABLE))


def _word(finding: Finding) -> str:
    return OK if isinstance(finding, Ok) else DENY if isinstance(finding, Deny) else IGNORE
