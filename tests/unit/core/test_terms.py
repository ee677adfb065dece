"""What a listener asks of its clients at CONNECT, and that a change holds for who comes then."""
import pytest

from emqtwist.app.doors import terms_of
from emqtwist.config import parse
from emqtwist.core.access import Client
from emqtwist.core.door import Certificate, Terms
from emqtwist.core.hooks import CLIENT_AUTHENTICATE
from emqtwist.mqtt import constants as c
from tests.methods import NAME, Method, yes
from tests.peers import World

VERSIONS = {3: c.REFUSED_PROTOCOL_VERSION, 4: c.REFUSED_PROTOCOL_VERSION, 5: c.UNSUPPORTED_PROTOCOL_VERSION}


def use(world: World, *lines: str) -> None:
    """Have the listener go by these keys."""
    text = "".join(f"listener.tcp.a.{line}\n" for line in ("bind = 127.0.0.1:0", *lines))
    world.door.terms = terms_of(parse(text).listener.tcp[0])


def test_listener_protocol_versions() -> None:
    world = World()
    for text, taken in (("3.1", [3]), ("5.0,3.1.1", [4, 5]), ("3.1, 3.1.1, 5.0", [3, 4, 5])):
        use(world, f"protocol_versions = {text}")
        for version, refusal in VERSIONS.items():
            connack = world.peer().connect("a", version=version)
            assert connack.reason_code == (c.SUCCESS if version in taken else refusal)


def test_what_is_looked_at_goes_by_the_settings_that_hold() -> None:
    world = World()
    world.connect("a")
    world.configure("mqtt.server_moved = use_another")
    assert world.peer().connect("b").reason_code == c.USE_ANOTHER_SERVER
    world.configure("")
    assert world.peer().connect("c").reason_code == c.SUCCESS


def test_a_version_that_is_not_taken_is_counted_and_told_why() -> None:
    world = World()
    use(world, "protocol_versions = 3.1.1")
    peer = world.peer()
    peer.connect("a")
    assert peer.told.reason_string == "tcp.default does not take this version of MQTT"
    assert world.ends["unsupported_protocol_version"] == 1


@pytest.mark.parametrize("asked", [0, 100, 65535])
def test_listener_max_keep_alive(asked: int) -> None:
    world = World()
    use(world, "max_keep_alive = 10s")
    told = world.connect("a", keep_alive=asked)
    assert told.told.server_keep_alive == 10
    world.advance(15.5)
    assert told.closed
    old = world.peer()
    assert old.connect("b", version=4, keep_alive=asked).reason_code == c.REFUSED_NOT_AUTHORIZED
    assert old.closed


def test_a_keep_alive_within_the_bound_is_the_clients_own() -> None:
    world = World()
    use(world, "max_keep_alive = 10s")
    assert world.connect("a", keep_alive=10).told.server_keep_alive is None
    assert world.peer().connect("b", version=4, keep_alive=10).reason_code == c.SUCCESS
    use(world, "max_keep_alive = unlimited")
    assert world.connect("c", keep_alive=65535).told.server_keep_alive is None
    assert world.connect("d").told.server_keep_alive is None


def test_the_brokers_own_keep_alive_is_bounded_too() -> None:
    for own, most, told in (("5s", "10s", 5), ("20s", "10s", 10)):
        world = World(f"mqtt.server_keep_alive = {own}")
        use(world, f"max_keep_alive = {most}")
        assert world.connect("a", keep_alive=100).told.server_keep_alive == told


def test_listener_use_username_as_clientid() -> None:
    world = World()
    use(world, "use_username_as_clientid = on")
    world.connect("a", user_name="alice")
    assigned = world.connect("", user_name="bob")
    assert assigned.told.assigned_client_identifier is None
    world.connect("carol", user_name="")
    world.connect("dave")
    assert set(world.broker.sessions.by_id) == {"alice", "bob", "carol", "dave"}
    use(world)
    world.connect("erin", user_name="frank")
    assert "erin" in world.broker.sessions.by_id


def test_two_clients_of_one_user_are_one() -> None:
    world = World()
    use(world, "use_username_as_clientid = on")
    first = world.connect("a", user_name="alice")
    world.connect("b", user_name="alice")
    assert first.closed


def test_the_proved_user_name_stands_for_the_client_identifier() -> None:
    world = World()
    world.broker.methods = {NAME: Method(yes("proved"))}
    use(world, "use_username_as_clientid = on")
    peer = world.connect("", user_name="claimed", authentication_method=NAME)
    assert list(world.broker.sessions.by_id) == ["proved"]
    assert peer.told.assigned_client_identifier is None


def test_listener_handshake_timeout() -> None:
    world = World("mqtt.client.idle_timeout = 5s")
    for line, seconds in (("handshake_timeout = 2s", 2), ("handshake_timeout = auto", 5), ("handshake_timeout = 10s", 10)):
        use(world, line)
        peer = world.peer()
        world.advance(seconds - 0.5)
        assert not peer.closed
        world.advance(1)
        assert peer.closed


# Names from certificates.

CERTIFICATE = Certificate("lamp", "CN=lamp,O=Acme", ("lamp.example", "10.0.0.1"))


def go_by(world: World, part: str, certificate: Certificate | None = CERTIFICATE) -> None:
    """The listener takes user names from certificates, and who comes next shows this one."""
    world.door.terms = Terms(name_from=part)
    world.certificate = certificate


@pytest.mark.parametrize(("part", "name"), [
    ("off", "said"), ("cn", "lamp"), ("dn", "CN=lamp,O=Acme"), ("san", "lamp.example")])
def test_the_user_name_is_that_of_the_certificate(part: str, name: str) -> None:
    world = World()
    go_by(world, part)
    peer = world.connect("a", user_name="said")
    assert peer.connection.user_name == name
    assert peer.connection.client().certificate is CERTIFICATE
    counted = world.broker.metrics.counters()
    assert (counted["authentication_accepted"], counted["authentication_anonymous"]) == ((0, 1) if part == "off" else (1, 0))


@pytest.mark.parametrize("part", ["cn", "dn", "san"])
def test_a_certificate_without_that_name_lets_nobody_in(part: str) -> None:
    world = World()
    go_by(world, part, Certificate("", "", ()))
    peer = world.peer()
    assert peer.connect("a", user_name="said").reason_code == c.NOT_AUTHORIZED
    assert peer.told.reason_string == f"the certificate has no {part.upper()} to take the user name from"


def test_who_is_known_by_a_certificate_is_not_anonymous() -> None:
    world = World("mqtt.allow_anonymous = off")
    go_by(world, "cn")
    assert world.connect("a").connection.user_name == "lamp"
    go_by(world, "cn", None)
    assert world.peer().connect("b").reason_code == c.NOT_AUTHORIZED
    go_by(world, "off")
    assert world.peer().connect("c").reason_code == c.NOT_AUTHORIZED


def test_functions_that_are_asked_have_the_last_word_about_certificates() -> None:
    world = World()
    go_by(world, "cn")
    asked: list[tuple[str | None, Certificate | None]] = []

    def no(client: Client, password: bytes | None, accepted: bool) -> bool:
        assert accepted
        asked.append((client.user_name, client.certificate))
        return False

    world.broker.hooks.add(CLIENT_AUTHENTICATE, no)
    assert world.peer().connect("a").reason_code == c.BAD_USER_NAME_OR_PASSWORD
    assert asked == [("lamp", CERTIFICATE)]
