"""What each row of [cluster] changes, as far as it shows without a network."""
import time
from dataclasses import replace

import pytest
from twisted.internet.testing import MemoryReactorClock

from emqtwist import BrokerService
from emqtwist.app.cluster import Node, place_of
from emqtwist.app.secured import located
from emqtwist.config import Address, Config, parse

NEEDED = "[node]\nname = a@node.example\n[cluster]\nbind = 127.0.0.1:4370\ncookie = a cookie for tests\n"


def node(lines: str = "", needed: str = NEEDED) -> Node:
    service = BrokerService(parse(needed + lines), MemoryReactorClock())
    assert service.node is not None
    return service.node


@pytest.mark.parametrize(("address", "bind", "told"), [
    ("", Address("10.0.0.1", 4370), "10.0.0.1:4370"), ("", Address("0.0.0.0", 4370), "node.example:4370"),
    ("", Address("::1", 4370), "[::1]:4370"), ("", Address("::", 4370), "node.example:4370"),
    ("public.example:1", Address("10.0.0.1", 4370), "public.example:1")])
def test_cluster_address(address: str, bind: Address, told: str) -> None:
    section = replace(Config().cluster, address=address)
    assert place_of(section, "a@node.example", bind) == told
    assert node(f"address = {address}").nodes.members.address == (address or "127.0.0.1:4370")
    assert place_of(section, "a@::1", Address("::", 2)) == (address or "[::1]:2")


def test_an_address_follows_the_port_that_the_system_chooses() -> None:
    found = node(needed=NEEDED.replace("4370", "0"))
    found.port._port = type("Port", (), {"getHost": lambda self: None})()
    found.port._address = Address("127.0.0.1", 4371)
    found.bind()
    assert found.links.terms.address == found.nodes.members.address == "127.0.0.1:4371"


def test_cluster_name() -> None:
    assert node("name = ours").links.terms.cluster == "ours"


def test_cluster_cookie() -> None:
    assert node().links.terms.cookie == "a cookie for tests"


@pytest.mark.parametrize(("value", "fresh"), [("refuse", False), ("fresh", True)])
def test_cluster_orphan(value: str, fresh: bool) -> None:
    assert not node().cluster.takeover.claims.fresh
    assert node(f"orphan = {value}").cluster.takeover.claims.fresh is fresh


@pytest.mark.parametrize(("value", "seconds"), [("off", 0.0), ("5m", 300.0)])
def test_cluster_autoclean(value: str, seconds: float) -> None:
    assert node(f"autoclean = {value}").nodes.members.autoclean == seconds


def test_cluster_heartbeat() -> None:
    assert node("heartbeat = 2s").links.terms.heartbeat == 2.0


def test_cluster_timeout() -> None:
    assert node("timeout = 20s").links.terms.timeout == 20.0


def test_cluster_window() -> None:
    assert node("window = 2MB").links.terms.window == 2 << 20


def bound(lines: str, name: str) -> object:
    """What there is of it for a node."""
    return getattr(node(lines).cluster.peer("b@x").outbox.rules, name)


def test_cluster_outbox_length() -> None:
    assert bound("outbox_length = 9", "max_length") == 9


def test_cluster_outbox_bytes() -> None:
    assert bound("outbox_bytes = 4KB", "max_bytes") == 4096


def test_cluster_outbox_stored() -> None:
    assert bound("outbox_stored = 5KB", "max_stored") == 5120


def test_paths_start_at_the_folder_of_the_file() -> None:
    section = replace(Config().cluster, certificate="a.pem", private_key="/b.key")
    found = located(section, "/etc")
    assert (found.certificate, found.private_key, found.ca) == ("/etc/a.pem", "/b.key", "")


@pytest.mark.parametrize("store", ["sqlite", "memory"])
def test_a_node_knows_what_time_it_is(store: str) -> None:
    config = parse(f"{NEEDED}[store]\ntype = {store}")
    service = BrokerService(config, MemoryReactorClock(), now=lambda: 50.0)
    assert service.node is not None
    if service.journal is not None:
        service.journal.offset = time.time() - 50.0  # as the keeper says
    clock = service.node.cluster.clock
    assert clock.wall() == pytest.approx(time.time(), abs=60.0)
    clock.offset = 0.0
    service.tick()
    assert clock.wall() == pytest.approx(time.time(), abs=60.0)


def test_a_node_knows_where_it_belongs_before_others_come() -> None:
    service = BrokerService(parse(NEEDED), MemoryReactorClock())
    assert [path for path, _ in service.root.walk() if path.startswith("cluster")] == [
        "cluster", "cluster/membership", "cluster/router", "cluster/port", "cluster/links"]


def test_without_a_port_for_nodes_there_is_no_cluster() -> None:
    service = BrokerService(parse(""), MemoryReactorClock())
    assert service.node is None
    assert service.nodes is None
    assert service.problems() == ()
    assert "cluster" not in service.root.rows
