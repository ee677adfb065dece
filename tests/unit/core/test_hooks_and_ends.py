"""Functions at hooks that end the connection they are asked about, or come and go while a client waits."""
from collections.abc import Callable

import pytest

from emqtwist.core.hooks import Stop
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import ServerBusy
from emqtwist.mqtt.packets import Connack, Connect, Disconnect, Packet, Publish, Subscribe, Unsubscribe
from tests.hookgates import Gate
from tests.jobs import Poisoned
from tests.methods import NAME, Method, auth, more, no, opening, yes
from tests.peers import Peer, World, properties
from tests.scenes import arrive, bob_subscribed
from tests.stores import StoredWorld


def kicker(world: World) -> Callable[..., None]:
    """A function at a hook that ends the only connection there is."""
    def kick(*arguments: object) -> None:
        world.broker.end_links(ServerBusy("kicked"))
    return kick


# A function ends the connection that it is asked about.

@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("name", ["client.connect", "client.authenticate"])
def test_who_is_ended_while_connecting_is_told_once_and_leaves_nothing(name: str, version: int) -> None:
    world = World()
    told: list[object] = []
    world.broker.hooks.add("client.connack", lambda client, reason_code: told.append(reason_code))
    world.broker.hooks.add(name, kicker(world))
    later: list[object] = []
    world.broker.hooks.add(name, lambda *arguments: later.append(arguments))
    peer = world.peer()
    peer.send(Connect(version, "alice"))
    assert [type(packet) for packet in peer.received()] == [Connack][:version - 4]
    assert (told, later, world.broker.sessions.by_id) == ([c.SERVER_BUSY], [], {})


@pytest.mark.parametrize("name", ["client.connack", "client.connected"])
def test_who_is_ended_as_it_comes_in_is_gone(name: str) -> None:
    world = World()
    after: list[str] = []
    world.broker.hooks.add(name, kicker(world))
    for other in ("session.created", "client.connected", "client.disconnected"):
        world.broker.hooks.add(other, lambda *arguments, other=other: after.append(other))
    peer = world.peer()
    peer.send(Connect(5, "alice"))
    assert [type(packet) for packet in peer.received()] == [Connack, Disconnect]
    came = [] if name == "client.connack" else ["session.created"]
    left = after.index("client.disconnected")
    assert (after[:left], set(after[left + 1:]) <= {"client.connected"}) == (came, True)
    assert world.broker.sessions.by_id == {}
    assert world.broker.count().gauges()["clients/count"] == 0


def test_a_session_whose_client_is_ended_as_it_comes_back_waits_for_it() -> None:
    world = World()
    bob_subscribed(world).drop()
    world.broker.hooks.add("client.connack", kicker(world))
    world.peer().send(Connect(4, "bob", False))
    assert world.session("bob").link is None
    assert world.session("bob").opener is None


def test_who_is_to_be_taken_over_may_be_ended_before() -> None:
    world = World()
    alice = arrive(world, client_id="alice")

    def end(client_id: str) -> None:
        alice.connection.fail(ServerBusy("kicked"))

    world.broker.hooks.add("session.takenover", end)
    again = arrive(world, client_id="alice")
    assert again.connack is not None
    assert again.connack.session_present
    assert world.ends == {"server_busy": 1}


@pytest.mark.parametrize("packet", [
    Publish(b"a", b"x", 0), Publish(b"a", b"x", 1, packet_id=1), Publish(b"a", b"x", 2, packet_id=1),
    Subscribe(1, [(b"b", 0), (b"c", 0)]),
])
def test_nothing_follows_when_the_client_is_ended_by_who_is_asked(packet: Packet) -> None:
    world = World()
    bob = arrive(world)
    bob.subscribe("a")
    before = world.broker.metrics.counters()
    world.broker.hooks.add("client.authorize", kicker(world))
    bob.send(packet)
    assert [type(each) for each in bob.received()] == [Disconnect]
    assert list(world.session("bob").subscriptions) == [b"a"]
    assert world.session("bob").queued() == 0
    after = world.broker.metrics.counters()
    qos = packet.qos if isinstance(packet, Publish) else None
    for each in range(3):
        assert after[f"qos{each}_received"] - before[f"qos{each}_received"] == (each == qos), each


@pytest.mark.parametrize("name", ["client.subscribe", "client.unsubscribe", "session.unsubscribed"])
def test_a_request_of_who_is_ended_meanwhile_has_no_answer(name: str) -> None:
    world = World()
    bob = arrive(world)
    bob.subscribe("a")
    world.broker.hooks.add(name, kicker(world))
    bob.send(Subscribe(2, [(b"b", 0)]) if name == "client.subscribe" else Unsubscribe(2, [b"a"]))
    assert [type(each) for each in bob.received()] == [Disconnect]


@pytest.mark.mqtt5("3.14.4-1")
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("by", ["message.publish", "callback"])
def test_nothing_follows_the_disconnect_of_a_publisher(by: str, qos: int) -> None:
    world = World()
    alice = arrive(world, client_id="alice")
    alice.subscribe("a", qos=2)
    if by == "callback":
        world.broker.subscribe("a", kicker(world), 2)
    else:
        world.broker.hooks.add(by, kicker(world))
    before = world.broker.metrics.counters()
    alice.publish("a", b"x", qos)
    kinds = [type(packet) for packet in alice.received()]
    assert kinds.index(Disconnect) == len(kinds) - 1
    after = world.broker.metrics.counters()
    assert after["qos0_sent"] == before["qos0_sent"]


def test_who_is_ended_while_somebody_else_is_waited_for_does_not_go_on() -> None:
    world = World()
    world.broker.hooks.add("client.authorize", kicker(world))
    gate = Gate(world, "client.authorize", 1)
    bob = arrive(world)
    bob.send(Publish(b"a", b"x", 1, packet_id=1))
    assert gate.asked == []
    assert bob.connection.pending is None


def test_what_waits_for_a_client_that_is_ended_by_a_drop_stays() -> None:
    world = World()
    bob = bob_subscribed(world)
    bob.drop()
    alice = world.connect("alice")
    alice.publish("a", b"old", 1, message_expiry_interval=1)
    for payload in (b"1", b"2"):
        alice.publish("a", payload, 0)
    alice.disconnect()
    world.turn.now += 2
    kick = kicker(world)
    world.broker.hooks.add("delivery.dropped", kick)
    arrive(world).received()
    assert (world.session("bob").queued(), world.session("bob").direct) == (2, None)
    world.broker.hooks.delete("delivery.dropped", kick)
    assert [each.payload for each in arrive(world).received() if isinstance(each, Publish)] == [b"1", b"2"]


def test_nothing_goes_straight_to_a_connection_that_ended_while_messages_were_repeated() -> None:
    world = World()
    bob_subscribed(world)
    alice = world.connect("alice")
    for payload in (bytes(100), bytes(101), b"x"):
        alice.publish("a", payload, 1)
    alice.disconnect()
    world.session("bob").opener.fail(ServerBusy("gone"))  # type: ignore[union-attr]
    world.broker.hooks.add("delivery.dropped", kicker(world))
    peer = world.peer()
    peer.send(Connect(5, "bob", False, properties=properties(maximum_packet_size=60, session_expiry_interval=1000)))
    assert (world.session("bob").link, world.session("bob").direct) == (None, None)


def test_what_the_end_of_a_connection_brings_up_does_not_leave_it_open(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    alice = world.connect("alice")
    del world.broker.links[alice.connection]
    with pytest.raises(KeyError):
        alice.disconnect()
    assert alice.connection.closing


# Functions come and go while a client waits.

@pytest.mark.parametrize(("anonymous", "code", "result"), [("off", c.NOT_AUTHORIZED, "refused"), ("on", 0, "anonymous")])
def test_nobody_gets_in_because_who_was_to_be_asked_is_gone(anonymous: str, code: int, result: str) -> None:
    world = World(f"mqtt.allow_anonymous = {anonymous}")
    function = Gate(world, "client.authenticate").function
    gate = Gate(world, "client.connect")
    peer = world.peer()
    peer.send(Connect(5, "alice"))
    world.broker.hooks.delete("client.authenticate", function)
    gate.answer()
    assert peer.one(Connack).reason_code == code
    assert {name: count for name, count in world.broker.metrics.authentications.items() if count} == {result: 1}


def test_who_was_asked_counts_although_it_is_gone() -> None:
    world = World()
    gate = Gate(world, "client.authenticate")
    peer = world.peer()
    peer.send(Connect(5, "alice"))
    world.broker.hooks.delete("client.authenticate", gate.function)
    gate.answer(True)
    assert peer.one(Connack).reason_code == 0
    assert world.broker.metrics.authentications == {"anonymous": 0, "accepted": 1, "refused": 0}


# Each CONNECT that the broker answers, or does not, is told of once.

def by_step(world: World, version: int) -> int:
    world.configure("mqtt.allow_anonymous = off")
    world.peer().send(Connect(version, "alice"))
    return c.NOT_AUTHORIZED


def by_function(world: World, version: int) -> int:
    world.broker.hooks.add("client.connect", lambda client: Stop())
    world.peer().send(Connect(version, "alice"))
    return c.NOT_AUTHORIZED


def by_password(world: World, version: int) -> int:
    world.broker.hooks.add("client.authenticate", lambda *arguments: False)
    world.peer().send(Connect(version, "alice", user_name="alice"))
    return c.BAD_USER_NAME_OR_PASSWORD


def by_time(world: World, version: int) -> int:
    Gate(world, "client.connect")
    peer = world.peer()
    peer.send(Connect(version, "alice"))
    world.advance(30)
    assert [packet.reason_code for packet in peer.all(Connack)] == [c.SERVER_UNAVAILABLE if version == 5 else 3]
    assert world.ends == {"server_unavailable": 1}
    return c.SERVER_UNAVAILABLE


def by_end(world: World, version: int) -> int:
    Gate(world, "client.connect")
    world.peer().send(Connect(version, "alice"))
    world.broker.shut_down()
    return c.SERVER_UNAVAILABLE


def by_flood(world: World, version: int) -> int:
    Gate(world, "client.connect")
    peer = world.peer()
    peer.send(Connect(version, "alice"))
    peer.write(bytes(world.broker.settings.max_packet_size + 1))
    return c.QUOTA_EXCEEDED


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("scene", [by_step, by_function, by_password, by_time, by_end, by_flood])
def test_a_refusal_is_told_once(scene: Callable[[World, int], int], version: int) -> None:
    world = World()
    told: list[object] = []
    world.broker.hooks.add("client.connack", lambda client, reason_code: told.append(reason_code))
    code = scene(world, version)
    assert told == [code]
    assert world.broker.links == {}


def test_who_is_taken_over_before_its_answer_is_told_once() -> None:
    world = StoredWorld()
    world.stored = False
    told: list[tuple[str, int]] = []
    world.broker.hooks.add("client.connack", lambda client, reason_code: told.append((client.client_id, reason_code)))
    first, second = world.peer(), world.peer()
    for peer in (first, second):
        peer.send(Connect(4, "alice", False))
    assert told == [("alice", c.SERVER_BUSY)]
    world.commit()
    world.settle()
    assert told == [("alice", c.SERVER_BUSY), ("alice", c.SUCCESS)]
    assert second.one(Connack).reason_code == c.SUCCESS


def refused_by_method(world: World, peer: Peer) -> int:
    world.broker.methods[NAME] = Method(more(), no())
    peer.send(opening())
    peer.send(auth())
    return c.NOT_AUTHORIZED


def late_method(world: World, peer: Peer) -> int:
    world.broker.methods[NAME] = Method()
    peer.send(opening())
    world.advance(30)
    return c.NOT_AUTHORIZED


def auth_too_large(world: World, peer: Peer) -> int:
    world.broker.methods[NAME] = Method(more(bytes(200)))
    peer.send(opening(maximum_packet_size=100))
    return c.PACKET_TOO_LARGE


def connack_too_large(world: World, peer: Peer) -> int:
    world.broker.methods[NAME] = Method(yes(data=bytes(200)))
    peer.send(opening(maximum_packet_size=100))
    return c.PACKET_TOO_LARGE


@pytest.mark.parametrize("scene", [refused_by_method, late_method, auth_too_large, connack_too_large])
def test_the_end_of_an_exchange_is_told_once(scene: Callable[[World, Peer], int]) -> None:
    world = World()
    told: list[object] = []
    world.broker.hooks.add("client.connack", lambda client, reason_code: told.append(reason_code))
    peer = world.peer()
    assert scene(world, peer) == told.pop()
    assert told == []
    assert peer.closed


def test_a_client_whose_connack_is_too_large_was_never_there() -> None:
    world = World()
    told: list[object] = []
    world.broker.hooks.add("client.disconnected", lambda client, cause: told.append(cause))
    peer = world.peer()
    connack_too_large(world, peer)
    assert (peer.closed, told) == (True, [])
    assert world.broker.count().gauges()["clients/count"] == 0


def test_a_session_that_cannot_be_opened_is_told_once() -> None:
    world = World()
    world.bear()
    told: list[object] = []
    world.broker.hooks.add("client.connack", lambda client, reason_code: told.append(reason_code))
    world.broker.sessions.by_id = Poisoned({}, ["alice"])
    world.peer().send(Connect(5, "alice"))
    assert told == [c.UNSPECIFIED_ERROR]
