"""What must hold between rows, in a file and in a Config that a program has made."""
from dataclasses import replace

import pytest

from emqtwist.config import (
    Address,
    Config,
    ConfigError,
    ListenerSection,
    LogSection,
    MqttSection,
    MqueueSection,
    TcpListener,
    parse,
    validate,
)

PUBLIC = "[listener.tcp.a]\nbind = 0.0.0.0:1883\n"


def messages(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, "broker.ini")
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(("text", "line"), [
    ("[mqtt.mqueue]\nlow_watermark = 60%", 2),
    ("[mqtt.mqueue]\nhigh_watermark = 20%", 2),
    ("[mqtt.mqueue]\nhigh_watermark = 50%\nlow_watermark = 51%", 3),
])
def test_the_low_watermark_is_below_the_high_one(text: str, line: int) -> None:
    [message] = messages(text)
    assert message.startswith(f"broker.ini:{line}: [mqtt.mqueue] ")
    assert message.endswith("mqtt.mqueue.low_watermark must be below mqtt.mqueue.high_watermark")


def test_priorities_need_a_queue_that_heeds_them() -> None:
    [message] = messages("[mqtt.mqueue]\npriority = a=1")
    assert message.startswith("broker.ini:2: [mqtt.mqueue] priority = a=1: priorities have no effect unless")
    assert parse("[mqtt.mqueue]\npriority = a=1\ntype = priority").mqtt.mqueue.priority == (("a", 1),)


@pytest.mark.parametrize("bind", ["1883", "0.0.0.0:1883", "[::]:1883", "192.168.0.1:0"])
def test_a_public_listener_needs_a_word_on_who_gets_in(bind: str) -> None:
    [message] = messages(f"[listener.tcp.a]\nbind = {bind}")
    assert message.startswith(f"broker.ini:2: [listener.tcp.a] bind = {bind}: other machines can connect here")
    assert "allow_anonymous = on in [mqtt]" in message


@pytest.mark.parametrize("word", ["on", "off", "true", "false"])
def test_a_public_listener_is_allowed_with_that_word(word: str) -> None:
    config = parse(f"{PUBLIC}[mqtt]\nallow_anonymous = {word}")
    assert config.listener.tcp[0].bind == Address("0.0.0.0", 1883)


def test_a_public_listener_is_allowed_where_somebody_is_asked() -> None:
    asked = "[auth]\norder = file\n[auth.file]\npath = users\n"
    assert parse(f"{PUBLIC}{asked}").auth.order == ("file",)
    assert parse(f"{PUBLIC}authenticators = file\n[auth.file]\npath = users").auth.order == ()
    assert "other machines" in messages(f"{PUBLIC}authenticators = nobody\n{asked}")[0]


def test_who_is_asked_has_what_it_needs() -> None:
    assert messages("[auth]\norder = file") == ["broker.ini:2: [auth] order = file: file needs auth.file.path"]
    [message] = messages("[listener.tcp.a]\nbind = 127.0.0.1:1883\nauthenticators = python, clientid\n[auth.clientid]\npath = x")
    assert message.endswith("authenticators = python, clientid: python needs auth.python.object")


def test_a_public_listener_is_allowed_with_users() -> None:
    assert parse(f"{PUBLIC}[auth.scram]\nfile = users").mqtt.allow_anonymous == "loopback"


def test_two_listeners_cannot_have_one_address() -> None:
    [message] = messages("[listener.tcp.a]\nbind=127.0.0.1:1883\n[listener.tcp.b]\nbind=127.0.0.1:1883")
    assert message == ("broker.ini:4: [listener.tcp.b] bind = 127.0.0.1:1883: "
                       "listener.tcp.a has this address already (127.0.0.1:1883)")


def test_two_listeners_cannot_have_one_file() -> None:
    [message] = messages("[listener.unix.a]\nbind=s\n[listener.unix.b]\nbind=s")
    assert message == "broker.ini:4: [listener.unix.b] bind = s: listener.unix.a has this address already (s)"


def test_listeners_of_two_types_may_be_called_alike() -> None:
    listeners = parse("listener.tcp.a.bind = 127.0.0.1:1\nlistener.unix.a.bind = s").listener
    assert [each.label for each in listeners.all()] == ["tcp.a", "unix.a"]


def test_any_number_of_listeners_may_let_the_system_choose() -> None:
    assert len(parse("[listener.tcp.a]\nbind=127.0.0.1:0\n[listener.tcp.b]\nbind=127.0.0.1:0").listener.tcp) == 2


def test_a_value_that_is_bad_alone_raises_no_conflict_besides() -> None:
    assert len(messages(f"{PUBLIC}[mqtt]\nallow_anonymous = maybe")) == 1
    assert len(messages("[mqtt.mqueue]\nlow_watermark = 90%\nhigh_watermark = 95")) == 1


def test_a_program_is_held_to_the_same_rules() -> None:
    validate(Config())
    with pytest.raises(ConfigError, match="other machines can connect here"):
        validate(Config(listener=ListenerSection(tcp=(TcpListener(name="a", bind=Address("0.0.0.0", 0)),))))


def test_a_program_is_held_to_the_bounds_of_each_row() -> None:
    wrong = Config(mqtt=MqttSection(max_packet_size=1, mqueue=MqueueSection(max_length=-1)),
                   log=LogSection(levels=(("nowhere", "debug"),)))
    with pytest.raises(ConfigError) as caught:
        validate(wrong)
    assert [str(problem).partition(";")[0] for problem in caught.value.problems] == [
        "[log.level] nowhere: unknown key",
        "[mqtt] max_packet_size = 1: not allowed",
        "[mqtt.mqueue] max_length = -1: not allowed",
    ]


def test_a_program_may_use_what_words_stand_for() -> None:
    endless = replace(Config().mqtt.session, expiry_interval=float("inf"))
    validate(Config(mqtt=replace(Config().mqtt, session=endless)))


def test_a_program_may_go_without_listeners_but_not_call_two_alike() -> None:
    validate(Config(listener=ListenerSection(tcp=())))
    twins = tuple(TcpListener(name="a", bind=Address("127.0.0.1", port)) for port in (1, 2))
    with pytest.raises(ConfigError, match=r"two listeners are called tcp\.a"):
        validate(Config(listener=ListenerSection(tcp=twins)))


@pytest.mark.parametrize(("lines", "told"), [
    ("bind = 127.0.0.1:1882", "commands over TCP need ctl.secret"),
    ("bind = 1882\nsecret = sixteen characters",
     "other machines can connect here: ctl.certificate and ctl.private_key must be set"),
    ("certificate = a.pem", "ctl.private_key must be set, too"),
    ("private_key = a.pem", "ctl.certificate must be set, too"),
])
def test_commands_over_tcp_need_a_secret_and_beyond_loopback_tls(lines: str, told: str) -> None:
    [message] = messages(f"[ctl]\n{lines}")
    assert message.endswith(told)


def test_a_secret_for_commands_is_long() -> None:
    [message] = messages("[ctl]\nsecret = too short")
    assert "at least 16 characters" in message
    assert "too short" not in message


def test_commands_over_tcp_are_taken_with_both() -> None:
    config = parse("[ctl]\nbind = 1882\nsecret = sixteen characters\ncertificate = a.pem\nprivate_key = b.pem")
    assert config.ctl.bind == Address("0.0.0.0", 1882)
    validate(config)


TLS = "[listener.ssl.a]\nbind = 127.0.0.1:0\ncertfile = a.pem\nkeyfile = a.key\n"


@pytest.mark.parametrize(("lines", "blamed", "words"), [
    ("certfile = a.pem, b.pem\nkeyfile = a.key", "keyfile = a.key", "each file of certfile needs one of keyfile"),
    ("verify = require", "verify = require", "to check the certificates of clients, cacertfile must be set"),
    ("verify = optional", "verify = optional", "to check the certificates of clients, cacertfile must be set"),
    ("cacertfile = ca.pem", "cacertfile = ca.pem", "has no effect unless verify = optional or verify = require"),
    ("crlfile = crl.pem", "crlfile = crl.pem", "has no effect unless verify = optional or verify = require"),
    ("peer_cert_as_username = cn", "peer_cert_as_username = cn", "has no effect without verify = optional or verify = require"),
    ("peer_cert_as_username = dn\nproxy_protocol = any", "peer_cert_as_username = dn", "a proxy tells the Common Name alone"),
    ("superusers = root", "superusers = root", "has no effect unless peer_cert_as_username says where names are")])
def test_certificates_of_a_listener_go_together(lines: str, blamed: str, words: str) -> None:
    text = TLS.replace("certfile = a.pem\nkeyfile = a.key\n", "") if "certfile = a.pem," in lines else TLS
    [message] = messages(text + lines)
    assert f"[listener.ssl.a] {blamed}: {words}" in message


@pytest.mark.parametrize(("verify", "part", "good"), [
    ("require", "cn", True), ("require", "off", False), ("optional", "cn", False)])
def test_a_public_listener_where_certificates_tell_who_clients_are_needs_no_other_word(
        verify: str, part: str, good: bool) -> None:
    text = f"{TLS}verify = {verify}\ncacertfile = ca.pem\npeer_cert_as_username = {part}\n".replace("127.0.0.1:0", "8883")
    if good:
        assert parse(text).listener.ssl[0].bind.host == "0.0.0.0"
    else:
        assert "other machines can connect here" in messages(text)[0]


@pytest.mark.parametrize(("lines", "word"), [
    ("", "has no effect without a proxy that tells the name"),
    ("proxy_protocol = v1", "has no effect without a proxy that tells the name"),
    ("proxy_protocol = v2\npeer_cert_as_username = san", "a proxy tells the Common Name alone"),
    ("proxy_protocol = v2", ""), ("proxy_protocol = any", "")])
@pytest.mark.parametrize("kind", ["tcp", "unix", "ws"])
def test_without_tls_a_user_name_out_of_a_certificate_needs_a_proxy(kind: str, lines: str, word: str) -> None:
    text = f"[listener.{kind}.a]\nbind = 127.0.0.1:0\npeer_cert_as_username = cn\n"
    if "peer_cert" in lines:
        text = text.replace("peer_cert_as_username = cn\n", "")
    if word:
        assert word in messages(text + lines)[0]
    else:
        assert parse(text + lines).listener.all()[-1].peer_cert_as_username == "cn"


@pytest.mark.parametrize(("bind", "word", "good"), [
    ("0.0.0.0:1883", "", False), ("0.0.0.0:1883", "allow all", False), ("0.0.0.0:1883", "allow 10.0.0.0/8, deny all", True),
    ("0.0.0.0:1883", "allow 0.0.0.0/0, deny all", True), ("127.0.0.1:0", "", True)])
def test_who_may_say_that_it_is_a_proxy_with_names_is_said_in_words(bind: str, word: str, good: bool) -> None:
    text = f"[mqtt]\nallow_anonymous = on\n[listener.tcp.a]\nbind = {bind}\nproxy_protocol = v2\npeer_cert_as_username = cn\n"
    text += f"proxy_protocol_from = {word}\n" if word else ""
    if good:
        parse(text)
    else:
        assert "whoever can connect could claim any name" in messages(text)[0]


@pytest.mark.parametrize("line", ["ciphers = nothing", "min_version = 1.1", "verify = maybe", "certfile = a.pem,,b.pem"])
def test_a_bad_value_of_a_listener_with_tls_is_told(line: str) -> None:
    [message] = messages(TLS.replace("certfile = a.pem\n", "") + line if line.startswith("cert") else TLS + line)
    assert f"[listener.ssl.a] {line}: " in message


COOKIE = "cookie = a cookie for tests\n"


@pytest.mark.parametrize(("lines", "told"), [
    ("bind = 127.0.0.1:4370", "a node proves what it is by cluster.cookie, or by a certificate"),
    ("certificate = a.pem", "cluster.private_key must be set, too"),
    ("private_key = a.pem\nca = b.pem", "cluster.certificate must be set, too"),
    ("certificate = a.pem\nprivate_key = b.pem", "cluster.ca must be set, too"),
    (f"bind = 4370\n{COOKIE}seeds = a:1", "has no effect unless discovery = static"),
    ("heartbeat = 3s\ntimeout = 5s", "must be twice cluster.heartbeat or more"),
])
def test_a_node_has_what_it_needs_to_be_one(lines: str, told: str) -> None:
    [message] = messages(f"[cluster]\n{lines}")
    assert message.endswith(told)


@pytest.mark.parametrize("lines", [
    COOKIE, "certificate = a.pem\nprivate_key = b.pem\nca = c.pem\n", f"{COOKIE}discovery = static\nseeds = a:1, [::1]:2\n"])
def test_a_cookie_is_enough_or_a_certificate(lines: str) -> None:
    parse(f"[cluster]\nbind = 0.0.0.0:4370\n{lines}")


@pytest.mark.parametrize("line", [
    "cookie = too short", "seeds = a", "seeds = a:1,a:1", "seeds = a:0", "seeds = a:70000", "seeds = a:1,,b:1", "address = [a:1",
    "address = ::1:5"])
def test_places_and_cookies_are_good_ones(line: str) -> None:
    [message] = messages(f"[cluster]\n{line}")
    assert "allowed: " in message
