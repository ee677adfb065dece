"""What commands answer of clients, their sessions and what they subscribe to."""
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Connack, Connect, Disconnect, Puback, Publish, Suback, Subscribe
from tests.answers import QUIET, Answer, Row, Scene, Scenes, called
from tests.desks import NODE, Desk
from tests.peers import properties
from tests.wires import Caller

SCENES = Scenes()
asked = SCENES.asked
HERE = "127.0.0.1:50000"
NUMBERS = ("subscriptions", "max_inflight", "inflight", "mqueue_len", "mqueue_dropped", "awaiting_rel", "deliver_msg",
           "enqueue_msg", "created_at")  # of a session


def here(rows: list[Row]) -> list[Row]:
    """What they are where the node stands beside."""
    return [{**row, "node": NODE} for row in rows]


def crowd() -> tuple[Desk, dict[str, Row], dict[str, Row]]:
    """alice publishes, bob lets much wait, carol wants little; what is told of them, and of their sessions."""
    desk = Desk("mqtt.session.max_inflight = 3", "mqtt.mqueue.max_length = 2", "mqtt.mqueue.on_full = drop_oldest", QUIET)
    alice = desk.client("alice")
    desk.reactor.advance(7)
    desk.client("bob", c.MQTT_3_1_1, clean_start=False).send(Subscribe(1, [(b"a", 2), (b"b", 1)]))
    carol = Caller(desk.service.listeners["default"].factory, desk.reactor)
    carol.send(Connect(c.MQTT_5_0, "carol", True, properties=properties(receive_maximum=2)))
    carol.one(Connack)
    alice.send(*[Publish(b"a", b"x", 1, packet_id=number) for number in range(1, 7)],
               *[Publish(b"nobody", b"x", 2, packet_id=number) for number in (7, 8)])
    desk.reactor.advance(5)
    numbers = {"alice": (0, 3, 0, 0, 0, 2, None, 0, 5000), "bob": (2, 3, 3, 2, 1, 0, None, 3, 5007),
               "carol": (0, 2, 0, 0, 0, 0, None, 0, 5007)}
    clients: dict[str, Row] = {
        name: {"client_id": name, "clean_sess": name != "bob", "username": None, "peername": HERE, "connected_at": values[-1]}
        for name, values in numbers.items()}
    return desk, clients, {name: {"client_id": name, "clean_sess": name != "bob", **dict(zip(NUMBERS, values, strict=True))}
                           for name, values in numbers.items()}


def of_clients(*names: str) -> Scene:
    def scene() -> Answer:
        desk, clients, _ = crowd()
        rows = [clients[name] for name in names]
        return desk, here(rows), called("Client", rows)
    return scene


def of_sessions(*names: str) -> Scene:
    def scene() -> Answer:
        desk, _, sessions = crowd()
        rows = [sessions[name] for name in names]
        return desk, here(rows), called("Session", rows)
    return scene


asked("clients list")(of_clients("alice", "bob", "carol"))
asked("clients show bob")(of_clients("bob"))
asked("sessions list")(of_sessions("alice", "bob", "carol"))
asked("sessions list persistent", "sessions show bob")(of_sessions("bob"))
asked("sessions list transient")(of_sessions("alice", "carol"))


@asked("sessions top")
def most_wait() -> Answer:
    desk, _, sessions = crowd()
    rows = [sessions[name] for name in ("bob", "alice", "carol")]
    return desk, rows, called("Session", rows)


@asked("sessions top 1")
def most_wait_for_one() -> Answer:
    desk, _, sessions = crowd()
    return desk, [sessions["bob"]], called("Session", [sessions["bob"]])


@asked("sessions show bob")
def one_expires() -> Answer:
    """A message that waits for room in the window, and has expired when there is some."""
    desk = Desk("mqtt.session.max_inflight = 1")
    bob, alice = desk.client("bob"), desk.client("alice")
    bob.send(Subscribe(1, [(b"a", 1)]))
    bob.one(Suback)
    alice.send(Publish(b"a", b"x", 1, packet_id=1),
               Publish(b"a", b"y", 1, packet_id=2, properties=properties(message_expiry_interval=5)))
    desk.reactor.advance(6)
    bob.send(Puback(bob.one(Publish).packet_id))
    assert bob.received() == []
    numbers = dict(zip(NUMBERS, (1, 1, 0, 0, 1, 0, None, 1, 5000), strict=True))
    rows: list[Row] = [{"client_id": "bob", "clean_sess": True, **numbers}]
    return desk, here(rows), called("Session", rows)


@asked("sessions show bob")
def one_has_come_again() -> Answer:
    """What was sent and not acknowledged is under way again; a session is as old as its first connection."""
    desk = Desk("mqtt.session.max_inflight = 2")
    bob, alice = desk.client("bob", c.MQTT_3_1_1, clean_start=False), desk.client("alice")
    bob.send(Subscribe(1, [(b"a", 1)]))
    alice.send(Publish(b"a", b"x", 1, packet_id=1))
    bob.hang_up()
    alice.send(*[Publish(b"a", b"x", 1, packet_id=number) for number in (2, 3, 4)])
    desk.reactor.advance(10)
    again = Caller(desk.service.listeners["default"].factory, desk.reactor, version=c.MQTT_3_1_1)
    again.send(Connect(c.MQTT_3_1_1, "bob", False))
    numbers = dict(zip(NUMBERS, (1, 2, 2, 2, 0, 0, None, 3, 5000), strict=True))
    rows: list[Row] = [{"client_id": "bob", "clean_sess": False, **numbers}]
    return desk, here(rows), called("Session", rows)


@asked("clients show bob")
def one_is_here_since_it_came_again() -> Answer:
    desk, _, _ = one_has_come_again()
    rows: list[Row] = [
        {"client_id": "bob", "clean_sess": False, "username": None, "peername": HERE, "connected_at": 5010}]
    return desk, here(rows), called("Client", rows)


def subscribed() -> tuple[Desk, list[Row]]:
    desk = Desk()
    desk.client("a").send(Subscribe(1, [(b"t/+", 1), (b"$share/g/t", 2 | c.OPTION_RETAIN_AS_PUBLISHED)]))
    desk.client("b").send(Subscribe(1, [(b"t/+", 0 | c.OPTION_NO_LOCAL)]))
    return desk, here([{"client_id": "a", "topic": "t/+", "qos": 1},
                       {"client_id": "a", "topic": "$share/g/t", "qos": 2, "share": "g", "rap": True},
                       {"client_id": "b", "topic": "t/+", "qos": 0, "no_local": True}])


@asked("subscriptions list")
def all_subscriptions() -> Answer:
    desk, rows = subscribed()
    return desk, rows, ["a -> t/+", "a -> $share/g/t", "b -> t/+"]


@asked("subscriptions show a")
def some_subscriptions() -> Answer:
    desk, rows = subscribed()
    return desk, rows[:2], ["a -> t/+", "  qos     : 1", "a -> $share/g/t", "  qos     : 2", "  share   : g", "  rap     : true"]


@asked("banned list")
def banned() -> Answer:
    desk = Desk()
    desk.reactor.advance(5)
    desk.ask("banned", "add", "user", "al", "10m")
    desk.reactor.advance(10)
    desk.ask("banned", "add", "client", "x", "1h", "out of order")
    desk.ask("banned", "add", "user", "zoe")
    rows: list[Row] = [{"kind": kind, "value": value, "reason": reason, "by": "ctl", "at": at, "until": until}
                       for kind, value, reason, at, until in (
                           ("client", "x", "out of order", 5015, 8615), ("user", "al", "", 5005, 5605),
                           ("user", "zoe", "", 5015, "forever"))]
    return desk, rows, called("Banned", rows, 2)


@asked("explain client bob")
def came_and_went() -> Answer:
    desk = Desk()
    desk.reactor.advance(2)
    bob = desk.client("bob")
    desk.reactor.advance(3)
    bob.send(Disconnect(0))
    rows: list[Row] = [
        {"at": 5002, "peer": HERE, "what": "connected", "cause": "", "reason": "protocol level 5, with a new session"},
        {"at": 5005, "peer": HERE, "what": "ended", "cause": "normal", "reason": "the client disconnected"}]
    return desk, rows, [f"5002 connected from {HERE}: protocol level 5, with a new session",
                        f"5005 ended from {HERE}: normal: the client disconnected"]
