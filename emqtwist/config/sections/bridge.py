"""[bridge.<name>]: messages to nodes outside the cluster."""
from dataclasses import dataclass
from typing import Final, Literal

from emqtwist.config.rows import row
from emqtwist.config.sections.cluster import Place
from emqtwist.config.values import DURATION, INTEGER, SIZE, TEXT, Choice, Text

OnFull = Literal["drop_oldest", "drop_newest", "refuse"]

EFFECTS: Final = "tests/adapters/cluster/test_bridge_rows.py"
LINKS: Final = "tests/integration/cluster/test_bridges.py"


@dataclass(frozen=True, kw_only=True)
class BridgeSection:
    """A [bridge](guide.md#bridges): what matches a Topic Filter here is published at another node too. That node takes bridges
    at its `cluster.bind`, and is not of this cluster."""

    name: str
    node: str = row(
        None, Text("a name as emqtwist@127.0.0.1", r"[A-Za-z0-9_.-]{1,128}@[A-Za-z0-9_.:-]{1,255}"), test=EFFECTS,
        meaning="`node.name` of the other node. If it is not who answers at `address`, nothing is sent.")
    address: str = row(
        "", Place(), test=EFFECTS,
        meaning="Where it is to be found. Empty: the host in `node`, and port 4370.")
    topic: str = row(
        None, Text("a Topic Filter without a prefix", r"(?!\$(?:share|queue|local|exclusive)/)[^\0]+"), test=EFFECTS,
        meaning="Topic Filter of what is sent, of all that is published at this node.")
    prefix: str = row(
        "", Text("the beginning of a topic, without wildcards", r"[^\0+#]*"), test=EFFECTS,
        meaning="What comes before the topics there.")
    suffix: str = row(
        "", Text("the end of a topic, without wildcards", r"[^\0+#]*"), test=EFFECTS,
        meaning="What comes behind the topics there.")
    qos: int = row(
        "2", INTEGER, minimum="0", maximum="2", test=EFFECTS,
        meaning="Highest QoS of what is sent. QoS 0 does not wait while the other node is away.")
    max_queue_len: int = row(
        "10000", INTEGER, words={"unlimited": 0}, test=EFFECTS,
        meaning="Messages that wait while the other node is away or slow; 0 is unlimited. The marks at which an alarm is raised "
                "and cleared are those of `mqtt.mqueue`.")
    max_queue_bytes: int = row(
        "256MB", SIZE, minimum="1KB", test=EFFECTS,
        meaning="Bytes that wait, with 400 for each message beside its own; in the store, where there is one.")
    on_full: OnFull = row(
        "drop_oldest", Choice[OnFull]("drop_oldest", "drop_newest", "refuse"), test=EFFECTS,
        meaning="What a full queue does. `refuse`: publishers of QoS 1 and 2 are, with 0x97.")
    ping_down_interval: float = row(
        "1s", DURATION, minimum="10ms", maximum="1h", test=EFFECTS,
        meaning="How often it is tried to reach the other node while it is away.")
    cookie: str = row(
        "", Text("at least 16 characters", r"(?s:.{16,})?"), secret=True, test=EFFECTS,
        meaning="`cluster.cookie` of the other node. Empty: the same as here, or none where there is a `certificate`.")
    certificate: str = row(
        "", TEXT, test=LINKS,
        meaning="PEM file with a certificate that the other node believes, where it has one itself. A relative path starts at "
                "the folder of the configuration file. Empty: as `cluster.certificate`, with its key and its authorities.")
    private_key: str = row(
        "", TEXT, test=LINKS,
        meaning="PEM file with the private key of the certificate, without a passphrase.")
    ca: str = row(
        "", TEXT, test=LINKS,
        meaning="PEM file with the authorities that the other node's certificate has to come from.")
