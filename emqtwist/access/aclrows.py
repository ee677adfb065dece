"""Access rules in rows of a table, as emqttd's `mqtt_acl` has them."""
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from emqtwist.access.database import Row, text_of
from emqtwist.config.acl import network_of
from emqtwist.core.acl import PUBLISH, PUBSUB, SUBSCRIBE, Pattern, Rule
from emqtwist.core.who import AddressIn, ClientIs, Every, UserIs, Who
from emqtwist.mqtt.errors import MQTTError
from emqtwist.mqtt.topics import check_topic_filter

T = TypeVar("T")

EVERYBODY: Final = "$all"  # as a user name
LITERAL: Final = "eq "  # before a topic
VERDICTS: Final = {"0": "deny", "1": "allow"}
ACCESS: Final = {"1": ("subscribe", SUBSCRIBE), "2": ("publish", PUBLISH), "3": ("pubsub", PUBSUB)}


def rules_of(rows: Sequence[Row]) -> list[Rule]:
    """The rules in the order in which they are asked: the last row comes first, as in emqttd.

    KeyError names a column that is missing; ValueError says which row is no rule.
    """
    return [_rule(number, row) for number, row in reversed(list(enumerate(rows, 1)))]


def _rule(number: int, row: Row) -> Rule:
    try:
        verdict, (word, access) = _one_of(VERDICTS, "allow", row), _one_of(ACCESS, "access", row)
        whom, who = _who(_text("ipaddr", row), _text("username", row), _text("clientid", row))
        topic = _text("topic", row)
        pattern = _pattern(topic)
    except ValueError as error:
        raise ValueError(f"row {number} is no rule: {error}") from None
    return Rule(verdict == "allow", who, access, [pattern], f"row {number}",
                f"{verdict} {word}, who = {whom}, topics = {topic}")


def _one_of(known: Mapping[str, T], column: str, row: Row) -> T:
    """What a number stands for, which may be a text."""
    value = row[column]
    found = known.get(value.decode("latin-1") if isinstance(value, bytes) else str(value))
    if found is None:
        raise ValueError(f"{column} is not {' or '.join(known)}")
    return found


def _who(network: str, user_name: str, client_id: str) -> tuple[str, Who]:
    """In words, and as rules have it: all that is said holds."""
    parts: list[tuple[str, Who]] = []
    if network:
        parts.append((f"ip {network}", AddressIn(network_of(network))))
    if user_name and user_name != EVERYBODY:
        parts.append((f"user {user_name}", UserIs(user_name)))
    if client_id:
        parts.append((f"client {client_id}", ClientIs(client_id)))
    if not parts and user_name != EVERYBODY:
        raise ValueError("it does not say whom it is about")
    return " and ".join(words for words, _ in parts) or "all", Every([who for _, who in parts])


def _pattern(topic: str) -> Pattern:
    literal = topic.startswith(LITERAL)
    topic_filter = topic.removeprefix(LITERAL).encode()
    try:
        check_topic_filter(topic_filter, 0)
    except MQTTError as error:
        raise ValueError(error.reason) from None
    return Pattern(topic_filter, literal)


def _text(column: str, row: Row) -> str:
    """Empty where nothing is said."""
    value = row[column]
    try:
        return "" if value is None else text_of(value)
    except ValueError as error:
        raise ValueError(f"{column} is {error}") from None
