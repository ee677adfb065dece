"""bridges start, stop, list, status, options: at a broker whose bridges have somewhere to lead."""
import json
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.test.iosim import FakeTransport, IOPump
from zope.interface import implementer

from emqtwist.config import Config
from emqtwist.ctl.registry import Refused
from emqtwist.mqtt.packets import Publish
from emqtwist.services.supervisor import Supervisor
from tests.adapters.cluster.test_bridging import Net, result
from tests.answers import QUIET
from tests.desks import TEST, Customer, Desk
from tests.linked import COOKIE, address_of

CLUSTER = f"cluster.cookie = {COOKIE}"
LOCAL = "node.name = here@x"


@implementer(IStreamClientEndpoint)
class Road:
    """Leads from a desk to the node of a net that has this address."""

    def __init__(self, there: "There", address: str) -> None:
        self.there = there
        self.address = address

    def connect(self, factory: Any) -> Deferred[Any]:
        self.there.dialled.append(self.address)
        node = self.there.net.nodes.get(self.address)
        if node is None:
            return fail(ConnectionRefusedError())
        answering, dialling = node.links.port.buildProtocol(None), factory.buildProtocol(None)
        assert answering is not None
        here, far = address_of("here"), address_of(self.address)
        transports = FakeTransport(dialling, False, here, far), FakeTransport(answering, True, far, here)
        self.there.pumps.append(IOPump(dialling, answering, *transports, False))
        answering.makeConnection(transports[1])
        dialling.makeConnection(transports[0])
        return succeed(dialling)


class There:
    """What is around a desk: a net with the nodes `there@x` and `far@x`."""

    def __init__(self, *lines: str) -> None:
        self.net = Net()
        self.dialled: list[str] = []
        self.pumps: list[IOPump] = []
        self.nodes = {name: self.net.place(f"{name}@x", at=f"{name}:4370") for name in ("there", "far")}
        self.desk = Desk(LOCAL, CLUSTER, QUIET, *lines, whole=True)
        crossings = self.desk.service.bridges
        make = crossings._make

        def redirected(bridge: Any) -> Any:
            way = make(bridge)
            way._endpoint = lambda address: Road(self, address)
            return way

        crossings._make = redirected
        for name, way in crossings.ways.items():
            way._endpoint = lambda address: Road(self, address)
            TEST.successResultOf(self.desk.root.restart(f"bridges/{name}"))

    def settle(self) -> None:
        for _ in range(30):
            self.desk.reactor.advance(0)
            self.net.clock.advance(0)
            for pump in self.pumps:
                pump.pump(advanceClock=False)

    def run(self, seconds: float) -> None:
        """Time passes at both ends, tick by tick."""
        for _ in range(round(seconds * 10)):
            self.settle()
            self.desk.reactor.advance(0.1)
            self.net.run(0.1)
        self.settle()

    def ask(self, *words: str, form: str = "lines") -> str:
        """What a command answers that waits for the other node."""
        customer = Customer(self.desk)
        asked, out = customer.begin(*words, form=form)
        for _ in range(5):
            customer.pump.flush()
            self.settle()
        customer.pump.flush()
        TEST.successResultOf(asked)
        return "".join(out)

    def error(self, *words: str) -> str:
        customer = Customer(self.desk)
        asked, _ = customer.begin(*words)
        for _ in range(5):
            customer.pump.flush()
            self.settle()
        customer.pump.flush()
        failure = TEST.failureResultOf(asked)
        assert failure.check(Refused), failure
        return str(failure.value)

    def parts(self) -> list[str]:
        part = self.desk.root.find("bridges").service
        assert isinstance(part, Supervisor)
        return list(part.rows)

    def publish(self, *packets: Publish) -> None:
        if not hasattr(self, "alice"):
            self.alice = self.desk.client("alice")
        self.alice.send(*packets)
        self.settle()


def test_a_bridge_is_started_and_stopped() -> None:
    place = There()
    assert place.ask("bridges", "start", "there@x", "t/#", "address=there:4370") == "bridge is started.\n"
    assert place.desk.lines("bridges", "list") == ["bridge: here@x--t/#-->there@x"]
    assert place.parts() == ["there@x.1"]
    place.publish(Publish(b"t/1", b"x", 1, packet_id=1))
    assert place.nodes["there"].heard == [b"x"]
    assert place.ask("bridges", "stop", "there@x", "t/#") == "bridge is stopped.\n"
    assert place.desk.lines("bridges", "list") == []
    assert place.parts() == []
    place.publish(Publish(b"t/2", b"y", 1, packet_id=2))
    assert place.nodes["there"].heard == [b"x"]
    assert place.net.bridges["there@x"].arrivals.marks == {}
    assert place.desk.service.bridges.ways == {}


def test_options_of_a_bridge_are_as_in_the_configuration() -> None:
    place = There()
    words = "prefix=abc/,suffix=/yxz,queue=1000,qos=1,bytes=2MB,address=there:4370"
    assert place.ask("bridges", "start", "there@x", "t", words) == "bridge is started.\n"
    [bridge] = place.desk.service.bridges.bridges.known.values()
    terms = bridge.terms
    assert (terms.prefix, terms.suffix, terms.max_length, terms.qos, terms.max_bytes) == (b"abc/", b"/yxz", 1000, 1, 2 << 20)
    assert terms.by_hand


def test_without_an_address_it_is_the_host_of_the_node_and_the_usual_port() -> None:
    place = There()
    assert "cannot_connect_node" in place.error("bridges", "start", "there@10.0.0.1", "t")
    assert place.dialled == ["10.0.0.1:4370"]


@pytest.mark.parametrize(("words", "said"), [
    ("here@x t", "error: bridge_to_self"),
    ("there@x t/#/u address=there:4370", "error: bad_topic_filter"),
    ("there@x $share/g/t", "error: bad_topic_filter"),
    ("there@x t colour=red", "Bad Option: colour"),
    ("there@x t qos=3", "Bad Option: qos"),
    ("there@x t queue=many", "Bad Option: queue"),
    ("there@x t prefix=#", "Bad Option: prefix"),
    ("there@x t address=nowhere", "Bad Option: address"),
    ("there t", "error: {bad_node,there}"),
    ("other@x t address=nobody:4370",
     "error: {cannot_connect_node,other@x}: nobody answers: Connection was refused by other side."),
    ("other@x t address=there:4370", "error: {cannot_connect_node,other@x}: this is no node, or not one of ours: "
     "there@x is at there:4370, and not other@x"),
])
def test_a_bridge_that_cannot_be_started_is_refused_and_nothing_is_left(words: str, said: str) -> None:
    place = There()
    assert place.error("bridges", "start", *words.split()) == said
    assert place.desk.lines("bridges", "list") == []
    assert place.parts() == []
    count = len(place.dialled)
    place.run(3)
    assert len(place.dialled) == count


def test_there_is_one_bridge_for_a_topic_filter_and_a_node() -> None:
    place = There()
    place.ask("bridges", "start", "there@x", "t", "address=there:4370")
    assert place.error("bridges", "start", "there@x", "t", "address=there:4370") == "error: already_started"
    assert place.error("bridges", "stop", "there@x", "u") == "error: not_found"
    place.ask("bridges", "start", "far@x", "t", "address=far:4370")
    assert place.parts() == ["there@x.1", "far@x.1"]


def test_without_a_cookie_there_is_nothing_to_show() -> None:
    desk = Desk(LOCAL, whole=True)
    assert "error: no_cookie" in str(desk.error("bridges", "start", "there@x", "t"))


def test_the_options_are_told_as_by_emqttd() -> None:
    assert Desk().lines("bridges", "options") == [
        "Options:", "  prefix  = string", "  suffix  = string", "  queue   = integer", "  bytes   = integer",
        "  qos     = 0 | 1 | 2", "  address = host:port", "Example:", "  prefix=abc/,suffix=/yxz,queue=1000"]


NORTH = ("bridge.north.node = there@x", "bridge.north.topic = t/#", "bridge.north.address = there:4370")


def test_the_numbers_of_a_bridge_are_those_of_what_it_has_done() -> None:
    place = There(*NORTH)
    place.run(0.2)
    place.publish(*[Publish(b"t/1", b"x", 1, packet_id=number) for number in (1, 2, 3)])
    row: dict[str, object] = {"name": "north", "topic": "t/#", "node": "there@x", "status": "up", "reason": "", "queued": 0,
                              "taken": 3, "sent": 3, "dropped": 0, "returned": 0}
    assert json.loads(place.desk.ask("bridges", "status", form="json")) == [row]
    place.nodes["there"].links.stop()
    place.settle()
    place.publish(Publish(b"t/1", b"y", 0), Publish(b"t/1", b"y", 0), Publish(b"t/1", b"z", 1, packet_id=4))
    row |= {"status": "down", "reason": "one of the two stops: it says: there@x does", "queued": 1, "taken": 6, "dropped": 2}
    assert json.loads(place.desk.ask("bridges", "status", form="json")) == [row]
    assert place.desk.lines("bridges", "status") == [
        "bridge: here@x--t/#-->there@x", *[f"  {key:<16}: {row[key]}" for key in (
            "name", "status", "reason", "queued", "taken", "sent", "dropped", "returned")]]


def test_a_bridge_is_where_a_route_ends_at_this_node() -> None:
    place = There(*NORTH)
    place.run(0.2)
    assert place.desk.lines("routes", "list") == ["t/# -> here@x"]
    assert place.desk.lines("explain", "route", "t/1") == [
        "(bridge north to node there@x) by t/#, up to QoS 2: it is connected, and 0 messages are on their way to it"]


def test_bridges_of_the_configuration_start_by_themselves_and_a_killed_one_goes_on_with_its_queue() -> None:
    place = There(*NORTH)
    place.run(0.2)
    assert place.parts() == ["north"]
    [bridge] = place.desk.service.bridges.bridges.known.values()
    assert bridge.is_up
    place.nodes["there"].links.stop()
    place.publish(Publish(b"t/1", b"1", 1, packet_id=1))
    part = place.desk.root.find("bridges/north").service
    place.desk.ask("supervisor", "kill", "bridges/north")
    assert place.desk.root.find("bridges/north").service is not part
    place.nodes["there"].links.start()
    place.publish(Publish(b"t/1", b"2", 1, packet_id=2))
    place.run(1.5)
    assert place.nodes["there"].heard == [b"1", b"2"]
    place.desk.ask("supervisor", "kill", "bridges")
    place.run(0.5)
    assert place.parts() == ["north"]
    place.publish(Publish(b"t/1", b"3", 1, packet_id=3))
    assert place.nodes["there"].heard == [b"1", b"2", b"3"]
    assert bridge.is_up
    assert result(place.desk.service.bridges.ways["north"]) == ""


def test_a_broker_without_bridges_has_none() -> None:
    assert Config().bridge == ()
    assert Desk(whole=True).lines("bridges", "status") == []
