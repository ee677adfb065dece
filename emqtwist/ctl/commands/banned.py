"""banned: who is not let in."""
from collections.abc import Iterator

from emqtwist.config.values import DURATION
from emqtwist.core.banning import ban
from emqtwist.core.bans import KINDS, LONGEST, Ban, canonical
from emqtwist.core.message import NEVER
from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Refused, Registry, Step, Words, plain
from emqtwist.ctl.walking import in_order

BY = "ctl"
FOR_EVER = "forever"
LINE = "`Banned(<client|user|address>, <value>, reason=<text>, by=<who>, at=<unix seconds>, until=<unix seconds or forever>)`"


def _line(context: Context, found: Ban) -> Line:
    columns: dict[str, object] = {"kind": found.kind, "value": found.value, "reason": found.reason, "by": found.by,
                                  "at": context.unix(found.at),
                                  "until": FOR_EVER if found.until == NEVER else context.unix(found.until)}
    rest = ", ".join(f"{key}={value}" for key, value in list(columns.items())[2:])
    return f"Banned({found.kind}, {found.value}, {rest})", columns


def listed(context: Context, words: Words) -> Iterator[Step]:
    table = context.broker.bans.table
    for kind in KINDS:
        for value in in_order([value for each, value in list(table) if each == kind]):
            found = None if value is None else table.get((kind, value))
            yield None if found is None else _line(context, found)


def _key(words: Words) -> tuple[str, str]:
    try:
        return words[0], canonical(words[0], words[1])
    except ValueError as error:
        raise Refused(f"Error: {error}") from None


def add_one(context: Context, words: Words) -> list[Line]:
    kind, value = _key(words)
    lasts = words[2] if len(words) > 2 else FOR_EVER
    reason = words[3] if len(words) > 3 else ""
    now = context.broker.turn.now
    try:
        until = NEVER if lasts == FOR_EVER else now + DURATION.read(lasts)
    except ValueError:
        raise Refused(f"Error: {lasts} is neither {DURATION.form} nor {FOR_EVER}") from None
    if not ban(context.broker, Ban(kind, value, reason[:LONGEST], BY, now, until)):
        raise Refused("Error: there are too many bans")
    return [plain("ok")]


def delete(context: Context, words: Words) -> list[Line]:
    if not context.broker.bans.remove(*_key(words)):
        raise Refused("Not Found.")
    return [plain("ok")]


def add(registry: Registry) -> None:
    who = "<client|user|address> <Value>"
    registry.add("banned list", "", "List who is not let in", listed, LINE)
    registry.add("banned add", who, "Ban for ever; a network is an address too", add_one, "`ok`, or why not")
    registry.add("banned add", f"{who} <Duration>", "Ban for a while, as 10m", add_one, "the same")
    registry.add("banned add", f"{who} <Duration> <Reason>", "The same, and say why", add_one, "the same")
    registry.add("banned del", who, "Let in again", delete, "`ok` or `Not Found.`")
