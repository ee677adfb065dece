"""The part that takes commands dies while they are under way: nobody who asks notices, no client of the broker either."""
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.threads import deferToThread
from twisted.protocols.amp import AMP

from emqtwist import BrokerService
from emqtwist.app.control import Control
from emqtwist.config import parse
from emqtwist.ctl.client import ask
from emqtwist.ctl.context import Context
from emqtwist.ctl.part import Ctl
from emqtwist.ctl.printer import Printer
from emqtwist.ctl.registry import Line, Words, plain
from emqtwist.ctl.wire import Run
from emqtwist.mqtt.packets import Puback, Pubcomp, Publish, Pubrec, Pubrel
from emqtwist.net.socketfile import Taken
from emqtwist.services.supervisor import Supervisor
from tests.integration.raw import RawClient
from tests.transports import IO

SESSIONS = 15_000
ROUNDS = 100


@asynccontextmanager
async def place(path: Path) -> "AsyncIterator[tuple[BrokerService, Supervisor, Control]]":
    config = parse(f"node.io = {IO}\nlistener.tcp.default.bind = 127.0.0.1:0\nctl.socket = {path}\n")
    broker = BrokerService(config, reactor)
    root = Supervisor("root", [], reactor)
    control = Control(broker, root, broker.reconfigure, lambda: True, reactor)
    control.prepare()
    broker.startService()
    await root.startService()
    try:
        yield broker, root, control
    finally:
        control.close()
        await root.stopService()
        await broker.stopService()


async def connect(path: Path) -> AMP:
    amp: AMP = await connectProtocol(UNIXClientEndpoint(reactor, str(path)), AMP())
    return amp


def traffic(port: int) -> list[bytes]:
    """QoS 1 and 2 messages through the broker, each acknowledged in full; the payloads in the order of their arrival."""
    came: list[bytes] = []
    with RawClient(port) as reader, RawClient(port) as writer:
        reader.connect("reader")
        reader.subscribe(b"t", 2)
        writer.connect("writer")
        for number in range(ROUNDS):
            qos = 1 + number % 2
            writer.send(Publish(b"t", str(number).encode(), qos, packet_id=number + 1))
            if qos == 1:
                writer.next(Puback)
            else:
                writer.next(Pubrec)
                writer.send(Pubrel(number + 1))
                writer.next(Pubcomp)
            message = reader.next(Publish)
            came.append(message.payload)
            if qos == 1:
                reader.send(Puback(message.packet_id))
            else:
                reader.send(Pubrec(message.packet_id))
                reader.next(Pubrel)
                reader.send(Pubcomp(message.packet_id))
    return came


async def test_listings_and_commands_that_wait_outlive_the_part(tmp_path: Path) -> None:
    path = tmp_path / "commands.sock"
    async with place(path) as (broker, root, control):
        for number in range(SESSIONS):
            broker.broker.sessions.create(f"c{number:05}")
        answers: list[Deferred[list[Line]]] = []

        async def slow(context: Context, words: Words) -> list[Line]:
            answers.append(Deferred())
            return await answers[-1]

        def deadly(context: Context, words: Words) -> list[Line]:
            killed.append(root.rows["ctl"].service)
            part = killed[-1]
            assert isinstance(part, Ctl)
            part.kill()
            return [plain("killed")]

        killed: list[object] = []
        broker.commands.add_waiting("slow", "", "Wait", slow)
        broker.commands.add("deadly", "", "Kill", deadly)
        served = deferToThread(traffic, broker.port())
        asking = [await connect(path) for _ in range(5)]
        listings: list[list[str]] = [[], []]
        pages = [Deferred.fromCoroutine(ask(amp, ["sessions", "list"], Printer("lines", out.append)))
                 for amp, out in zip(asking, listings, strict=False)]
        waiting: list[list[str]] = [[], []]
        waits = [Deferred.fromCoroutine(ask(amp, ["slow"], Printer("lines", out.append)))
                 for amp, out in zip(asking[2:], waiting, strict=False)]
        while len(answers) < 2 or not all(listings):
            await asking[4].callRemote(Run, words=["status"])  # a round trip, in which the others get on
        assert not any(page.called for page in pages)
        out: list[str] = []
        await ask(asking[4], ["deadly"], Printer("lines", out.append))
        assert out == ["killed\n"]
        while root.rows["ctl"].state != "running":
            await asking[4].callRemote(Run, words=["status"])
        assert root.rows["ctl"].service is not killed[0]
        fresh = await connect(path)
        assert not any(page.called for page in pages)
        out = []
        await ask(fresh, ["supervisor", "tree"], Printer("lines", out.append))
        assert out[0].startswith("ctl: running, restarts=1, ")
        for answer in answers:
            answer.callback([plain("done")])
        for each in (*pages, *waits):
            await each
        names = [[line.split(",")[0] for line in lines if line.startswith("Session(c")] for lines in listings]
        assert names == [[f"Session(c{number:05}" for number in range(SESSIONS)]] * 2
        assert waiting == [["done\n"]] * 2
        assert len(control.factory.connections) == 6
        assert await served == [str(number).encode() for number in range(ROUNDS)]


async def test_a_socket_that_another_broker_has_taken_meanwhile_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "commands.sock"
    async with place(path) as (broker, root, control):
        with pytest.raises(Taken, match="another program listens at"):
            Ctl(path, broker.config.ctl, control.factory, reactor).startService()
        fresh = await connect(path)
        await fresh.callRemote(Run, words=["status"])
    assert not path.exists()


async def test_a_path_that_is_too_long_for_the_system_is_told(tmp_path: Path) -> None:
    async with place(tmp_path / "commands.sock") as (broker, _, control):
        with pytest.raises(Taken, match="too long"):
            Ctl(tmp_path / ("x" * 120), broker.config.ctl, control.factory, reactor).startService()
