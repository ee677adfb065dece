"""Packets as a client might send them: well-formed, mostly sensible, of one protocol version."""
from collections.abc import Sequence
from random import Random
from typing import TypeVar

from emqtwist.access.verifiers import METHOD
from emqtwist.mqtt import constants as c
from emqtwist.mqtt import packets as p
from emqtwist.mqtt.properties import (
    BINARY,
    FLAG,
    FOUR,
    NONZERO_FOUR,
    NONZERO_VARIABLE,
    PROPERTIES,
    STRING,
    STRING_PAIR,
    TWO,
    WILL,
    Properties,
)
from tests.harness.fuzz.logins import FIRST, with_method

CLIENTS = ("f1", "f2", "f3", "é" * 20)
ODD_CLIENTS = ("", "x" * 300)
TOPICS = (b"f", b"f/a", b"f/a/b", b"f/" + "é".encode(), b"/", b"f//a", b"$f/a", b"f" * 300, b"f/" * 100)
ODD_TOPICS = (b"", b"$SYS/f", b"$share/g/f", b"f/#", b"+", b"f/" * 130, b"\xff", b"f\0")
FILTERS = (*TOPICS, b"#", b"f/#", b"+/a", b"+", b"f/+/b", b"$SYS/#", b"+/+/+", b"$share/g/f/#", b"$share/g/f/a", b"$queue/f",
           b"$local/f/a", b"$exclusive/f/a", b"$local/$share/g/#")
ODD_FILTERS = (b"", b"$share/g", b"$share//f", b"$exclusive/#", b"f/#/a", b"f+", b"f/" * 130, b"\xff", b"f\0")
STRINGS = ("", "text", "é€😀", "x" * 500)
NUMBERS = (0, 1, 2, 3, 127, 128, 16_383, 16_384, 65_535)
PACKET_IDS = (1, 1, 2, 2, 3, 7, 65_535)
METHODS = (METHOD,) * 6 + ("", "other", METHOD.lower(), "x" * 500)
DATA = (FIRST, FIRST, None, b"", b"n,,", b"c=biws,r=noncebroker,p=AAAA", b"\xff\0", b"n,,n=,r=", b"x" * 1025)
AUTH_CODES = (c.CONTINUE_AUTHENTICATION, c.CONTINUE_AUTHENTICATION, c.RE_AUTHENTICATE, c.RE_AUTHENTICATE, c.SUCCESS)
T = TypeVar("T")


class Packets:
    """A source of packets; `wild` ones may hold properties that do not belong to them, with any value.

    With a `method` CONNECT has an Authentication Method, and AUTH is as usual as other packets.
    """

    def __init__(self, random: Random, version: int) -> None:
        self.random = random
        self.version = version
        self.wild = random.random() < 0.15
        self.method = self._five() and random.random() < 0.2

    def session(self) -> list[p.Packet]:
        """CONNECT, some packets, and perhaps DISCONNECT."""
        packets = [self.connect()] if self.random.random() < 0.97 else []
        return packets + self.rest()

    def rest(self) -> list[p.Packet]:
        """What follows CONNECT."""
        usual = [self.publish, self.publish, self.publish, self.subscribe, self.subscribe, self.unsubscribe,
                 self.acknowledgement, self.acknowledgement, self.pingreq]
        if self.method:
            usual += [self.auth, self.auth, self.auth]
        packets = [self.pick(usual, (self.foreign,))() for _ in range(self.random.randrange(16))]
        return [*packets, self.disconnect()] if self.random.random() < 0.3 else packets

    def connect(self) -> p.Connect:
        user = self.pick((None, None, "user"))
        packet = p.Connect(self.version, self.pick(CLIENTS, ODD_CLIENTS), self.flag(), self.pick((0, 0, 1, 60, 65_535)), user,
                           None if user is None and self.version < c.MQTT_5_0 else self.pick((None, b"secret")))
        packet.bridge = self.random.random() < 0.05
        packet.properties = self.properties(c.CONNECT)
        if self.method:
            packet.properties = with_method(packet.properties, self.pick(METHODS), self.pick(DATA))
        if self.flag():
            packet.will = p.Will(self.pick(TOPICS, ODD_TOPICS), self.payload(), self.random.randrange(3), self.flag(),
                                 self.properties(WILL))
        return packet

    def publish(self) -> p.Packet:
        qos = self.random.randrange(3)
        return p.Publish(self.pick(TOPICS, ODD_TOPICS), self.payload(), qos, self.flag(), self.flag() and qos > 0,
                         self.pick(PACKET_IDS) if qos else 0, self.properties(c.PUBLISH))

    def subscribe(self) -> p.Packet:
        filters = [(self.pick(FILTERS, ODD_FILTERS), self.options()) for _ in range(self.pick((1, 1, 2, 5, 40)))]
        return p.Subscribe(self.pick(PACKET_IDS), filters, self.properties(c.SUBSCRIBE))

    def options(self) -> int:
        """Subscription Options."""
        return self.random.randrange(3) | (self.random.randrange(12) << 2 if self._five() else 0)

    def unsubscribe(self) -> p.Packet:
        filters = [self.pick(FILTERS, ODD_FILTERS) for _ in range(self.random.choice((1, 2, 10)))]
        return p.Unsubscribe(self.pick(PACKET_IDS), filters, self.properties(c.UNSUBSCRIBE))

    def acknowledgement(self) -> p.Packet:
        kind = self.pick((p.Puback, p.Pubrec, p.Pubrel, p.Pubcomp))
        code = self.pick(sorted(c.REASON_CODES[kind.type])) if self._five() else 0
        return kind(self.pick(PACKET_IDS), code, self.properties(kind.type))

    def pingreq(self) -> p.Packet:
        return p.Pingreq()

    def disconnect(self) -> p.Packet:
        code = self.pick(sorted(c.REASON_CODES[c.DISCONNECT])) if self._five() and self.flag() else 0
        return p.Disconnect(code, self.properties(c.DISCONNECT))

    def auth(self) -> p.Packet:
        properties = self.properties(c.AUTH)
        if self.random.random() < 0.9:
            properties = with_method(properties, self.pick(METHODS), self.pick(DATA))
        return p.Auth(self.pick(AUTH_CODES), properties)

    def foreign(self) -> p.Packet:
        """What a client does not send, or not now."""
        packets = [p.Connack(self.flag()), p.Suback(self.pick(PACKET_IDS), [0]), p.Unsuback(self.pick(PACKET_IDS), [0]),
                   p.Pingresp(), self.connect()]
        return self.pick([*packets, self.auth()] if self._five() else packets)

    def payload(self) -> bytes:
        return self.random.randbytes(self.pick((0, 1, 10, 10, 200, 5000)))

    def properties(self, holder: int) -> Properties | None:
        if not self._five() or self.random.random() < 0.5:
            return None
        rows = [row for row in PROPERTIES if self.wild or row.holders >> holder & 1 and "authentication" not in row.name]
        properties = Properties()
        for row in self.random.sample(rows, min(len(rows), self.random.randrange(1, 5))):
            value = self._value(row.type)
            setattr(properties, row.name, [value] if row.type in (STRING_PAIR, NONZERO_VARIABLE) else value)
        return properties

    def _value(self, kind: int) -> object:
        if kind == FLAG:
            return self.random.randrange(3 if self.wild else 2)
        if kind in (STRING, BINARY):
            text = self.pick(STRINGS)
            return text if kind == STRING else text.encode()
        if kind == STRING_PAIR:
            return self.pick(STRINGS), self.pick(STRINGS)
        number = self.pick(NUMBERS if self.wild or kind in (TWO, FOUR) else NUMBERS[1:])
        return number * self.pick((1, 65_537)) if kind in (FOUR, NONZERO_FOUR) else number

    def flag(self) -> bool:
        return self.random.random() < 0.5

    def pick(self, among: Sequence[T], odd: Sequence[T] = ()) -> T:
        """One of these, seldom an odd one."""
        return self.random.choice(odd if odd and self.random.random() < 0.04 else among)

    def _five(self) -> bool:
        return self.version == c.MQTT_5_0
