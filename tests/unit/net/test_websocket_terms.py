"""Whom a WebSocket listener takes."""
import pytest

from emqtwist.net.websocket.terms import Refused, choose


def chosen(path: str = "/mqtt", origin: str = "", origins: tuple[str, ...] = ("*",), offered: tuple[str, ...] = ("mqtt",),
           required: bool = True) -> str | None:
    return choose(path, "/mqtt", origin, origins, offered, required)


def status(path: str = "/mqtt", origin: str = "", origins: tuple[str, ...] = ("*",), offered: tuple[str, ...] = ("mqtt",),
           required: bool = True) -> int:
    with pytest.raises(Refused) as caught:
        chosen(path, origin, origins, offered, required)
    return caught.value.status


@pytest.mark.parametrize(("offered", "expected"), [
    (("mqtt",), "mqtt"), (("mqttv3.1",), "mqttv3.1"), (("mqttv3.1", "mqtt"), "mqtt"), (("chat", "mqtt", "x"), "mqtt")])
@pytest.mark.parametrize("required", [True, False])
@pytest.mark.mqtt5("6.0.0-4")
def test_mqtt_is_chosen_where_it_is_offered(offered: tuple[str, ...], expected: str, required: bool) -> None:
    assert chosen(offered=offered, required=required) == expected


@pytest.mark.parametrize("offered", [(), ("chat",), ("MQTT",), ("mqtt5",)])
def test_who_does_not_offer_it_is_refused(offered: tuple[str, ...]) -> None:
    assert status(offered=offered) == 406


def test_where_it_need_not_be_offered_nothing_is_as_good_and_others_are_not() -> None:
    assert chosen(offered=(), required=False) is None
    assert status(offered=("chat",), required=False) == 406


@pytest.mark.parametrize("path", ["/", "/MQTT", "/mqtt/", "/mqtt2", ""])
def test_another_path_is_not_found(path: str) -> None:
    assert status(path) == 404


@pytest.mark.parametrize(("origin", "origins"), [
    ("", ("https://example.org",)), ("https://evil.test", ("*",)), ("null", ("*",)), ("null", ("null",)),
    ("https://example.org", ("https://other.org", "https://example.org")), ("HTTPS://Example.org", ("https://example.ORG",)),
    ("https://a.example.org", ("https://*.example.org",)), ("https://a.b.example.org", ("https://*.example.org",)),
    ("http://[::1]:8080", ("http://[::1]:8080",)), ("http://localhost:8080", ("http://localhost:*",))])
def test_origins_that_may(origin: str, origins: tuple[str, ...]) -> None:
    assert chosen(origin=origin, origins=origins) == "mqtt"


@pytest.mark.parametrize(("origin", "origins"), [
    ("https://evil.test", ("https://example.org",)), ("null", ("https://example.org",)), ("http://example.org", ("https://example.org",)),
    ("https://example.org", ("https://*.example.org",)), ("https://example.org.evil.test", ("https://example.org",)),
    ("https://example.org:8443", ("https://example.org",)), ("https://exampleXorg", ("https://example.org",)),
    ("https://evil.test/.example.org", ("https://*.example.org",))])
def test_origins_that_may_not(origin: str, origins: tuple[str, ...]) -> None:
    assert status(origin=origin, origins=origins) == 403
