"""What commands answer of messages: counted, retained, delayed, on their way, dropped."""
from emqtwist.core.causes import DROPS
from emqtwist.core.mqueue import OVERHEAD
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Publish, Subscribe
from tests.answers import QUIET, Answer, Row, Scene, Scenes, called, paired
from tests.desks import Desk

SCENES = Scenes()
asked = SCENES.asked


@asked("topics metrics list")
def counted_by_topic() -> Answer:
    desk = Desk()
    for topic_filter in ("t/#", "other"):
        desk.ask("topics", "metrics", "add", topic_filter)
    for name in ("x", "y"):
        desk.client(name).send(Subscribe(1, [(b"t/a", 2)]))
    alice = desk.client("alice")
    alice.send(Publish(b"t/r", b"kept", 1, True, packet_id=4))
    desk.client("z").send(Subscribe(1, [(b"t/r", 0)]))
    alice.send(
        Publish(b"t/a", b"four"), Publish(b"t/a", b"x", 1, packet_id=1), Publish(b"t/a", b"yz", 1, packet_id=2),
        Publish(b"t/a", b"", 2, packet_id=3), Publish(b"t/c", b"nobody"))
    names = ("messages/received", "messages/qos0/received", "messages/qos1/received", "messages/qos2/received", "bytes/received",
             "messages/sent", "messages/dropped")
    found = {"t/#": dict(zip(names, (6, 2, 3, 1, 17, 9, 2), strict=True)), "other": dict.fromkeys(names, 0)}
    lines = [line for name, values in found.items() for line in (f"{name}:", *(f"  {key:<24}: {values[key]}" for key in names))]
    return desk, [{"filter": name, **values} for name, values in found.items()], lines


def keeping(*lines: str) -> Desk:
    """Three messages are retained, three wait."""
    desk = Desk("module.delayed.enable = on", QUIET, *lines)
    client = desk.client("a")
    for topic, payload, qos in ((b"a/x", b"one", 1), (b"a/y", b"three", 2), (b"b", b"x", 0)):
        client.send(Publish(topic, payload, qos, True, packet_id=qos))
    for number, (topic, payload, qos) in enumerate(((b"$delayed/5/a/x", b"one", 1), (b"$delayed/60/a/y", b"three", 2),
                                                    (b"$delayed/7/b", b"x", 0)), 3):
        client.send(Publish(topic, payload, qos, not qos, packet_id=number * qos))
    desk.reactor.advance(2)
    return desk


@asked("retainer info")
def three_are_retained() -> Answer:
    desk = keeping("retainer.max_message_num = 4", "retainer.max_payload_size = 10")
    size = len("a/x" "one" "a/y" "three" "b" "x")
    return paired(desk, {"retained/total": 3, "retained/bytes": size, "retained/max": 4, "retained/max_payload": 10}, 20)


@asked("retainer info")
def none_is_retained() -> Answer:
    desk = Desk("retainer.max_message_num = 9", "retainer.max_payload_size = 2KB", QUIET)
    return paired(desk, {"retained/total": 0, "retained/bytes": 0, "retained/max": 9, "retained/max_payload": 2048}, 20)


def topics(count: int) -> Scene:
    def scene() -> Answer:
        rows: list[Row] = [{"topic": topic, "qos": qos, "size": size, "publisher": "a"}
                           for topic, qos, size in (("a/x", 1, 3), ("a/y", 2, 5), ("b", 0, 1))]
        return keeping(), rows[:count], ["a/x", "a/y", "b"][:count]
    return scene


asked("retainer topics")(topics(3))
asked("retainer topics a/#")(topics(2))


def cleaned(count: int, what: str) -> Scene:
    def scene() -> Answer:
        line = f"Cleaned {count} {what} messages"
        return keeping(), [{"line": line}], [line]
    return scene


for each in ("retained", "delayed"):
    command = {"retained": "retainer"}.get(each, each)
    asked(f"{command} clean")(cleaned(3, each))
    asked(f"{command} clean a/#")(cleaned(2, each))


@asked("delayed info")
def three_wait() -> Answer:
    desk = keeping("module.delayed.max_message_num = 10", "module.delayed.max_bytes = 1MB")
    size = 3 * OVERHEAD + len("a/x" "one" "a/y" "three" "b" "x")
    return paired(desk, {"delayed/total": 3, "delayed/bytes": size, "delayed/max": 10, "delayed/max_bytes": 1 << 20}, 20)


@asked("delayed info")
def none_waits() -> Answer:
    desk = Desk("module.delayed.max_message_num = 9", "module.delayed.max_bytes = 2MB")
    return paired(desk, {"delayed/total": 0, "delayed/bytes": 0, "delayed/max": 9, "delayed/max_bytes": 2 << 20}, 20)


def waiting(count: int) -> Scene:
    def scene() -> Answer:
        rows: list[Row] = [
            {"number": number, "topic": topic, "qos": qos, "retain": retain, "size": size, "publisher": "a", "left": left,
             "due_at": due} for number, topic, qos, retain, size, left, due in (
                 (1, "a/x", 1, 0, 3, 3, 5005), (2, "a/y", 2, 0, 5, 58, 5060), (3, "b", 0, 1, 1, 5, 5007))]
        return keeping(), rows[:count], called("Delayed", rows[:count])
    return scene


asked("delayed list")(waiting(3))
asked("delayed list a/#")(waiting(2))


@asked("explain route t")
def some_wait_for_one_who_is_away() -> Answer:
    desk = Desk()
    bob = desk.client("bob", c.MQTT_3_1_1, clean_start=False)
    bob.send(Subscribe(1, [(b"t", 1)]))
    bob.hang_up()
    desk.client("alice").send(*[Publish(b"t", b"x", 1, packet_id=number) for number in (1, 2)])
    state = "it is away, and 2 messages wait for it"
    return desk, [{"client_id": "bob", "filters": ["t"], "qos": 1, "no_local": False, "state": state}], [
        f"bob by t, up to QoS 1: {state}"]


@asked("explain route t")
def some_wait_for_one_who_is_slow() -> Answer:
    desk = Desk()
    bob = desk.client("bob")
    bob.send(Subscribe(1, [(b"t", 2)]))
    bob.protocol.pauseProducing()
    desk.client("alice").send(*[Publish(b"t", b"x", 1, packet_id=number) for number in (1, 2, 3)])
    state = "it is too slow, and 3 messages wait for it"
    return desk, [{"client_id": "bob", "filters": ["t"], "qos": 2, "no_local": False, "state": state}], [
        f"bob by t, up to QoS 2: {state}"]


def dropped(count: int) -> Scene:
    def scene() -> Answer:
        desk, cause = Desk(QUIET), "no_subscribers"
        alice = desk.client("alice")
        alice.send(Publish(b"t/a", b"x"))
        desk.reactor.advance(3)
        alice.send(Publish(b"t/b", b"x"))
        desk.client("bob").send(Publish(b"u", b"x"))
        found = ((5000, "t/a", "alice"), (5003, "t/b", "alice"), (5003, "u", "bob"))[:count]
        rows: list[Row] = [{"at": at, "cause": cause, "topic": topic, "publisher": who, "client_id": ""}
                           for at, topic, who in found]
        return desk, rows, [f"{at} {cause}: {topic} from {who}: {DROPS[cause]}" for at, topic, who in found]
    return scene


asked("explain drop")(dropped(3))
asked("explain drop topic t/#", "explain drop client alice")(dropped(2))
