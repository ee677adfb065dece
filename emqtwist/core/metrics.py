"""What the broker counts, and the names of it.

A message costs next to nothing at QoS 0, and little at QoS 1. Of a chunk only the number of packets is counted, of a flush
only the number of the parts that were put on the link: a QoS 0 PUBLISH is one part, one at QoS 1 or 2 is three, any other
packet is one. All but QoS 0 is counted one by one, so the rest of either number is QoS 0. A PUBLISH at QoS 1 from a client
counts by its PUBACK.
"""
from typing import Final

from emqtwist.core.causes import DENIALS, DROPS, REFUSALS
from emqtwist.core.link import Turn
from emqtwist.mqtt import constants as c

PARTS: Final = 3  # of a PUBLISH with a Packet Identifier: what is before it, itself, what is after it

# What clients and broker send, by packet type, and the names under which it is counted.
RECEIVED: Final[dict[int, str]] = {
    c.CONNECT: "connect_received", c.PUBACK: "puback_received", c.PUBREC: "pubrec_received", c.PUBREL: "pubrel_received",
    c.PUBCOMP: "pubcomp_received", c.SUBSCRIBE: "subscribe_received", c.UNSUBSCRIBE: "unsubscribe_received",
    c.PINGREQ: "pingreq_received", c.DISCONNECT: "disconnect_received", c.AUTH: "auth_received",
}
SENT: Final[dict[int, str]] = {
    c.CONNACK: "connack_sent", c.PUBACK: "puback_sent", c.PUBREC: "pubrec_sent", c.PUBREL: "pubrel_sent",
    c.PUBCOMP: "pubcomp_sent", c.SUBACK: "suback_sent", c.UNSUBACK: "unsuback_sent", c.PINGRESP: "pingresp_sent",
    c.DISCONNECT: "disconnect_sent", c.AUTH: "auth_sent",
}
MISSED: Final[dict[int, str]] = {
    c.PUBACK: "puback_missed", c.PUBREC: "pubrec_missed", c.PUBREL: "pubrel_missed", c.PUBCOMP: "pubcomp_missed",
}

# emqttd's names. Two of them may be one number here, as they always were one there.
ALIASES: Final[dict[str, str]] = {
    "bytes/received": "bytes_received",
    "bytes/sent": "bytes_sent",
    "packets/received": "packets_received",
    "packets/sent": "packets_sent",
    "packets/connect": "connect_received",
    "packets/connack": "connack_sent",
    "packets/publish/received": "publish_received",
    "packets/publish/sent": "publish_sent",
    "packets/puback/received": "puback_received",
    "packets/puback/sent": "puback_sent",
    "packets/puback/missed": "puback_missed",
    "packets/pubrec/received": "pubrec_received",
    "packets/pubrec/sent": "pubrec_sent",
    "packets/pubrec/missed": "pubrec_missed",
    "packets/pubrel/received": "pubrel_received",
    "packets/pubrel/sent": "pubrel_sent",
    "packets/pubrel/missed": "pubrel_missed",
    "packets/pubcomp/received": "pubcomp_received",
    "packets/pubcomp/sent": "pubcomp_sent",
    "packets/pubcomp/missed": "pubcomp_missed",
    "packets/subscribe": "subscribe_received",
    "packets/suback": "suback_sent",
    "packets/unsubscribe": "unsubscribe_received",
    "packets/unsuback": "unsuback_sent",
    "packets/pingreq": "pingreq_received",
    "packets/pingresp": "pingresp_sent",
    "packets/disconnect": "disconnect_received",
    "messages/received": "publish_received",
    "messages/sent": "publish_sent",
    "messages/qos0/received": "qos0_received",
    "messages/qos0/sent": "qos0_sent",
    "messages/qos1/received": "qos1_received",
    "messages/qos1/sent": "qos1_sent",
    "messages/qos2/received": "qos2_received",
    "messages/qos2/sent": "qos2_sent",
    "messages/qos2/dropped": "qos2_dropped",
    "messages/retained": "retained",
    "messages/dropped": "dropped_no_subscribers",
}

# Who clients are: how the question ended.
ACCEPTED: Final = "accepted"  # by a method of authentication
ANONYMOUS: Final = "anonymous"  # accepted without one
REFUSED: Final = "refused"
AUTHENTICATIONS: Final = (ACCEPTED, ANONYMOUS, REFUSED)

AUTHORIZATIONS: Final = ("allow", "deny", "ignore", "error")  # what authorizers have answered, and how often they failed


class Metrics:
    """Counters; `drops` by cause of `causes.DROPS`, `refusals` and `ends` of
    connections by cause, `denials` by what was denied, `authentications` by result, `authorizations` by what authorizers said.

    `received`, `sent` and `missed` are lists by packet type, without PUBLISH; `pubacks_received` are apart. `flights` were
    sent at QoS 1 and 2. `qos1_unanswered` are PUBLISH packets without PUBACK. `parts_more` are parts beyond those that the
    head of this file tells of. `packets_received` are those that were served. `held_back` is how often a client that was
    faster than its rate was not read for a while, `overloads` how often the broker could not keep up. `forwarded_received` and
    `forwarded_sent` are messages from and to other nodes.
    """

    __slots__ = ("drops", "refusals", "denials", "ends", "connects", "authentications", "authorizations", "bytes_received",
                 "packets_received", "received", "sent", "missed", "pubacks_received", "qos1_unanswered", "qos2_received",
                 "flights", "qos2_sent", "parts_more", "qos2_dropped", "hook_failures", "job_failures", "held_back",
                 "overloads", "forwarded_received", "forwarded_sent", "_turn")

    def __init__(self, turn: Turn) -> None:
        self.drops: dict[str, int] = dict.fromkeys(DROPS, 0)
        self.refusals: dict[str, int] = dict.fromkeys(REFUSALS, 0)
        self.denials: dict[str, int] = dict.fromkeys(DENIALS, 0)
        self.ends: dict[str, int] = {}
        self.authentications: dict[str, int] = dict.fromkeys(AUTHENTICATIONS, 0)
        self.authorizations: dict[str, int] = dict.fromkeys(AUTHORIZATIONS, 0)
        self.connects = 0
        self.bytes_received = 0
        self.packets_received = 0
        self.received = [0] * 16
        self.sent = [0] * 16
        self.missed = [0] * 16
        self.pubacks_received = 0
        self.qos1_unanswered = 0
        self.qos2_received = 0
        self.flights = 0
        self.qos2_sent = 0
        self.parts_more = 0
        self.qos2_dropped = 0
        self.hook_failures = 0
        self.job_failures = 0
        self.held_back = 0
        self.overloads = 0
        self.forwarded_received = 0
        self.forwarded_sent = 0
        self._turn = turn

    def drop(self, cause: str, count: int = 1) -> None:
        self.drops[cause] += count

    def refuse(self, cause: str) -> None:
        self.refusals[cause] += 1

    def deny(self, what: str) -> None:
        self.denials[what] += 1

    def end(self, cause: str) -> None:
        self.ends[cause] = self.ends.get(cause, 0) + 1

    def authentication(self, result: str) -> None:
        self.authentications[result] += 1

    def authorization(self, answer: str) -> None:
        self.authorizations[answer] += 1

    def published(self) -> int:
        """How many PUBLISH packets were served."""
        return self.packets_received - sum(self.received) - self.pubacks_received

    def counters(self) -> dict[str, int]:
        """All counters by name; those of causes and results that are in closed lists are there from the start."""
        found = {"bytes_received": self.bytes_received, "bytes_sent": self._turn.bytes_sent}
        self._count_received(found)
        self._count_sent(found)
        for packet_type, name in MISSED.items():
            found[name] = self.missed[packet_type]
        found["qos2_dropped"] = self.qos2_dropped
        found["hook_failures"] = self.hook_failures
        found["job_failures"] = self.job_failures
        found["held_back"] = self.held_back
        found["overloads"] = self.overloads
        found["forwarded_received"] = self.forwarded_received
        found["forwarded_sent"] = self.forwarded_sent
        found["connects"] = self.connects
        for result, count in self.authentications.items():
            found["authentication_" + result] = count
        for answer, count in self.authorizations.items():
            found["authorization_" + answer] = count
        for cause, count in self.drops.items():
            found["dropped_" + cause] = count
        for cause, count in self.refusals.items():
            found["refused_" + cause] = count
        for what, count in self.denials.items():
            found["denied_" + what] = count
        for cause, count in sorted(self.ends.items()):
            found["ended_" + cause] = count
        return found

    def by_alias(self, retained: int) -> dict[str, int]:
        """The numbers under emqttd's names; `retained` is how many messages are retained."""
        found = self.counters()
        found["retained"] = retained
        return {alias: found[name] for alias, name in ALIASES.items()}

    def _count_received(self, found: dict[str, int]) -> None:
        others = sum(self.received) + self.pubacks_received
        qos1 = self.sent[c.PUBACK] + self.qos1_unanswered
        found["packets_received"] = self.packets_received
        found["publish_received"] = self.packets_received - others
        found["qos0_received"] = self.packets_received - others - qos1 - self.qos2_received
        found["qos1_received"] = qos1
        found["qos2_received"] = self.qos2_received
        for packet_type, name in RECEIVED.items():
            found[name] = self.received[packet_type]
        found["puback_received"] = self.pubacks_received

    def _count_sent(self, found: dict[str, int]) -> None:
        others = sum(self.sent)
        parts = self._turn.parts_sent + sum([len(link.out) for link in self._turn.links if link.version >= 0])
        qos0 = parts - others - PARTS * self.flights - self.parts_more
        found["packets_sent"] = others + qos0 + self.flights
        found["publish_sent"] = qos0 + self.flights
        found["qos0_sent"] = qos0
        found["qos1_sent"] = self.flights - self.qos2_sent
        found["qos2_sent"] = self.qos2_sent
        for packet_type, name in SENT.items():
            found[name] = self.sent[packet_type]


