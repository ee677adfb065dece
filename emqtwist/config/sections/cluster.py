"""[cluster]: this broker as a node among others."""
import re
from dataclasses import dataclass
from typing import Final, Literal

from emqtwist.config.rows import row
from emqtwist.config.values import BIND, DURATION, INTEGER, SIZE, TEXT, Address, Choice, Text, Unit

Finding = Literal["manual", "static"]
Orphan = Literal["refuse", "fresh"]

EFFECTS: Final = "tests/adapters/cluster/test_rows.py"
NODES: Final = "tests/integration/cluster/test_nodes.py"
PLACE: Final = re.compile(r"(?:[A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")


def is_place(text: str) -> bool:
    """Whether it is a host, or an IPv6 address in brackets, with a port that can be dialled."""
    found = PLACE.fullmatch(text)
    return found is not None and 1 <= int(found[1]) <= 65535


class Place(Unit[str]):
    """Where a node can be dialled."""

    name = "host and port"
    form = "a host or an IP address and a port, as 10.0.0.5:4370"

    def read(self, text: str) -> str:
        if text and not is_place(text):
            raise ValueError("not a host and a port")
        return text

    def holds(self, value: object) -> bool:
        return isinstance(value, str) and (not value or is_place(value))


class Places(Unit[tuple[str, ...]]):
    """Where nodes can be dialled."""

    name = "hosts and ports"
    form = "hosts with ports and commas between them, as 10.0.0.5:4370, node2.example:4370"

    def read(self, text: str) -> tuple[str, ...]:
        places = tuple(part.strip() for part in text.split(",")) if text else ()
        if not self.holds(places):
            raise ValueError("not hosts and ports, each once")
        return places

    def holds(self, value: object) -> bool:
        return isinstance(value, tuple) and all(isinstance(each, str) and is_place(each) for each in value) and (
            len(set(value)) == len(value))

    def write(self, value: object) -> str:
        assert isinstance(value, tuple)
        return ", ".join(value)


@dataclass(frozen=True, kw_only=True)
class ClusterSection:
    """Brokers that know of each other's clients: see [clusters](clusters.md). Each node has a `node.name` of its own."""

    bind: Address | None = row(
        "off", BIND, words={"off": None}, test=NODES,
        meaning="Where other nodes connect; port 0 is one that the system chooses. `off`: this broker is alone.")
    address: str = row(
        "", Place(), test=EFFECTS,
        meaning="Where other nodes reach `bind`, if that is not what they are to be told: behind a translation of addresses, or "
                "where `bind` is every address of the machine. Empty: the host of `bind`, or then that of `node.name`, and "
                "the port of `bind`.")
    name: str = row(
        "emqtwist", Text("a name", r"[A-Za-z0-9_.-]{1,64}"), test=EFFECTS,
        meaning="Name of the cluster. Nodes of other names are refused.")
    cookie: str = row(
        "", Text("at least 16 characters", r"(?s:.{16,})?"), secret=True, test=EFFECTS,
        meaning="What nodes prove to each other that they know; it is never sent, and the same at all nodes. May be empty where "
                "nodes have certificates.")
    certificate: str = row(
        "", TEXT, test=NODES,
        meaning="PEM file with this node's certificate, and its chain after it: links are by TLS, and only to nodes that have "
                "one of `ca`, too. A relative path starts at the folder of the configuration file, as for the other two.")
    private_key: str = row(
        "", TEXT, test=NODES,
        meaning="PEM file with the private key of the certificate, without a passphrase.")
    ca: str = row(
        "", TEXT, test=NODES,
        meaning="PEM file with the authorities that nodes' certificates have to come from. Whoever has one of theirs "
                "can be a node, if it knows the cookie: let it be an authority for this cluster alone.")
    discovery: Finding = row(
        "manual", Choice[Finding]("manual", "static"), test=NODES,
        meaning="How other nodes are found. `manual`: by `emqtwist_ctl cluster join`. `static`: they are in `seeds`.")
    seeds: tuple[str, ...] = row(
        "", Places(), test=NODES,
        meaning="Some nodes of the cluster, this one or not: from any of them a node hears of all others.")
    orphan: Orphan = row(
        "refuse", Choice[Orphan]("refuse", "fresh"), test=EFFECTS,
        meaning="What a client gets with Clean Start 0 whose session is at a node that is away, after two seconds. `refuse`: "
                "0x88 with the name of that node, before MQTT 5.0 return code 3. `fresh`: a new session; the old one ends when "
                "its node is back, with what waits in it.")
    autoclean: float = row(
        "off", DURATION, words={"off": 0.0}, minimum="10s", test=EFFECTS,
        meaning="After how long a node that is down is made to leave, as by `emqtwist_ctl cluster force-leave`: what waits for "
                "it is dropped. Only where more than half of the nodes are connected. `off`: never.")
    heartbeat: float = row(
        "1s", DURATION, minimum="100ms", maximum="1m", test=EFFECTS,
        meaning="The longest that a node says nothing on a link.")
    timeout: float = row(
        "5s", DURATION, minimum="500ms", maximum="10m", test=EFFECTS,
        meaning="How long nothing is heard on a link until it counts as lost.")
    window: int = row(
        "1MB", SIZE, minimum="64KB", maximum="256MB", test=EFFECTS,
        meaning="Bytes that may be under way to this node on one link; more waits at the other until they are taken.")
    outbox_length: int = row(
        "1000000", INTEGER, words={"unlimited": 0}, test=EFFECTS,
        meaning="QoS 1 and 2 messages that wait for one other node; 0 is unlimited, then bytes bound it. When it is full, what "
                "persistent sessions there are to get is refused with 0x97, as by a full queue.")
    outbox_bytes: int = row(
        "64MB", SIZE, minimum="1KB", test=EFFECTS,
        meaning="Bytes that wait for one other node, where nothing is stored.")
    outbox_stored: int = row(
        "1GB", SIZE, minimum="1KB", test=EFFECTS,
        meaning="Bytes that wait for one other node in the store.")
