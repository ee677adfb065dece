"""What it costs that brokers are nodes of a cluster: `--help` lists what is measured, and with a measurement what it can be told.

Nodes are brokers of this Python on loopback, with a store each. Processor time says more than the rates where the nodes and this
load share the cores.
"""
import argparse
import statistics
import tempfile
import time

from measure_durable import connect
from nodes import NOBODY, Cable, Node, Nodes, free_ports
from pairs import MESSAGES, PAYLOAD, ExactPair, Pair, connected, publish, subscribe, text
from pairs import stream as stream_all

PAIRS = 5
WINDOW = 1000  # packets under way
CLEAN = b"\x10\x16\0\4MQTT\4\2\0\0\0\x0ac-%08d"  # CONNECT of 3.1.1, Clean Session 1


def stream(source, target, qos):
    """Messages a second; microseconds of the processor for each, at either node."""
    pairs = [pair_of(connect(source.port, b"p%03d" % number), connect(target.port, b"s%03d" % number), b"t/%03d" % number, qos)
             for number in range(PAIRS)]
    nodes = [source] if source is target else [source, target]
    before = [node.processor_time() for node in nodes]
    took = stream_all(pairs)
    return PAIRS * MESSAGES / took, each_took(nodes, before, PAIRS * MESSAGES)


def pair_of(publisher, subscriber, topic, qos):
    return ExactPair(publisher, subscriber, topic) if qos == 2 else Pair(publisher, subscriber, topic, qos)


def each_took(nodes, before, count):
    """Microseconds of the processor of these nodes since `before`, for each of so many."""
    return [(node.processor_time() - first) / count * 1e6 for node, first in zip(nodes, before, strict=True)]


def listed(figures):
    return ", ".join(f"{each:.1f}" for each in figures)


def forward(options):
    for title, count in (("one node", 1), ("two nodes", 2)):
        with Nodes(count) as nodes:
            stream(nodes[0], nodes[-1], options.qos)
            rate, used = stream(nodes[0], nodes[-1], options.qos)
            print(f"{title}: {rate:,.0f}/s, µs at each: {listed(used)}")


def timed_subacks(node, count):
    client = connect(node.port, b"asker")
    took = []
    for number in range(count):
        began = time.perf_counter()
        subscribe(client, b"suback/%06d" % number)
        took.append((time.perf_counter() - began) * 1e3)
    return took


def spread(took):
    cuts = statistics.quantiles(took, n=100)
    return f"p50 {cuts[49]:.2f} ms, p95 {cuts[94]:.2f} ms, p99 {cuts[98]:.2f} ms"


def suback(options):
    for count in (1, 3):
        with Nodes(count) as nodes:
            print(f"{count} nodes: {spread(timed_subacks(nodes[0], options.count))}")


def takeover(options):
    with Nodes(2) as nodes:
        client = connect(nodes[0].port, b"mover")
        subscribe(client, b"mover")
        client.close()
        publish_all(nodes[0], [b"mover"] * options.queued)
        took, whole = [], []
        for number in range(100 if options.queued else 500):
            began = time.perf_counter()
            client = connect(nodes[1 - number % 2].port, b"mover")
            took.append((time.perf_counter() - began) * 1e3)
            if options.queued:  # all of it has come, none is acknowledged
                size = min(options.queued, WINDOW) * len(publish(b"mover", 1, bytes(PAYLOAD)))
                while size > 0:
                    size -= len(client.recv(1 << 18))
                whole.append((time.perf_counter() - began) * 1e3)
            client.close()
        print(f"CONNECT to CONNACK: {spread(took)}")
        if options.queued:
            print(f"to a full window of {min(options.queued, WINDOW)} messages: {spread(whole)}")


def publish_all(node, topics, retain=False):
    """A message for each topic at QoS 1, until all are acknowledged."""
    client = connect(node.port, b"publisher")
    for begin in range(0, len(topics), WINDOW):
        packets = [publish(topic, number, bytes(PAYLOAD)) for number, topic in enumerate(topics[begin:begin + WINDOW], 1)]
        client.sendall(b"".join([b"%c" % (packet[0] | retain) + packet[1:] for packet in packets]))
        left = 4 * len(packets)
        while left > 0:
            left -= len(client.recv(1 << 16))
    client.close()


def topics_of(node, count):
    return [b"node/%d/%09d" % (node.number, number) for number in range(count)]


# What fills a node with so many of a kind, which are its own.

def fill_routes(node, count):
    """Of one persistent session."""
    client = connect(node.port, b"holder-%d" % node.number)
    topics = topics_of(node, count)
    for begin in range(0, count, 100):
        some = topics[begin:begin + 100]
        body = b"".join([text(topic) + b"\1" for topic in some])
        length = len(body) + 2
        client.sendall(b"\x82" + bytes([length % 128 | 0x80, length // 128]) + b"\0\1" + body)
        left = len(some) + (4 if len(some) < 126 else 5)
        while left > 0:
            left -= len(client.recv(1 << 16))
    client.close()


def fill_sessions(node, count):
    """Of clients that have gone, without subscriptions."""
    for number in range(count):
        connect(node.port, b"session-%d-%09d" % (node.number, number)).close()


def fill_retained(node, count):
    publish_all(node, topics_of(node, count), True)


FILL = {"routes": fill_routes, "sessions": fill_sessions, "retained": fill_retained}


def is_known(nodes, kind, count):
    """Whether both nodes have the same: equal tables of that kind, or so many retained messages."""
    if kind == "retained":
        return all({"key": "retained/total", "value": count} in node.ask("retainer", "info") for node in nodes)
    views = {}
    for row in nodes[0].ask("cluster", "view"):  # of each node that answers
        if row.get("kind") == "table" and row["name"] == kind:
            views.setdefault(row["node"], {})[row["author"]] = row["number"], row["digest"]
    one, *others = views.values()
    return len(one) == 2 and others == [one]


def is_linked(nodes):
    """Whether each has both; what is asked of one alone does not wait behind what the link carries."""
    states = [row["state"] for node in nodes for row in node.ask("cluster", "status") if "state" in row]
    return states == ["up"] * 4


def until(reached):
    while not reached():
        time.sleep(0.02)


def converge(options):
    """A node that has something meets an empty one."""
    with tempfile.TemporaryDirectory() as folder:
        ports = free_ports(2)
        first = Node(folder, 0, ports[0])
        FILL[options.kind](first, options.count)
        second = Node(folder, 1, ports[1])
        before, used, began = second.memory(), second.processor_time(), time.perf_counter()
        second.ask("cluster", "join", f"127.0.0.1:{ports[0]}")
        until(lambda: is_known([first, second], options.kind, options.count))
        took = time.perf_counter() - began
        [spent] = each_took([second], [used], options.count)
        print(f"{options.count} {options.kind}: {took:.2f} s until both know the same, {spent:.1f} µs and "
              f"{(second.memory() - before) / options.count:.0f} bytes of memory for each")
        for node in (first, second):
            node.end()


def partition(options):
    """Two nodes that have only one cable."""
    with tempfile.TemporaryDirectory() as folder:
        ports = free_ports(2)
        cable = Cable(ports[0])
        near = f"127.0.0.1:{cable.near}"
        nodes = [Node(folder, 0, ports[0], address=near), Node(folder, 1, ports[1], [near], NOBODY)]
        until(lambda: is_linked(nodes))
        cable.pull()
        pulled = time.perf_counter()
        for node in nodes:
            FILL[options.kind](node, options.count)
        time.sleep(max(0.0, options.seconds - (time.perf_counter() - pulled)))
        cable.plug_in()
        began = time.perf_counter()
        until(lambda: is_linked(nodes))
        linked = time.perf_counter()
        until(lambda: is_known(nodes, options.kind, 2 * options.count))
        took = time.perf_counter()
        print(f"{options.count} {options.kind} at each side, cut for {began - pulled:.1f} s: linked {linked - began:.2f} s after "
              f"it is plugged in, the same at both {took - linked:.2f} s later")
        cable.pull()
        for node in nodes:
            node.end()


def churn(options):
    for title, count in (("one node", 1), ("two nodes", 2), ("three nodes", 3)):
        with Nodes(count) as nodes:
            come_and_go(nodes[0], options.crowd, options.crowd)
            before = [node.processor_time() for node in nodes]
            come_and_go(nodes[0], options.count, options.crowd)
            time.sleep(1)  # for the other node to hear of it
            print(f"{title}: µs for each client at each: {listed(each_took(nodes, before, options.count))}")


def come_and_go(node, count, crowd):
    """Clients without a session, a crowd at a time: each has two filters of its own."""
    for begin in range(0, count, crowd):
        clients = [connected(node.port, CLEAN % number) for number in range(begin, begin + crowd)]
        for number, client in enumerate(clients, begin):
            client.sendall(b"\x82\x1c\0\1" + b"".join([text(b"%c/%08d" % (letter, number)) + b"\0" for letter in b"ab"]))
        for client in clients:
            assert client.recv(6)[-2:] == b"\0\0"
        for client in clients:
            client.sendall(b"\xe0\0")
            client.close()


def retained(options):
    for title, count in (("no cluster", 0), ("one node", 1), ("two nodes", 2)):
        with Nodes(count) as nodes:
            before, used = [node.memory() for node in nodes], [node.processor_time() for node in nodes]
            began = time.perf_counter()
            fill_retained(nodes[0], options.count)
            rate = options.count / (time.perf_counter() - began)
            if count == 2:
                until(lambda: is_known(nodes, "retained", options.count))
            spent, grown = each_took(nodes, used, options.count), [
                (node.memory() - first) / options.count for node, first in zip(nodes, before, strict=True)]
            print(f"{title}: {rate:,.0f}/s, µs at each: {listed(spent)}; bytes of memory at each: {listed(grown)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(metavar="WHAT", required=True)

    def command(measure, text, *arguments):
        made = commands.add_parser(measure.__name__, help=text, description=f"{text[0].upper()}{text[1:]}.")
        made.set_defaults(measure=measure)
        for name, options in arguments:
            made.add_argument(name, **options)

    def number(default, text):
        return {"nargs": "?", "type": int, "default": default, "help": f"{text} (default: {default:,})"}

    kind = {"choices": FILL, "help": "routes of a persistent session, sessions of clients that have gone, or retained messages"}
    command(forward, "a message between persistent sessions of two nodes, and of one: rate, processor time at each node",
            ("qos", {"nargs": "?", "type": int, "choices": (0, 1, 2), "default": 1, "help": "QoS (default: 1)"}))
    command(suback, "SUBSCRIBE to SUBACK at a node that is alone, and at one of three", ("count", number(2000, "subscriptions")))
    command(takeover, "CONNECT to CONNACK at another node than that of the session, to and fro between two",
            ("queued", number(0, "messages that wait in it")))
    command(converge, "from the command to join until an empty node knows what another has; its processor time and memory",
            ("kind", kind), ("count", number(100_000, "how many")))
    command(partition, "two nodes without a link get something each: from the end of that until both know all of it",
            ("kind", kind), ("count", number(10_000, "how many at each side")),
            ("seconds", {"nargs": "?", "type": float, "default": 5.0, "help": "how long it is cut at least (default: 5)"}))
    command(churn, "a client without a session that comes, subscribes to two filters and goes: processor time at each node",
            ("count", number(20_000, "clients")), ("crowd", number(100, "of them at a time")))
    command(retained, "a retained message at QoS 1 without a cluster, at a node that is alone, at two nodes",
            ("count", number(100_000, "messages, each with a topic of its own")))
    options = parser.parse_args()
    options.measure(options)


if __name__ == "__main__":
    main()
