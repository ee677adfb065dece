"""The loop of a client that runs as a program of its own: a command a line in, an answer a line out."""
import asyncio
import sys
from collections.abc import Callable
from typing import Protocol

from tests.integration.clients.vocabulary import Message, Opening


class AsyncClient(Protocol):
    """A library under `clients.vocabulary.Client`, but for what only a process can do."""

    async def open(self, opening: Opening) -> bool | None: ...
    async def subscribe(self, topic_filter: str, qos: int) -> None: ...
    async def publish(self, message: Message) -> None: ...
    async def receive(self) -> Message: ...
    async def close(self) -> None: ...


async def _answer(client: AsyncClient, command: str, argument: str) -> str:
    if command == "open":
        return str(await client.open(Opening.from_json(argument)))
    if command == "subscribe":
        qos, _, topic_filter = argument.partition(" ")
        await client.subscribe(topic_filter, int(qos))
    elif command == "publish":
        await client.publish(Message.from_json(argument))
    elif command == "receive":
        return (await client.receive()).to_json()
    else:
        await client.close()
    return ""


async def _serve(make: Callable[[], AsyncClient]) -> None:
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command, _, argument = line.rstrip("\n").partition(" ")
        if command == "open":
            client = make()
        print("answer:", await _answer(client, command, argument), flush=True)


def serve(make: Callable[[], AsyncClient]) -> None:
    """Obey the commands on standard input until it ends."""
    asyncio.run(_serve(make))
