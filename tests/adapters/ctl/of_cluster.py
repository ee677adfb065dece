"""What commands answer of a cluster, and across its nodes."""
from emqtwist.core.cluster.coming import Joining
from emqtwist.core.cluster.roll import LEFT, Member
from emqtwist.ctl.advice import advice
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Publish, Subscribe
from tests.answers import QUIET, Answer, Row, Scenes, called, paired
from tests.quarters import VERSION, Quarters

SCENES = Scenes()
asked = SCENES.asked
A, B, C = "a@h", "b@h", "c@h"
HERE = "127.0.0.1:50000"


@asked("cluster status")
def one_is_down() -> Answer:
    """c goes, and misses a message; the clock of b is wrong; somebody is to be joined."""
    quarters = Quarters(A, B, C, lines=(QUIET,), apart=True)
    quarters[B].ahead = 7.0
    quarters.join(B, A)
    quarters.advance(3)
    quarters.join(C, A)
    quarters[C].client("carol").send(Subscribe(1, [(b"t", 1)]))
    quarters.settle()
    quarters.stop(C)
    quarters[A].client("alice").send(Publish(b"t", b"x", 1, packet_id=1))
    quarters.advance(5)
    quarters[A].ask("cluster", "status")
    quarters[A].nodes.members.joinings.known["d:1"] = Joining("d:1", quarters[A].service.broker.turn.now, 1e9)
    first: Row = {"node": A, "state": "up", "address": "a:1", "since": 5000, "version": VERSION, "incarnation": "a-1"}
    rows: list[Row] = [
        {**first, "node": B, "address": "b:1", "incarnation": "b-1", "outbox": 0, "congested": False, "skew": 7.0},
        {**first, "node": C, "state": "down", "address": "c:1", "since": 5003, "incarnation": "c-1", "outbox": 1,
         "congested": False, "skew": None},
        {"node": "d:1", "state": "joining", "address": "d:1", "since": 5008, "failure": "nobody answers"}]
    rows.insert(0, first)
    problems: list[Row] = [
        {"who": who, "cause": cause, "text": text, "advice": advice(cause)} for who, cause, text in (
            (B, "clock", "its clock is 7.0 s ahead of that of a@h"), (C, "down", "there is no link to it"))]
    head = "Cluster status: [{running_nodes,['a@h','b@h']},{stopped_nodes,['c@h']}]"
    return quarters[A], rows + problems, [head, *called("Node", rows), *called("Problem", problems)]


@asked("cluster status")
def both_are_up() -> Answer:
    quarters = Quarters(A, B)
    first: Row = {"node": A, "state": "up", "address": "a:1", "since": 5000, "version": VERSION, "incarnation": "a-1"}
    rows: list[Row] = [first, {**first, "node": B, "address": "b:1", "incarnation": "b-1", "outbox": 0, "congested": False,
                               "skew": 0.0}]
    return quarters[A], rows, ["Cluster status: [{running_nodes,['a@h','b@h']}]", *called("Node", rows)]


@asked("cluster status")
def one_has_left() -> Answer:
    quarters = Quarters(A, B)
    quarters.advance(2)
    quarters[B].nodes.members.leave()
    quarters.advance(1)
    rows: list[Row] = [
        {"node": B, "state": "left", "address": "b:1", "since": 5000, "version": VERSION, "incarnation": "b-1"}]
    return quarters[B], rows, ["Cluster status: [{running_nodes,['b@h']}]", *called("Node", rows)]


@asked("cluster view")
def each_knows_the_same() -> Answer:
    quarters = Quarters(A, B)
    gone = Member("old@h", "old:1", 4, LEFT)
    quarters[A].nodes.members.roll.put(gone)
    quarters[A].client("alice").send(Subscribe(1, [(b"t", 1), (b"u", 1)]))
    quarters[A].client("alan").send(Subscribe(1, [(b"t", 1)]))
    quarters.settle()
    digests = [table.digest for table in quarters[A].cluster.authored.values()]
    assert 0 not in digests
    rows: list[Row] = []
    lines: list[str] = []
    for node, other in ((A, B), (B, A)):
        found = [(node, "up", f"{node[0]}:1", 1), (other, "up", f"{other[0]}:1", 1)]
        found += [("old@h", "left", "old:1", 4)] if node == A else []
        for name, state, address, stamp in sorted(found) if node == A else found:
            rows.append({"kind": "member", "name": name, "state": state, "address": address, "stamp": stamp, "node": node})
            lines.append(f"{node}: member {name}, state={state}, address={address}, stamp={stamp}")
        rows.append({"kind": "link", "name": other, "node": node})
        lines.append(f"{node}: link {other}")
        for author in (node, other):
            for name, digest in zip(("routes", "sessions"), digests, strict=True):
                number, value = (2, digest) if author == A else (0, 0)
                rows.append({"kind": "table", "name": name, "author": author, "number": number, "digest": value, "node": node})
                lines.append(f"{node}: table {name} of {author}, number={number}, digest={value}")
    return quarters[A], rows, lines


@asked("cluster doctor")
def all_is_well() -> Answer:
    quarters = Quarters(A, B)
    checks = ("nodes", "links", "versions", "clocks", "members", "tables")
    return quarters[A], [{"check": check, "node": "", "ok": True, "text": "", "advice": ""} for check in checks], [
        f"{check}: ok" for check in checks]


def busy() -> Quarters:
    quarters = Quarters(A, B, lines=(QUIET,))
    quarters[A].client("alice").send(Subscribe(1, [(b"t", 1), (b"u", 1)]))
    quarters.advance(3)
    quarters[B].client("bob", c.MQTT_3_1_1, clean_start=False).send(Subscribe(1, [(b"t", 1)]))
    quarters.settle()
    return quarters


@asked("cluster stats")
def counted_at_all() -> Answer:
    quarters = busy()
    counts = {"clients": 2, "delayed": 0, "retained": 0, "routes": 2, "sessions": 2, "subscribers": 3, "subscriptions": 3,
              "topics": 2}
    return paired(quarters[A], {f"{name}/count": value for name, value in counts.items()}, 20)


@asked("cluster metrics")
def added_up() -> Answer:
    quarters = busy()
    quarters[A].client("alan").send(Publish(b"t", b"x", 1, packet_id=1))
    quarters.settle()
    counters = [quarters[name].service.broker.metrics.counters() for name in (A, B)]
    values: Row = {name: counters[0][name] + counters[1][name] for name in counters[0]}
    assert (values["connects"], values["forwarded_sent"], values["forwarded_received"]) == (3, 1, 1)
    return paired(quarters[A], values, 24)


@asked("clients list")
def those_of_all_nodes() -> Answer:
    rows: list[Row] = [
        {"client_id": name, "clean_sess": name == "alice", "username": None, "peername": HERE, "connected_at": at}
        for name, at in (("alice", 5000), ("bob", 5003))]
    return busy()[A], [{**row, "node": node} for row, node in zip(rows, (A, B), strict=True)], called("Client", rows)


@asked("clients show bob")
def one_of_another_node() -> Answer:
    desk, rows, lines = those_of_all_nodes()
    return desk, rows[1:], lines[1:]


@asked("subscriptions list")
def all_that_is_subscribed_to() -> Answer:
    found = (("alice", "t", A), ("alice", "u", A), ("bob", "t", B))
    return busy()[A], [{"client_id": name, "topic": topic, "qos": 1, "node": node} for name, topic, node in found], [
        f"{name} -> {topic}" for name, topic, _ in found]


@asked("subscriptions show bob")
def what_one_elsewhere_subscribes_to() -> Answer:
    rows: list[Row] = [{"client_id": "bob", "topic": "t", "qos": 1, "node": B}]
    return busy()[A], rows, ["bob -> t", "  qos     : 1"]


@asked("routes list")
def to_all_nodes() -> Answer:
    found = (("t", A), ("t", B), ("u", A))
    return busy()[A], [{"topic": topic, "node": node} for topic, node in found], [f"{topic} -> {node}" for topic, node in found]


@asked("routes show t")
def to_two_nodes() -> Answer:
    desk, rows, lines = to_all_nodes()
    return desk, rows[:2], lines[:2]


@asked("topics show t")
def to_two_nodes_in_a_line() -> Answer:
    return busy()[A], [{"topic": "t", "node": f"{A},{B}"}], [f"t -> {A},{B}"]
