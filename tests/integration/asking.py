"""Commands of a broker as `emqtwist_ctl` asks them, without a process for each."""
import json
import socket
from pathlib import Path
from typing import IO

from twisted.protocols.amp import Box, Command

from emqtwist.ctl.wire import More, Run
from tests.integration.raw import connected

Row = dict[str, object]


def ask(where: Path, *words: str) -> list[Row]:
    """The columns of each line of the answer; `where` is the socket for commands."""
    pieces = b""
    with connected(str(where)) as connection, connection.makefile("rb") as stream:
        call(connection, stream, Run, words=list(words))
        last = False
        while not last:
            answer = More.parseResponse(call(connection, stream, More), None)
            pieces += answer["piece"]
            last = answer["last"]
    return [columns for _, columns in map(json.loads, pieces.splitlines()) if columns]


def call(connection: socket.socket, stream: IO[bytes], command: type[Command], **arguments: object) -> Box:
    """The answer, of which there is one at a time."""
    asked = Box(command.makeArguments(arguments, None))
    asked[b"_command"], asked[b"_ask"] = command.commandName, b"1"
    connection.sendall(asked.serialize())
    answer = Box()
    while size := int.from_bytes(stream.read(2), "big"):
        key = stream.read(size)
        answer[key] = stream.read(int.from_bytes(stream.read(2), "big"))
    assert b"_answer" in answer, answer
    return answer
