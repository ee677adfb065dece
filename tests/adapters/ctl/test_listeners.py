"""listeners start, stop, restart, reload-certs: at a broker that goes on."""
import json
from pathlib import Path

import pytest
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from emqtwist.mqtt.packets import Pingreq, Pingresp
from tests.authorities import Authority
from tests.desks import Desk

A, B = "listener.tcp.a.bind = 127.0.0.1:2883", "listener.tcp.b.bind = 127.0.0.1:2884"
LOCAL = "listener.unix.a.bind = a.sock"
PLACES = {"tcp.a": "127.0.0.1:2883", "tcp.b": "127.0.0.1:2884", "unix.a": "a.sock"}


def states(desk: Desk) -> dict[str, str]:
    return {each["name"]: each["state"] for each in json.loads(desk.ask("listeners", form="json"))}


@pytest.mark.parametrize(("words", "label"), [
    (["tcp.a"], "tcp.a"), (["a"], "tcp.a"), (["unix.a"], "unix.a"),
    (["tcp", "127.0.0.1:2884"], "tcp.b"), (["mqtt:tcp", "2884"], "tcp.b"), (["unix", "a.sock"], "unix.a")])
def test_one_listener_is_stopped_and_started_and_no_other(words: list[str], label: str) -> None:
    desk = Desk(A, B, LOCAL, whole=True)
    kind = label.partition(".")[0]
    where = f"mqtt:{kind} listener on {PLACES[label]} successfully."
    assert set(states(desk).values()) == {"running"}
    assert desk.lines("listeners", "stop", *words) == [f"Stop {where}"]
    assert [name for name, state in states(desk).items() if state == "stopped"] == [label]
    assert not desk.service.listeners[label].is_bound
    assert {each["name"]: each["acceptors"] for each in json.loads(desk.ask("listeners", form="json"))} == {
        name: int(name != label) for name in PLACES}
    assert desk.lines("listeners").count("  acceptors       : 0") == 1
    assert desk.root.find(f"listeners/{label}").state == "stopped"
    if words != ["mqtt:tcp", "2884"]:  # a listener that is stopped has no port, but its address
        assert desk.lines("listeners", "start", *words) == [f"Start {where}"]
        assert set(states(desk).values()) == {"running"}


def test_who_is_connected_to_a_listener_stays_when_it_is_stopped_or_restarted() -> None:
    desk = Desk("listener.tcp.default.bind = 127.0.0.1:2883", B, whole=True)
    client = desk.client("c")
    for verb in ("restart", "stop", "start"):
        desk.ask("listeners", verb, "default")
        client.send(Pingreq())
        client.one(Pingresp)
    assert desk.service.port() == 2883


def test_what_cannot_be_done_is_told() -> None:
    desk = Desk(A, whole=True)
    for words in (["b"], ["ssl.a"], ["a.b"], ["tcp", "1"], ["ssl", "2883"]):
        assert str(desk.error("listeners", "stop", *words)) == "Not Found."
    assert str(desk.error("listeners", "start", "a")) == "tcp.a runs already"


class Crowded(MemoryReactorClock):
    taken = False

    def listenTCP(self, port: int, *arguments: object, **named: object) -> IListeningPort:
        if self.taken:
            raise CannotListenError("127.0.0.1", port, OSError(98, "Address already in use"))
        listening: IListeningPort = super().listenTCP(port, *arguments, **named)
        return listening


def test_a_port_that_another_has_taken_meanwhile_is_told_and_tried_for(logged_failures: list[Failure]) -> None:
    reactor = Crowded()
    desk = Desk(A, whole=True, reactor=reactor)
    desk.ask("listeners", "stop", "a")
    reactor.taken = True
    told = "Failed to start mqtt:tcp listener on 127.0.0.1:2883: Address already in use"
    assert str(desk.error("listeners", "start", "a")) == told
    reactor.taken = False
    reactor.advance(5)
    assert states(desk) == {"tcp.a": "running"}
    logged_failures[:] = [failure for failure in logged_failures if not failure.check(CannotListenError)]


def test_certificates_of_links_are_loaded_again_and_told_of_before_they_expire(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pairs = [authority.issue(name, number=number, days=days) for number, (name, days) in enumerate({"a": 90, "b": 2}.items())]
    files = [{"certificate": pair.certfile, "private_key": pair.keyfile, "ca": authority.file} for pair in pairs]
    desk = Desk(A, "cluster.bind = 127.0.0.1:0", *(f"cluster.{key} = {path}" for key, path in files[0].items()),
                "bridge.north.node = b@127.0.0.1", "bridge.north.topic = t",
                *(f"bridge.north.{key} = {path}" for key, path in files[1].items()))
    kept = desk.service.link_credentials
    before = {label: credentials.loaded for label, credentials in kept.items()}
    assert desk.lines("listeners", "reload-certs", "bridge.north") == ["bridge.north has loaded its certificates"]
    assert [kept[label].loaded is before[label] for label in ("cluster", "bridge.north")] == [True, False]
    assert desk.lines("listeners", "reload-certs") == [f"{label} has loaded its certificates" for label in kept]
    desk.service.certificates.tell()
    assert "tls_expiring/bridge.north" in desk.service.broker.alarms.active
    assert desk.service.broker.stats.gauges()["certificates/cluster/days"] == 89
    desk.service.reconfigure(desk.service.config)
    assert kept["cluster"].loaded is not before["cluster"]
    Path(pairs[0].keyfile).write_text("")
    problem = f"{pairs[0].keyfile} holds no private key in PEM form, or a broken one"
    assert str(desk.error("listeners", "reload-certs", "cluster")) == f"cluster keeps the certificates that it has: {problem}"


def test_certificates_are_loaded_again_of_all_listeners_or_of_one(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pairs = {name: authority.server(name) for name in "ab"}
    desk = Desk(A, *(f"listener.ssl.{name}.{line}" for name, pair in pairs.items()
                     for line in ("bind = 127.0.0.1:0", *pair.lines.splitlines())))
    before = {label: credentials.loaded for label, credentials in desk.service.credentials.items()}
    assert desk.lines("listeners", "reload-certs", "ssl.a") == ["ssl.a has loaded its certificates"]
    assert [desk.service.credentials[label].loaded is before[label] for label in ("ssl.a", "ssl.b")] == [False, True]
    Path(pairs["b"].keyfile).write_text("")
    problem = f"ssl.b keeps the certificates that it has: {pairs['b'].keyfile} holds no private key in PEM form, or a broken one"
    assert str(desk.error("listeners", "reload-certs")) == f"ssl.a has loaded its certificates\n{problem}"
    assert str(desk.error("listeners", "reload-certs", "ssl.b")) == problem
    assert list(desk.service.broker.alarms.active) == ["tls_files/ssl.b"]
    assert str(desk.error("listeners", "reload-certs", "a")) == "tcp.a has no certificates"
    assert str(desk.error("listeners", "reload-certs", "ssl.c")) == "Not Found."
    assert desk.service.credentials["ssl.b"].loaded is before["ssl.b"]
