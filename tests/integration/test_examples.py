"""The programs in examples/ do what they say."""
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which

import pytest

from emqtwist.mqtt.constants import NOT_AUTHORIZED, SERVER_SHUTTING_DOWN
from emqtwist.mqtt.packets import Disconnect, Publish, Suback, Subscribe
from tests.integration.program import Program, run
from tests.integration.raw import RawClient

Start = Callable[[str], tuple[Program, int]]


@pytest.fixture
def start(checkout: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts an example at a port that the system chooses; gives the program and the port."""
    programs: list[Program] = []

    def start(name: str) -> tuple[Program, int]:
        programs.append(Program(sys.executable, checkout / "examples" / name, "0", cwd=tmp_path))
        return programs[-1], int(programs[-1].next(r"^listening at 127\.0\.0\.1:(\d+)$")[1])

    yield start
    for program in programs:
        program.terminate()


def interrupt(program: Program, client: RawClient) -> None:
    """Ctrl-C, of which the client is told."""
    program.signal(signal.SIGINT)
    assert client.next(Disconnect).reason_code == SERVER_SHUTTING_DOWN
    assert client.is_closed()
    program.wait()
    assert "Traceback" not in "\n".join(program.rest())


def test_embedded_twisted(start: Start) -> None:
    program, port = start("embedded_twisted.py")
    with RawClient(port) as client:
        client.connect("c")
        client.subscribe(b"greetings/+")
        client.send(Publish(b"names", b"Ann"))
        assert client.next(Publish).payload == b"Hello Ann"
        program.next("^greeted Ann before 1$")
        interrupt(program, client)


def test_embedded_asyncio(start: Start) -> None:
    program, port = start("embedded_asyncio.py")
    with RawClient(port) as early, RawClient(port) as late:
        early.connect("early")
        early.subscribe(b"counts")
        early.send(Publish(b"texts", b"to be or not to be"))
        assert early.next(Publish).payload == b"6"
        program.next("^counted 6 words$")
        late.connect("late")
        late.subscribe(b"counts")
        assert late.next(Publish).payload == b"6"
        interrupt(program, late)
    assert program.output[-1] == "stopped"


@pytest.mark.skipif(not which("mosquitto_rr"), reason="the command mosquitto_rr is not installed")
def test_request_response(start: Start) -> None:
    program, port = start("request_response.py")
    rr = "mosquitto_rr", "-h", "127.0.0.1", "-p", str(port), "-V", "mqttv5", "-t", "requests/sum", "-e", "answers/1"
    assert run(*rr, "-m", "1 2 3").stdout == b"6\n"
    program.next(r"^answered b'1 2 3'$")
    assert run(*rr, "-m", "one").stdout.startswith(b"error: ")
    with RawClient(port) as client:
        client.connect("c")
        client.send(Publish(b"requests/sum", b"4 5"))
        program.next(r"^no Response Topic with b'4 5'$")


def test_plugin(start: Start) -> None:
    program, port = start("plugin.py")
    with RawClient(port) as client, RawClient(port) as other:
        client.connect("c")
        client.subscribe(b"public/#")
        other.connect("Ann")
        assert client.next(Publish).payload == b"welcome, Ann"
        other.send(Subscribe(7, [(b"clients/c/x", 0)]))
        assert other.next(Suback).reason_codes == [NOT_AUTHORIZED]
        interrupt(program, client)
