"""Commands over AMP, between pumped transports."""
from twisted.internet.defer import Deferred
from twisted.protocols.amp import AMP
from twisted.python.failure import Failure
from twisted.test.iosim import FakeTransport, IOPump, connect
from twisted.trial.unittest import SynchronousTestCase

from emqtwist.ctl.client import Printer, ask
from emqtwist.ctl.commands import all_commands
from emqtwist.ctl.registry import Context, Line, Refused, Registry, WrongWords
from emqtwist.ctl.server import ROWS, CtlServer
from emqtwist.ctl.wire import Failed
from tests.peers import World


class Control:
    """A client of a world's broker."""

    def __init__(self, world: World, registry: Registry | None = None) -> None:
        self.server = CtlServer(registry or all_commands(), Context(world.broker, "n@h"))
        self.client = AMP()
        self.pump: IOPump = connect(self.server, FakeTransport(self.server, True), self.client, FakeTransport(self.client, False))

    def ask(self, command: str, form: str = "lines") -> str:
        out: list[str] = []
        asked = Deferred.fromCoroutine(ask(self.client, command.split(), Printer(form, out.append)))
        self.pump.flush()
        SynchronousTestCase().successResultOf(asked)
        return "".join(out)

    def error(self, command: str) -> Exception:
        asked = Deferred.fromCoroutine(ask(self.client, command.split(), Printer("lines", print)))
        self.pump.flush()
        error = SynchronousTestCase().failureResultOf(asked).value
        assert isinstance(error, Exception)
        return error


def test_numbers_are_those_of_the_traffic() -> None:
    world = World()
    reader = world.connect("reader")
    reader.subscribe("a/+", qos=1)
    world.connect("writer").publish("a/b", b"x", qos=1, packet_id=1)
    control = Control(world)
    assert control.ask("sessions show reader") == (
        "Session(reader, subscriptions=1, max_inflight=1000, inflight=1, mqueue_len=0, awaiting_rel=0)\n")
    assert control.ask("routes list") == "a/+ -> n@h\n"
    assert control.ask("routes show a/+") == "a/+ -> n@h\n"
    assert control.ask("topics list") == "a/+\n"
    assert control.ask("subscriptions list") == control.ask("subscriptions show reader") == "reader -> a/+\n"
    assert control.ask("subscriptions list", "json") == '[{"client_id": "reader", "topic": "a/+", "qos": 1}]\n'
    assert control.ask("subscriptions list", "table") == "client_id  topic  qos\nreader     a/+    1\n"
    assert [line.split(",")[0] for line in control.ask("clients list").splitlines()] == ["Client(reader", "Client(writer"]
    assert "connects                : 2\n" in control.ask("metrics")


def test_persistent_sessions_are_told_from_transient_ones() -> None:
    world = World()
    for name in ("one", "two"):
        world.broker.sessions.create(name).expiry_interval = 9.0 if name == "two" else 0.0
    control = Control(world)
    assert control.ask("sessions list persistent").startswith("Session(two,")
    assert control.ask("sessions list transient").startswith("Session(one,")


def test_wrong_words_and_absent_clients_are_declared_errors() -> None:
    control = Control(World())
    assert isinstance(control.error("clients show"), WrongWords)
    assert isinstance(control.error("sessions show nobody"), Refused)
    assert isinstance(control.error("supervisor tree"), Refused)


def test_fifteen_thousand_sessions_come_page_by_page_and_go_with_their_client() -> None:
    world = World()
    for number in range(15_000):
        world.broker.sessions.create(f"c{number}")
    control = Control(world)
    assert len(control.ask("sessions list").splitlines()) == 15_000
    control.server.run(["sessions", "list"])
    answer = control.server.more()
    assert isinstance(answer["piece"], bytes)
    assert answer["piece"].count(b"\n") == ROWS
    assert not answer["last"]
    world.broker.sessions.discard(world.session("c14999"))  # one that goes meanwhile is passed over
    assert control.client.transport is not None
    control.client.transport.loseConnection()
    control.pump.flush()
    assert list(control.server.rows) == []


def test_a_row_longer_than_an_amp_value_arrives_whole() -> None:
    world = World()
    world.broker.sessions.create("x" * 65_000)
    assert control_line(world).startswith("Session(" + "x" * 65_000 + ",")


def control_line(world: World) -> str:
    return Control(world).ask("sessions list")


def test_what_a_command_raises_is_logged_and_told(logged_failures: list[Failure]) -> None:
    registry = Registry()

    def broken(context: Context, words: object) -> list[Line]:
        raise ValueError("of ours")

    registry.add("broken", "", "Fail", broken)
    error = Control(World(), registry).error("broken")
    assert isinstance(error, Failed)
    assert str(error) == "ValueError: of ours"
    assert logged_failures.pop().type is ValueError
