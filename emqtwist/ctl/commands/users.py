"""users: who gets in with a password that the broker keeps itself."""
from collections.abc import Iterator
from secrets import token_bytes
from typing import cast

from emqtwist.access import hashes
from emqtwist.core.connection import OPEN, Connection
from emqtwist.core.users import User
from emqtwist.ctl.awaiting import decided
from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Refused, Registry, Step, Words, plain
from emqtwist.ctl.walking import in_order
from emqtwist.mqtt.constants import ADMINISTRATIVE_ACTION
from emqtwist.mqtt.errors import MQTTError
from emqtwist.services import pooler

NOT_FOUND = "Not Found."
EXISTS = "Error: already existed"
SWITCH = {"on": True, "off": False}


def listed(context: Context, words: Words) -> Iterator[Step]:
    table = context.broker.users.table
    for name in in_order(list(table)):
        user = None if name is None else table.get(name)
        if user is None:
            yield None
        else:
            yield f"{user.name} superuser" if user.superuser else user.name, {"username": user.name, "superuser": user.superuser}


async def add_one(context: Context, words: Words) -> list[Line]:
    users = context.broker.users
    name = words[0]
    if not name or "\0" in name:
        raise Refused("Error: no user name")
    if name in users.table:
        raise Refused(EXISTS)
    kept = await _hash(context, words)
    if name in users.table:  # somebody was faster
        raise Refused(EXISTS)
    return await _set(context, User(name, kept, False))


async def passwd(context: Context, words: Words) -> list[Line]:
    _found(context, words[0])
    kept = await _hash(context, words)
    return await _set(context, User(words[0], kept, _found(context, words[0]).superuser))


async def superuser(context: Context, words: Words) -> list[Line]:
    name, switch = words
    user = _found(context, name)
    if switch not in SWITCH:
        raise Refused("Error: on or off")
    return await _set(context, User(name, user.password_hash, SWITCH[switch]))


async def delete(context: Context, words: Words) -> list[Line]:
    _check_store(context)
    if not context.broker.users.remove(words[0]):
        raise Refused(NOT_FOUND)
    return await _stored(context)


def kick(context: Context, words: Words) -> Iterator[Step]:
    """A step for each connection: there may be many."""
    for link in list(context.broker.links):
        connection = cast(Connection, link)
        if connection.state == OPEN and connection.user_name == words[0]:
            connection.fail(MQTTError("an administrator has ended this connection", ADMINISTRATIVE_ACTION))
            yield connection.client_id, {"client_id": connection.client_id}
        else:
            yield None


def _found(context: Context, name: str) -> User:
    user = context.broker.users.table.get(name)
    if user is None:
        raise Refused(NOT_FOUND)
    return user


async def _hash(context: Context, words: Words) -> str:
    """What is kept of the password behind the name."""
    password = words[1] if len(words) > 1 else ""
    if not password:
        raise Refused("Error: no password")
    try:
        return str(await context.service.hashing.submit(hashes.make, password.encode(), token_bytes(hashes.SALT_SIZE)))
    except (ValueError, pooler.Refused, pooler.Abandoned) as error:
        raise Refused(f"Error: {error}") from None


async def _set(context: Context, user: User) -> list[Line]:
    _check_store(context)
    if not context.broker.users.set(user):
        raise Refused("Error: there are too many users")
    return await _stored(context)


def _check_store(context: Context) -> None:
    context.begin()  # it may be long ago that the command began
    failing = context.broker.users.failing()
    if failing:
        raise Refused(f"Error: users cannot be kept now: {failing}")


async def _stored(context: Context) -> list[Line]:
    await decided(context.broker.turn, context.broker.users.stored())
    return [plain("ok")]


def add(registry: Registry) -> None:
    stored = f"`ok` once it is stored; `{NOT_FOUND}`, or `Error: ` and why not"
    asked = "the password is asked for, or is a line of standard input"
    registry.add("users list", "", "List the users whom the broker keeps", listed,
                 "`<name>`, with ` superuser` behind it for one whom no access rule concerns")
    registry.add_waiting("users add", "<User>", f"Add a user; {asked}", add_one,
                         f"`ok` once it is stored; `{EXISTS}`, or `Error: ` and why not", asks_password=True)
    registry.add_waiting("users add", "<User> <Password>", "The same; others see what stands in a command", add_one, "the same")
    registry.add_waiting("users passwd", "<User>", f"Change a password; {asked}", passwd, stored, asks_password=True)
    registry.add_waiting("users passwd", "<User> <Password>", "The same; others see what stands in a command", passwd, "the same")
    registry.add_waiting("users superuser", "<User> <on|off>", "Say whether access rules concern a user", superuser, stored)
    registry.add_waiting("users del", "<User>", "Delete a user; who is connected stays connected", delete, stored)
    registry.add("users kick", "<User>", "End the connections of a user", kick, "the client identifier of each")
