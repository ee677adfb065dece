"""config, set, show, log: the configuration in use, and changes of what is live, until the next reload or start."""
from collections.abc import Iterator
from typing import Final

from emqtwist.config import Config, ConfigError, validate
from emqtwist.config.rows import Row
from emqtwist.config.table import Table, build, values_of
from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Refused, Registry, Words, plain

TABLE: Final = Table(Config)
LEVELS: Final = "log.level"
APPLICATION: Final = "emqtwist"


def _row(key: str) -> Row:
    row = TABLE.row(key)
    if row is None:
        section, nearest = TABLE.nearest_key(*TABLE.split(key))
        raise Refused(f"there is no key {key}" + (f"; did you mean {section}.{nearest}?" if nearest else ""))
    return row


def _entry(key: str, row: Row, value: object) -> Line:
    text = row.write(value)
    return f"{key} = {text}", {"key": key, "value": text, "type": row.unit.name, "live": row.live}


def _entries(context: Context) -> Iterator[tuple[str, Row, object]]:
    for key, value in values_of(context.service.config).items():
        row = TABLE.row(key)
        if row is not None:
            yield key, row, value


def show(context: Context, words: Words) -> Iterator[Line]:
    for entry in _entries(context):
        yield _entry(*entry)


def show_one(context: Context, words: Words) -> list[Line]:
    row, values = _row(words[0]), values_of(context.service.config)
    if words[0] not in values:
        raise Refused(f"{words[0]} is not set")
    return [_entry(words[0], row, values[words[0]])]


def change(context: Context, key: str, text: str) -> None:
    """Use another value of a live key; Refused when it is none, or the value is not good."""
    row = _row(key)
    if not row.live:
        raise Refused(f"{key} needs a restart: write it into the configuration file")
    try:
        value = row.read(text)
        config = context.service.config
        changed = build(config, {**values_of(config), key: value})
        validate(changed)
        context.apply(changed)
    except ConfigError as error:
        raise Refused("; ".join(problem.message for problem in error.problems)) from None
    except ValueError as error:
        raise Refused(f"{key}: {error}; allowed is {row.allowed}") from None


def set_one(context: Context, words: Words) -> list[Line]:
    change(context, *words)
    return [plain("ok")]


# emqttd's words.

def _in_table(key: str, row: Row, value: object) -> Line:
    text = row.write(value)
    return (f"{key:<40}{text:<20}{row.unit.name:<20}{APPLICATION}",
            {"key": key, "value": text, "datatype": row.unit.name, "app": APPLICATION})


def listed(context: Context, words: Words) -> Iterator[Line]:
    for key, row, value in _entries(context):
        if row.live:
            yield _in_table(key, row, value)


def set_pair(context: Context, words: Words) -> list[Line]:
    key, equals, text = words[0].partition("=")
    if not equals:
        raise Refused("write <Key>=<Value>")
    change(context, key, text)
    return [plain(" successfully")]


def show_row(context: Context, words: Words) -> list[Line]:
    (_, columns), = show_one(context, words)
    return [_in_table(words[0], _row(words[0]), values_of(context.service.config)[words[0]])] if columns else []


# The log.

def levels(context: Context, words: Words) -> Iterator[Line]:
    section = context.service.config.log
    for name, level in (("default", section.level), *section.levels):
        yield f"{name}: {level}", {"part": name, "level": level}


def set_level(context: Context, words: Words) -> list[Line]:
    if not context.logs():
        raise Refused("the broker does not write its log itself: twistd's --logger does")
    change(context, LEVELS if len(words) == 1 else f"{LEVELS}.{words[0]}", words[-1])
    return [plain("ok")]


def add(registry: Registry) -> None:
    registry.add("config show", "", "Show the configuration in use", show, "`<key> = <value>`; a secret is `***`")
    registry.add("config show", "<Key>", "Show one key of it", show_one, "the same")
    registry.add("config set", "<Key> <Value>", "Change a live key, until a reload or the end", set_one, "`ok`, or what is wrong")
    registry.add("set", "", "List the live keys", listed, "key, value, type, `emqtwist`, in columns")
    registry.add("set", "<Key>=<Value>", "Change a live key, until a reload or the end", set_pair,
                 "` successfully`, or what is wrong")
    registry.add("show", "<Key>", "Show one key of the configuration", show_row, "as `set`")
    registry.add("log level", "", "Show the levels of the log", levels, "`default: <level>`, then those of parts")
    registry.add("log level", "<Level>", "Log from this level on", set_level, "`ok`, or what is wrong")
    registry.add("log level", "<Part> <Level>", "Log one part of the broker from this level on", set_level, "the same")
