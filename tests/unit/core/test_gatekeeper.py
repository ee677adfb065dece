"""CONNECT where a gatekeeper says who the client is."""
import pytest

from emqtwist.core.access import Client, Deny, Finding, Ignore, Ok
from emqtwist.core.acl import PUBSUB, Acl, Rule
from emqtwist.core.door import Certificate, Terms
from emqtwist.core.pending import Pending
from emqtwist.core.who import Who
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Connack, Connect, Puback, Publish, Will
from tests.methods import NAME, Method, yes
from tests.peers import Peer, World, every_version


class Gatekeeper:
    """Guards `tcp.default`; what it finds a test says, when it likes."""

    def __init__(self, finding: Finding | None = None) -> None:
        self.finding = finding
        self.asked: list[tuple[str, str | None, bytes | None]] = []
        self.pending: list[Pending[Finding]] = []
        self.listener = "tcp.default"

    def guards(self, listener: str) -> bool:
        return listener == self.listener

    def judge(self, client: Client, password: bytes | None) -> Pending[Finding]:
        self.asked.append((client.client_id, client.user_name, password))
        self.pending.append(Pending(self.finding))
        return self.pending[-1]


def guarded(finding: Finding | None = None, *lines: str) -> tuple[World, Gatekeeper]:
    world = World(*lines)
    world.broker.gatekeeper = gatekeeper = Gatekeeper(finding)
    return world, gatekeeper


def knock(world: World, version: int = c.MQTT_5_0, will: Will | None = None) -> Peer:
    peer = world.peer()
    peer.send(Connect(version, "alice", True, 0, "a", b"pencil", will))
    return peer


@every_version
def test_the_client_waits_for_what_the_gatekeeper_finds(version: int) -> None:
    world, gatekeeper = guarded()
    peer = knock(world, version)
    assert gatekeeper.asked == [("alice", "a", b"pencil")]
    peer.publish("t", qos=1)
    assert peer.received() == []
    assert world.broker.sessions.by_id == {}
    gatekeeper.pending[0].resume(Ok())
    world.settle()
    assert [type(packet) for packet in peer.received()] == [Connack, Puback]
    assert world.session("alice").user_name == "a"


@pytest.mark.parametrize(("version", "code"), [(c.MQTT_3_1, 4), (c.MQTT_3_1_1, 4), (c.MQTT_5_0, c.BAD_USER_NAME_OR_PASSWORD)])
@pytest.mark.parametrize("finding", [Deny("why"), Ignore("why")])
def test_who_is_not_known_is_not_told_why(finding: Finding, version: int, code: int) -> None:
    world, _ = guarded(finding, "mqtt.allow_anonymous = on")
    peer = knock(world, version)
    connack = peer.one(Connack)
    assert connack.reason_code == code
    if connack.properties is not None:
        assert connack.properties.reason_string == "the user name or the password is wrong"
    assert peer.closed


@pytest.mark.parametrize(("method", "superuser"), [(None, True), (NAME, False)])
def test_a_client_is_a_superuser_by_its_certificate_unless_a_method_says_who_it_is(method: str | None, superuser: bool) -> None:
    world, _ = guarded(Deny())
    world.broker.methods[NAME] = Method(yes("alice"))
    world.door.terms = Terms(name_from="cn", superusers=("alice",))
    world.certificate = Certificate("alice", "CN=alice", ())
    peer = world.peer()
    if method is None:
        peer.connect("x")
    else:
        peer.connect("x", authentication_method=method, authentication_data=b"")
    assert peer.connection.superuser is superuser


def test_other_listeners_are_not_guarded() -> None:
    world, gatekeeper = guarded(Deny())
    gatekeeper.listener = "tcp.other"
    assert knock(world).one(Connack).reason_code == c.SUCCESS
    assert gatekeeper.asked == []


def test_an_authentication_method_has_the_last_word_instead() -> None:
    world, gatekeeper = guarded(Deny())
    assert world.peer().connect("alice", authentication_method="X").reason_code == c.BAD_AUTHENTICATION_METHOD
    assert gatekeeper.asked == []


def test_who_leaves_meanwhile_is_not_let_in() -> None:
    world, gatekeeper = guarded()
    peer = knock(world)
    peer.drop()
    assert gatekeeper.pending[0].cancelled
    gatekeeper.pending[0].resume(Ok())
    world.settle()
    assert world.broker.sessions.by_id == {}


def test_nobody_waits_longer_than_a_new_connection_may() -> None:
    world, gatekeeper = guarded(None, "mqtt.client.idle_timeout = 30s")
    peer = knock(world)
    world.advance(30)
    assert peer.one(Connack).reason_code == c.SERVER_UNAVAILABLE
    assert gatekeeper.pending[0].cancelled


@pytest.mark.parametrize(("superuser", "code"), [(False, c.NOT_AUTHORIZED), (True, c.SUCCESS)])
def test_no_access_rule_concerns_a_superuser(superuser: bool, code: int) -> None:
    world, _ = guarded(Ok(superuser))
    world.broker.acl = Acl([Rule(False, Who(), PUBSUB, [])], False)
    assert knock(world, will=Will(b"will", b"")).one(Connack).reason_code == code
    peer = knock(world)
    assert peer.one(Connack).reason_code == c.SUCCESS
    assert peer.connection.client().superuser is superuser
    peer.publish("t", qos=1)
    assert peer.answer(Puback)[1] in ((c.NO_MATCHING_SUBSCRIBERS,) if superuser else (c.NOT_AUTHORIZED,))
    assert peer.subscribe("#") == [0 if superuser else c.NOT_AUTHORIZED]
    assert not peer.all(Publish)


@pytest.mark.parametrize("superuser", [False, True])
def test_no_access_rule_concerns_the_will_of_a_superuser_that_is_gone(superuser: bool) -> None:
    world, gatekeeper = guarded(Ok(superuser))
    peer = knock(world, will=Will(b"will", b""))
    gatekeeper.finding = Ok(superuser=True)
    heir = world.connect("heir")
    heir.subscribe("will")
    world.broker.acl = Acl([Rule(False, Who(), PUBSUB, [])], False)
    peer.drop()
    assert len(heir.all(Publish)) == superuser


def test_a_client_whose_certificate_says_who_it_is_needs_no_gatekeeper() -> None:
    world, gatekeeper = guarded(Deny())
    peer = world.peer(loopback=False)
    peer.connection.peer.certificate = Certificate("alice", "CN=alice", ())
    peer.connection.door.terms.name_from = "cn"
    assert peer.connect("x").reason_code == c.SUCCESS
    assert gatekeeper.asked == []
    assert world.session("x").user_name == "alice"
