"""What each row of [bridge.<name>] changes, as far as it shows without a network, and what is refused."""
import pytest
from twisted.internet.testing import MemoryReactorClock

from emqtwist import BrokerService
from emqtwist.app.secured import located
from emqtwist.cluster.bridging import Crossing
from emqtwist.config import ConfigError, parse
from emqtwist.config.sections.bridge import BridgeSection
from emqtwist.core.bridges.bridge import Bridge
from emqtwist.mqtt.packets import Publish
from tests.desks import Desk

COOKIE = "a cookie for tests"
OTHER = "another cookie of some length"


def way(*lines: str, node: str = "b@far.example") -> Crossing:
    """That of a bridge with these rows."""
    text = "\n".join(["[cluster]", f"cookie = {COOKIE}", "[bridge.north]", f"node = {node}", "topic = t/#", *lines])
    service = BrokerService(parse(text), MemoryReactorClock())
    [name] = service.bridges.ways
    assert name == "north"
    return service.bridges.ways[name]


def bridge(*lines: str) -> Bridge:
    return way(*lines).bridge


def test_bridge_node() -> None:
    assert bridge().terms.node == "b@far.example"


@pytest.mark.parametrize(("line", "node", "place"), [
    ("address = 10.0.0.1:99", "b@far.example", "10.0.0.1:99"), ("", "b@far.example", "far.example:4370"),
    ("", "b@::1", "[::1]:4370")])
def test_bridge_address(line: str, node: str, place: str) -> None:
    assert way(line, node=node).address == place


def desk(*lines: str) -> tuple[Desk, Bridge]:
    """A broker with a bridge that leads nowhere yet."""
    found = Desk(f"cluster.cookie = {COOKIE}", "bridge.north.node = b@x", *(f"bridge.north.{line}" for line in lines))
    return found, found.service.bridges.bridges.known["north"]


def test_bridge_topic() -> None:
    found, leads = desk("topic = t/+")
    found.client("alice").send(*[Publish(topic, b"x", 1, packet_id=1) for topic in (b"t/1", b"t/1/2", b"u")])
    assert leads.taken == 1


def test_bridge_prefix() -> None:
    assert bridge("prefix = a/").terms.prefix == b"a/"


def test_bridge_suffix() -> None:
    assert bridge("suffix = /z").terms.suffix == b"/z"


def test_bridge_qos() -> None:
    for qos in (0, 1):
        found, leads = desk("topic = t", f"qos = {qos}")
        found.client("alice").send(Publish(b"t", b"x", 2, packet_id=1))
        assert len(leads.outbox) == qos


def test_bridge_max_queue_len() -> None:
    found, leads = desk("topic = t", "max_queue_len = 2")
    found.client("alice").send(*[Publish(b"t", b"x", 1, packet_id=number) for number in (1, 2, 3)])
    assert (len(leads.outbox), leads.dropped) == (2, 1)


def test_bridge_max_queue_bytes() -> None:
    found, leads = desk("topic = t", "max_queue_bytes = 2KB")
    found.client("alice").send(*[Publish(b"t", bytes(500), 1, packet_id=number) for number in (1, 2, 3)])
    assert (len(leads.outbox), leads.dropped) == (2, 1)


def test_bridge_on_full() -> None:
    assert bridge().terms.on_full == "drop_oldest"
    assert bridge("on_full = refuse").terms.on_full == "refuse"


def test_bridge_ping_down_interval() -> None:
    reactor = MemoryReactorClock()
    service = BrokerService(parse(f"cluster.cookie = {COOKIE}\nbridge.north.node = b@127.0.0.1\nbridge.north.topic = t\n"
                                  "bridge.north.ping_down_interval = 20s\nnode.name = a@x"), reactor)
    service.startService()
    for times in (1, 2, 3):
        reactor.advance(0)
        assert [(host, port) for host, port, *_ in reactor.tcpClients] == [("127.0.0.1", 4370)] * times
        reactor.advance(5.0)  # nobody answers
        reactor.advance(19.9)
        assert len(reactor.tcpClients) == times
        reactor.advance(0.2)


def test_bridge_cookie() -> None:
    assert way().terms.cookie == COOKIE
    assert way(f"cookie = {OTHER}").terms.cookie == OTHER
    assert OTHER not in repr(parse(f"[bridge.n]\nnode = b@x\ntopic = t\ncookie = {OTHER}"))


def test_paths_start_at_the_folder_of_the_file() -> None:
    section = BridgeSection(name="n", node="b@x", topic="t", certificate="a.pem", private_key="/b.key")
    found = located(section, "/etc")
    assert (found.certificate, found.private_key, found.ca) == ("/etc/a.pem", "/b.key", "")


@pytest.mark.parametrize(("lines", "told"), [
    ("node = b@x\ntopic = t\n", "proves that it may cross by a cookie, or by a certificate"),
    ("node = b@x\ntopic = t/#/u\ncookie = 0123456789abcdef\n", "'#' stands alone"),
    ("node = b@x\ntopic = $share/g/t\ncookie = 0123456789abcdef\n", "a Topic Filter without a prefix"),
    ("node = emqtwist@127.0.0.1\ntopic = t\ncookie = 0123456789abcdef\n", "a bridge to itself"),
    ("node = b@x\ntopic = t\nprefix = a/#\ncookie = 0123456789abcdef\n", "without wildcards"),
    ("node = b@x\ntopic = t\ncertificate = a.pem\n", "bridge.north.private_key must be set, too"),
    ("node = b\ntopic = t\ncookie = 0123456789abcdef\n", "a name as emqtwist@127.0.0.1"),
    ("topic = t\ncookie = 0123456789abcdef\n", "must be set"),
    ("node = b@x\ntopic = t\ncookie = 0123456789abcdef\n[bridge.south]\nnode = b@x\ntopic = t\ncookie = 0123456789abcdef\n",
     "bridge.north leads there already"),
])
def test_what_cannot_be_a_bridge_is_told(lines: str, told: str) -> None:
    with pytest.raises(ConfigError, match=".*" + told.replace("#", "\\#")):
        parse(f"[bridge.north]\n{lines}")


def test_a_bad_certificate_is_told() -> None:
    with pytest.raises(ConfigError, match=r"\[bridge.north\] certificate"):
        way("certificate = /nowhere.pem", "private_key = /nowhere.key", "ca = /nowhere.ca")
