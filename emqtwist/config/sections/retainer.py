"""[retainer]: the messages that topics keep for later subscribers."""
from dataclasses import dataclass
from typing import Final

from emqtwist.config.rows import row
from emqtwist.config.values import DURATION, INTEGER, SIZE

EFFECTS: Final = "tests/unit/core/test_settings_effects.py"
QUOTAS: Final = "tests/unit/core/test_quotas.py"


@dataclass(frozen=True, kw_only=True)
class RetainerSection:
    """Retained messages."""

    max_message_num: int = row(
        "1000000", INTEGER, live=True, words={"unlimited": 0}, test=EFFECTS,
        meaning="Retained messages that are kept; 0 is unlimited.")
    max_per_client: int = row(
        "0", INTEGER, live=True, words={"unlimited": 0}, test=QUOTAS,
        meaning="Retained messages that are kept of one Client Identifier; 0 is unlimited.")
    max_payload_size: int = row(
        "1MB", SIZE, live=True, maximum="256MB", test=EFFECTS,
        meaning="Largest payload of a retained message.")
    expiry_interval: float = row(
        "0", DURATION, live=True, words={"never": 0.0}, test=EFFECTS,
        meaning="Time after which a retained message without a Message Expiry Interval is deleted; 0 is never.")
    replay_batch: int = row(
        "100", INTEGER, live=True, minimum="1", maximum="100000", test=EFFECTS,
        meaning="Retained messages that one new subscription gets at a time, so that others are served in between.")
