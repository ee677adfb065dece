"""What commands answer of the broker as a whole."""
import time

from twisted.internet.address import IPv4Address

from emqtwist._version import __version__
from emqtwist.core.alarm import ERROR
from emqtwist.core.metrics import ALIASES
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import Connect, Packet, Publish, Subscribe
from emqtwist.services.part import Part
from emqtwist.services.supervisor import Child
from emqtwist.services.systopics import DESCRIPTION
from tests.answers import QUIET, Answer, Row, Scenes, called, paired
from tests.desks import Desk
from tests.wires import Caller

SCENES = Scenes()
asked = SCENES.asked


@asked("broker")
def minutes() -> Answer:
    desk = Desk()
    desk.reactor.advance(61)
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(5061))
    return paired(desk, {"sysdescr": DESCRIPTION, "version": __version__, "uptime": "1 minutes, 1 seconds", "datetime": at}, 10)


@asked("stats", "broker stats")
def some_stay() -> Answer:
    desk = Desk("module.delayed.enable = on", QUIET)
    desk.client("a").send(Subscribe(1, [(b"t/+", 1), (b"u", 0)]), Publish(b"kept", b"x", retain=True),
                          Publish(b"$delayed/9/t", b"x"))
    desk.client("b").send(Subscribe(1, [(b"t/+", 0)]), Publish(b"gone", b"x", retain=True), Publish(b"$delayed/2/t", b"x"))
    goes = desk.client("c")
    goes.send(Subscribe(1, [(b"v", 0)]))
    desk.service.tick()
    goes.send(Publish(b"gone", b"", retain=True))
    goes.hang_up()
    desk.reactor.advance(2)
    desk.service.tick()
    counts = {"clients": (2, 3), "delayed": (1, 2), "retained": (1, 2), "routes": (2, 3), "sessions": (2, 3),
              "subscribers": (3, 4), "subscriptions": (3, 4), "topics": (2, 3)}
    return paired(desk, {f"{name}/{kind}": value for name, pair in counts.items()
                         for kind, value in zip(("count", "max"), pair, strict=True)}, 20)


def exchange() -> tuple[Desk, dict[str, int]]:
    """One hears what another publishes; what there is to count of it, but zeros."""
    desk = Desk(QUIET)
    sent: dict[str, list[Packet]] = {
        "a": [Connect(c.MQTT_5_0, "a", True), Subscribe(1, [(b"t", 1)])],
        "b": [Connect(c.MQTT_5_0, "b", True), Publish(b"t", b"some", 1, packet_id=1), Publish(b"nobody", b"x", retain=True)]}
    callers = [Caller(desk.service.listeners["default"].factory, desk.reactor) for _ in sent]
    for caller, packets in zip(callers, sent.values(), strict=True):
        for packet in packets:
            caller.send(packet)
    size = sum(len(encode(packet, c.MQTT_5_0)) for packets in sent.values() for packet in packets)
    return desk, {
        "bytes_received": size, "bytes_sent": sum(len(caller.wire.value()) for caller in callers), "packets_received": 5,
        "publish_received": 2, "qos0_received": 1, "qos1_received": 1, "connect_received": 2, "subscribe_received": 1,
        "packets_sent": 5, "publish_sent": 1, "qos1_sent": 1, "connack_sent": 2, "puback_sent": 1, "suback_sent": 1,
        "connects": 2, "authentication_anonymous": 2, "dropped_no_subscribers": 1}


@asked("metrics")
def counted() -> Answer:
    desk, moved = exchange()
    return paired(desk, {name: moved.get(name, 0) for name in desk.service.broker.metrics.counters()}, 24)


@asked("broker metrics")
def counted_as_emqttd_does() -> Answer:
    desk, moved = exchange()
    names = set(desk.service.broker.metrics.counters()) - set(ALIASES.values())
    values = {alias: moved.get(name, 0) for alias, name in ALIASES.items()} | {name: moved.get(name, 0) for name in names}
    return paired(desk, {**dict(sorted(values.items())), "messages/retained": 1}, 24)


@asked("alarms list")
def it_burns() -> Answer:
    desk = Desk()
    desk.service.turns.begin()
    desk.service.broker.alarms.raise_("fire", ERROR, "it burns", "the whole of it")
    desk.reactor.advance(5)
    desk.service.turns.begin()
    desk.service.broker.alarms.raise_("water", ERROR, "it is wet", "a part of it")
    rows: list[Row] = [
        {"id": "fire", "severity": "error", "title": "it burns", "summary": "the whole of it", "raised_at": 5000},
        {"id": "water", "severity": "error", "title": "it is wet", "summary": "a part of it", "raised_at": 5005}]
    return desk, rows, called("Alarm", rows)


@asked("alarms history")
def it_has_burned() -> Answer:
    desk, rows, _ = it_burns()
    for at, row in zip((5007, 5010), rows, strict=True):
        desk.reactor.advance(at - 5000 - desk.reactor.seconds())
        desk.ask("alarms", "clear", str(row["id"]))
        row["cleared_at"] = at
    return desk, rows, called("Alarm", rows)


@asked("listeners", "listeners list")
def one_is_full_and_one_is_stopped() -> Answer:
    desk = Desk("listener.tcp.default.bind = 127.0.0.1:2883", "listener.tcp.default.max_connections = 1",
                "listener.tcp.other.bind = 127.0.0.1:2884", whole=True)
    for _ in range(2):
        desk.client("b").hang_up()
    desk.client("a")
    for _ in range(3):
        assert desk.service.listeners["default"].entrance.buildProtocol(IPv4Address("TCP", "127.0.0.1", 5000)) is None
    desk.ask("listeners", "stop", "other")
    rows: list[Row] = [
        {"name": "tcp.default", "protocol": "mqtt:tcp", "address": "127.0.0.1:2883", "acceptors": 1, "max_clients": 1,
         "current_clients": 1, "shutdown_count": {"connection_lost": 2}, "refused_count": {"too_many_connections": 3},
         "state": "running"},
        {"name": "tcp.other", "protocol": "mqtt:tcp", "address": "127.0.0.1:2884", "acceptors": 0, "max_clients": 0,
         "current_clients": 0, "shutdown_count": {}, "refused_count": {}, "state": "stopped"}]
    return desk, rows, [
        "listener on mqtt:tcp:127.0.0.1:2883", "  acceptors       : 1", "  max_clients     : 1", "  current_clients : 1",
        "  shutdown_count  : [{connection_lost,2}]", "  refused_count   : [{too_many_connections,3}]",
        "  name            : tcp.default", "  state           : running",
        "listener on mqtt:tcp:127.0.0.1:2884", "  acceptors       : 0", "  max_clients     : infinity", "  current_clients : 0",
        "  shutdown_count  : []", "  refused_count   : []", "  name            : tcp.other", "  state           : stopped"]


@asked("supervisor tree")
def one_was_killed() -> Answer:
    desk = Desk()
    for name in ("a", "b"):
        desk.root.add(Child(name, Part))
    desk.reactor.advance(9)
    desk.ask("supervisor", "kill", "a")
    desk.reactor.advance(4)
    rows: list[Row] = [{"path": "a", "state": "running", "restarts": 1, "uptime": 4, "failure": "a was killed"},
                       {"path": "b", "state": "running", "restarts": 0, "uptime": 13, "failure": ""}]
    return desk, rows, ["a: running, restarts=1, uptime=4, last failure: a was killed", "b: running, restarts=0, uptime=13"]
