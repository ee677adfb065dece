"""store: what outlives the process."""
from pathlib import Path

from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Refused, Registry, Words, pair, plain
from emqtwist.interfaces import IStore
from emqtwist.storage.errors import StoreError


def _store(context: Context) -> IStore:
    store = context.service.store
    if store is None:
        raise Refused("this broker keeps nothing: its store is the memory")
    return store


async def info(context: Context, words: Words) -> list[Line]:
    try:
        found: dict[str, float] = await _store(context).info()
    except StoreError as error:
        raise Refused(str(error)) from None
    return [pair(key, value, 20) for key, value in found.items()]


async def backup(context: Context, words: Words) -> list[Line]:
    target = Path(words[0]).absolute()
    try:
        size: int = await _store(context).backup(target)
    except StoreError as error:
        raise Refused(str(error)) from None
    return [(f"{target}: {size} bytes", {"file": str(target), "size": size})]


async def check(context: Context, words: Words) -> list[Line]:
    try:
        mistakes: list[str] = await _store(context).check()
    except StoreError as error:
        raise Refused(str(error)) from None
    if mistakes:
        raise Refused("\n".join(mistakes))
    return [plain("ok")]


def add(registry: Registry) -> None:
    registry.add_waiting("store info", "", "Show sizes, counts and times of the store", info, "as `file_size           : 4096`")
    registry.add_waiting("store backup", "<File>", "Copy the store as it is now to a new file", backup,
                         "`<file>: <n> bytes`; a relative path starts at the folder that the broker was started in")
    registry.add_waiting("store check", "", "Read all of the store, and see whether it is whole", check,
                         "`ok`, or what is wrong")
