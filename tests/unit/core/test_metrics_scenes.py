"""Every number that the broker gives has a scene that moves it, here or where the others of its kind are."""
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from emqtwist.access.asking import Asking
from emqtwist.access.authorization import Authorization
from emqtwist.app.settings import settings_of
from emqtwist.config import PoolerSection, parse
from emqtwist.core import overload
from emqtwist.core.access import Step, Verdict
from emqtwist.core.acl import Acl
from emqtwist.core.bans import ADDRESS, Ban
from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.cluster import Cluster
from emqtwist.core.cluster.link import NodeLink
from emqtwist.core.cluster.tables import ROUTES, digest_of
from emqtwist.core.door import Door
from emqtwist.core.logins import LoginSettings
from emqtwist.core.message import NEVER
from emqtwist.core.metrics import ALIASES
from emqtwist.core.ruling import use_rules
from emqtwist.mqtt.packets import Publish, Will
from emqtwist.net.admission import Admission
from emqtwist.net.crowds import Crowd
from emqtwist.net.entrance import Entrance
from emqtwist.net.guard import Guard
from emqtwist.net.listeners import Listener
from emqtwist.net.protocol import MQTTFactory
from emqtwist.net.tls.credentials import Credentials
from emqtwist.net.tls.layer import TlsFactory
from emqtwist.net.tls.loaded import Loaded
from emqtwist.net.turns import Turns
from emqtwist.net.websocket.factory import WebSocketFactory
from emqtwist.net.websocket.protocol import WebSocket
from emqtwist.services.pooler import Pool, Pooler
from tests.authorities import Authority
from tests.clusters import pack
from tests.halls import section_of
from tests.methods import NAME, Method, auth, more, no, opening, yes
from tests.oracles import Sibyl
from tests.peers import Peer, World
from tests.threads import HeldThreads, ThreadedClock
from tests.unit.core import test_causes, test_metrics, test_stats
from tests.websockets import request
from tests.wires import Caller

Scene = Callable[[World], object]


def exchange(*steps: Step) -> Scene:
    """A client whose method takes these steps."""
    def scene(world: World) -> None:
        world.broker.methods[NAME] = Method(*steps)
        peer = world.peer()
        peer.send(opening())
        for _ in steps[1:]:
            peer.send(auth())
    return scene


def told_by_a_node(*frames: f.Frame) -> Scene:
    """Another node is connected, and says this; then a client publishes."""
    def scene(world: World) -> None:
        cluster = Cluster(world.broker, "here", "process", lambda: "00000001", pack, world.broker.settings.queue)
        cluster.take(cluster.opened("there", "process", NodeLink(world.turn)), frames)
        world.turn.take_decided()
        world.turn.take()
        world.connect("alice").publish("a", b"x")
    return scene


def failing_hook(world: World) -> None:
    world.broker.hooks.add("client.connected", lambda client: 1 / 0)
    world.connect("bob")


def failing_job(world: World) -> None:
    threads = HeldThreads(1)
    pool = Pool(PoolerSection(), world.broker.metrics)
    Pooler(pool, ThreadedClock(), lambda size: threads).startService()
    pool.async_submit(lambda: 1 / 0)
    threads.run_all()


def too_fast(world: World) -> None:
    world.broker.configure(settings_of(parse("mqtt.client.message_rate = 1")))
    clock = Clock()
    bob = Caller(MQTTFactory(Turns(world.broker, clock, clock.seconds), clock, Door("tcp.a"), True, 65536), clock)
    bob.connect("bob")
    bob.send(Publish(b"a", b"x"), Publish(b"a", b"x"))


def told_to_go(world: World) -> None:
    world.connect("bob")
    world.broker.shut_down()
    world.settle()


def refused(line: str) -> Scene:
    """A listener with one connection refuses the next."""
    [section] = parse(f"listener.tcp.a.bind = 127.0.0.1:0\nlistener.tcp.a.{line}").listener.tcp

    def scene(world: World) -> None:
        assert not Admission("tcp.a", section, lambda: 1, world.broker.metrics).admits(IPv4Address("TCP", "127.0.0.1", 5000))

    return scene


def proxied(line: str, *sent: bytes) -> Scene:
    """What comes to a listener for proxies, and no more until all time is over."""
    [section] = parse(f"listener.tcp.a.bind = 127.0.0.1:0\nlistener.tcp.a.proxy_protocol = v1\n{line}").listener.tcp

    def scene(world: World) -> None:
        clock = Clock()
        factory = MQTTFactory(Turns(world.broker, clock, clock.seconds), clock, Door("tcp.a"), True, 65536)
        entrance = Entrance(factory, Admission("tcp.a", section, lambda: 0, world.broker.metrics), clock, lambda: None)
        reader = entrance.buildProtocol(IPv4Address("TCP", "127.0.0.1", 5000))
        if reader is not None:
            reader.makeConnection(StringTransport())
            for data in sent:
                reader.dataReceived(data)
            clock.advance(section.proxy_protocol_timeout)

    return scene


def shaking(seconds: float) -> Scene:
    """A listener with TLS, and after some time the client goes without having said anything."""
    def scene(world: World) -> None:
        clock = Clock()
        [section] = parse("listener.tcp.a.bind = 127.0.0.1:0").listener.tcp
        factory = MQTTFactory(Turns(world.broker, clock, clock.seconds), clock, Door("tcp.a"), True, 65536)
        with TemporaryDirectory() as folder:
            pair = Authority(Path(folder)).server()
            outer = TlsFactory(factory, Credentials(Loaded(section_of(pair), ())), 30.0, clock)
        outer.refuse = Admission("tcp.a", section, lambda: 0, world.broker.metrics).refuse
        layer = outer.buildProtocol(None)
        layer.makeConnection(StringTransport())
        clock.advance(seconds)
        layer.connectionLost()

    return scene


def upgrading(asking: bytes, seconds: float = 0.0) -> Scene:
    """A listener for WebSocket is asked for one, and waits some time."""
    def scene(world: World) -> None:
        clock = Clock()
        [section] = parse("[listener.ws.a]\nbind = 127.0.0.1:0\norigins = https://example.org").listener.ws
        factory = MQTTFactory(Turns(world.broker, clock, clock.seconds), clock, Door("ws.a"), True, 65536)
        outer = WebSocketFactory(factory, section, 30.0, clock)
        outer.refuse = Admission("ws.a", section, lambda: 0, world.broker.metrics).refuse
        layer = cast(WebSocket, outer.buildProtocol(IPv4Address("TCP", "127.0.0.1", 5000)))
        layer.makeConnection(StringTransport())
        layer.dataReceived(asking)
        clock.advance(seconds)
        outer.tick()

    return scene


def guarded(before: Scene) -> Scene:
    """The guard refuses a connection from 127.0.0.1."""
    [section] = parse("listener.tcp.a.bind = 127.0.0.1:0").listener.tcp

    def scene(world: World) -> None:
        before(world)
        admission = Admission("tcp.a", section, lambda: 0, world.broker.metrics)
        admission.standing.append(Guard(world.broker).check)
        assert not admission.admits(IPv4Address("TCP", "127.0.0.1", 5000))
    return scene


def ban_here(world: World) -> None:
    world.broker.bans.add(Ban(ADDRESS, "127.0.0.1", "", "a test", world.turn.now, NEVER))


def fail_here(world: World) -> None:
    world.broker.logins.failed("127.0.0.1", world.turn.now, LoginSettings(1, 60.0, 5.0, 600.0))


def crowded(line: str) -> Scene:
    """A second connection from one address is one too many."""
    def scene(world: World) -> None:
        clock = MemoryReactorClock()
        [section] = parse(f"listener.tcp.a.bind = 127.0.0.1:0\nlistener.tcp.a.{line}").listener.tcp
        turns = Turns(world.broker, clock, clock.seconds)
        listener = Listener(section, MQTTFactory(turns, clock, Door("tcp.a"), True, 65536), clock)
        listener.admission.checks.append(Crowd(listener).check)
        assert listener.entrance.buildProtocol(IPv4Address("TCP", "127.0.0.1", 5000)) is not None
        Caller(listener.factory, clock)
        assert listener.entrance.buildProtocol(IPv4Address("TCP", "127.0.0.1", 5000)) is None

    return scene


def denied(act: Callable[[Peer], object], action: str = "acknowledge",
           before: Callable[[Peer], object] = lambda peer: None) -> Scene:
    """alice does what she may not do, or what she might do before."""
    def scene(world: World) -> None:
        world.configure(f"mqtt.acl_deny_action = {action}")
        alice = world.peer()
        before(alice)
        use_rules(world.broker, Acl([], False))
        act(alice)
    return scene


def entered(peer: Peer) -> None:
    peer.connect("alice", session_expiry_interval=9, will=Will(b"a", b"gone"))
    peer.subscribe("a")


def left(peer: Peer) -> None:
    peer.connect("alice", session_expiry_interval=9)
    peer.subscribe("a")
    peer.drop()


def authorizing(answer: str) -> Scene:
    """An authorizer says so, or fails."""
    def scene(world: World) -> None:
        control = Authorization(parse("").acl, world.broker.alarms, world.broker.metrics, Clock(), lambda: 0.0)
        control.register("sibyl", Sibyl(ValueError() if answer == "error" else Verdict(answer)))
        part = Asking(control)
        part.startService()
        use_rules(world.broker, control.over(None, True))
        world.connect("alice").publish("a")
        part.stopService()
    return scene


MOVES: dict[str, Scene] = {
    "denied_publish_acknowledged": denied(lambda peer: peer.publish("a"), before=lambda peer: peer.connect()),
    "denied_publish_dropped": denied(lambda peer: peer.publish("a"), "drop", lambda peer: peer.connect()),
    "denied_publish_disconnected": denied(lambda peer: peer.publish("a"), "disconnect", lambda peer: peer.connect()),
    "denied_subscription": denied(lambda peer: peer.subscribe("a"), before=lambda peer: peer.connect()),
    "denied_will": denied(lambda peer: peer.connect(will=Will(b"a", b"gone"))),
    "denied_will_dropped": denied(lambda peer: peer.drop(), before=entered),
    "denied_subscription_ended": denied(lambda peer: peer.world.settle(), before=entered),
    "denied_session": denied(lambda peer: peer.world.peer().connect("alice", clean_start=False), before=left),
    "auth_received": exchange(more(), yes()),
    "auth_sent": exchange(more(), yes()),
    "disconnect_sent": told_to_go,
    "hook_failures": failing_hook,
    "held_back": too_fast,
    "overloads": lambda world: overload.begin(world.broker, "a test"),
    "job_failures": failing_job,
    "connects": lambda world: world.connect("bob"),
    "authentication_accepted": exchange(yes()),
    "authentication_anonymous": lambda world: world.connect("bob"),
    "authentication_refused": exchange(no()),
    **{f"authorization_{answer}": authorizing(answer) for answer in ("allow", "deny", "ignore", "error")},
    "forwarded_received": told_by_a_node((f.GREET, "outbox"), (f.FORWARD, 0, 1, 1, 2, b"a", b"x", b"", None, "", b"")),
    "forwarded_sent": told_by_a_node((f.MARK, "00000001", 0, 0),
                                     (f.SNAPSHOT, ROUTES, 1, digest_of(b"a", 1), 0, True, ((b"a", 1),))),
    "refused_address_denied": refused("access = deny all"),
    "refused_too_many_connections": refused("max_connections = 1"),
    "refused_proxy_denied": proxied("listener.tcp.a.proxy_protocol_from = deny all"),
    "refused_no_proxy_header": proxied("", b"PROXY "),
    "refused_bad_proxy_header": proxied("", b"CONNECT"),
    "refused_too_many_from_address": crowded("max_connections_per_address = 1"),
    "refused_connection_rate": crowded("connection_rate_per_address = 1"),
    "refused_handshake_failed": shaking(29.0),
    "refused_handshake_timeout": shaking(30.0),
    "refused_websocket_handshake": upgrading(request(Upgrade="")),
    "refused_websocket_headers": upgrading(request(Cookie="x" * 20_000)),
    "refused_websocket_timeout": upgrading(b"GET", 30.0),
    "refused_websocket_path": upgrading(request("/other")),
    "refused_websocket_origin": upgrading(request(origin="https://evil.test")),
    "refused_websocket_protocol": upgrading(request(protocols="chat")),
    "refused_banned": guarded(ban_here),
    "refused_login_backoff": guarded(fail_here),
}


@pytest.mark.parametrize("name", MOVES)
def test_a_counter_without_a_name_of_emqttd_moves_by_what_it_counts(name: str, logged_failures: list[Failure]) -> None:
    world = World()
    before = world.broker.metrics.counters()[name]
    MOVES[name](world)
    assert world.broker.metrics.counters()[name] == before + 1
    assert [failure.type for failure in logged_failures] == [ZeroDivisionError] * (name == "job_failures")
    logged_failures.clear()


def test_there_is_no_counter_without_a_scene() -> None:
    names = set(World().broker.metrics.counters())
    moved = {ALIASES[alias] for alias in test_metrics.MOVES} | set(MOVES)
    moved |= {"dropped_" + scene.__name__ for scene in test_causes.DROPS}
    assert names - moved == set()
    assert set(MOVES) <= names


def test_the_ends_are_counted_under_their_causes_and_nothing_else_comes_up_later() -> None:
    for scene in test_causes.ENDS:
        found = set(scene().broker.metrics.counters()) - set(World().broker.metrics.counters())
        assert found == {"ended_" + scene.__name__}


def test_there_is_no_gauge_without_a_scene() -> None:
    names = {name.partition("/")[0] for name in World().broker.count().gauges()}
    assert names == set(test_stats.NAMES)
