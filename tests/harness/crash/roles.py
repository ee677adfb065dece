"""What the clients of a crash run do, what they were promised, and whether they got it."""
import time
from random import Random
from typing import Final

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Publish, Subscribe, Unsubscribe
from tests.harness.crash.client import EXPIRY, Client, Found, Loop

WINDOW: Final = 8  # messages that a publisher has under way
TOPICS: Final = (b"t/0", b"t/1", b"t/2")
LATE: Final = 1.5  # seconds by which a rounded expiry may be off
SHORT: Final = 2  # seconds that some messages live, and some sessions


class Publisher(Client):
    """Publishes to TOPICS at QoS 1 and 2 as fast as it is acknowledged; payloads say where they come from."""

    def __init__(self, loop: Loop, port: int, client_id: str, seed: str) -> None:
        super().__init__(loop, port, client_id)
        self.random = Random(seed)
        self.active = False
        self.count = 0
        self.acknowledged: list[bytes] = []
        self.refused: set[bytes] = set()

    def act(self) -> None:
        super().act()
        while self.active and self.connected and len(self.outgoing) < WINDOW:
            self.count += 1
            topic, qos = self.random.choice(TOPICS), self.random.choice((1, 2))
            self.publish(topic, b"%s %s %d %d" % (self.client_id.encode(), topic, qos, self.count), qos)

    def got_acknowledgement(self, publish: Publish, reason_code: int) -> None:
        if reason_code == c.NO_MATCHING_SUBSCRIBERS:
            raise Found(f"{publish.payload!r}: nobody subscribes any more")
        if reason_code >= 0x80:
            self.refused.add(publish.payload)
        else:
            self.acknowledged.append(publish.payload)


class Subscriber(Client):
    """Subscribes to all TOPICS, and off and on to filters of its own; `got` is what its application got, in order."""

    def __init__(self, loop: Loop, port: int, client_id: str, version: int = c.MQTT_5_0, topic_filter: bytes = b"t/+") -> None:
        super().__init__(loop, port, client_id, version)
        self.got: list[bytes] = []
        self.filters: dict[bytes, bool] = {}  # its own: whether it is subscribed, as far as it was told
        self.request(Subscribe(0, [(topic_filter, 2)]))

    def got_message(self, publish: Publish) -> None:
        self.got.append(publish.payload)

    def got_answer(self, request: Subscribe | Unsubscribe) -> None:
        for each in request.filters:
            topic_filter = each if isinstance(each, bytes) else each[0]
            if topic_filter[:2] == b"x/":
                self.filters[topic_filter] = isinstance(request, Subscribe)

    def change_mind(self, random: Random) -> None:
        """Subscribe or unsubscribe one of its own filters, if nothing is asked already."""
        topic_filter = b"x/%s/%d" % (self.client_id.encode(), random.randrange(4))
        if not self.requests:
            there = self.filters.get(topic_filter, False)
            self.request(Unsubscribe(0, [topic_filter]) if there else Subscribe(0, [(topic_filter, 1)]))

    def verify(self) -> None:
        """At QoS 2 nothing twice; first occurrences in the order of each publisher, topic and QoS."""
        last: dict[bytes, int] = {}
        seen: set[bytes] = set()
        for payload in self.got:
            stream, _, number = payload.rpartition(b" ")
            if payload in seen:
                if stream.endswith(b" 2"):
                    raise Found(f"{self.client_id} got {payload!r} twice, at QoS 2")
                continue
            seen.add(payload)
            if last.get(stream, 0) >= int(number):
                raise Found(f"{self.client_id} got {payload!r} after number {last[stream]}")
            last[stream] = int(number)


class Retainer(Client):
    """Replaces the retained messages of a few topics, one after another."""

    def __init__(self, loop: Loop, port: int, seed: str) -> None:
        super().__init__(loop, port, "retainer")
        self.random = Random(seed)
        self.active = False
        self.count = 0
        self.kept: dict[bytes, bytes] = {}

    def act(self) -> None:
        super().act()
        if self.active and self.connected and not self.outgoing:
            self.count += 1
            payload = b"%d" % self.count if self.random.random() < 0.8 else b""
            self.publish(b"r/%d" % self.random.randrange(5), payload, 1, retain=True)

    def got_acknowledgement(self, publish: Publish, reason_code: int) -> None:
        if reason_code < 0x80:
            self.kept[publish.topic_name] = publish.payload


class Mortal(Client):
    """Publishes messages that expire, late or soon, to a client that is away until the end."""

    def __init__(self, loop: Loop, port: int) -> None:
        super().__init__(loop, port, "mortal")
        self.active = False
        self.given: dict[bytes, int] = {}  # payload -> seconds that it may live
        self.sent: dict[bytes, float] = {}  # payload -> when it was sent last
        self.acknowledged: set[bytes] = set()  # of those that live long
        self._next = 0.0

    def act(self) -> None:
        super().act()
        now = time.monotonic()
        if self.active and self.connected and not self.outgoing and now >= self._next:
            self._next = now + 0.1
            payload = b"%d" % len(self.sent)
            self.sent[payload] = now
            self.given[payload] = SHORT if len(self.sent) % 3 == 0 else EXPIRY
            self.publish(b"e/x", payload, 1, expiry=self.given[payload])

    def sends_again(self, publish: Publish) -> None:
        """Its life begins anew when the broker gets it."""
        self.sent[publish.payload] = time.monotonic()

    def got_acknowledgement(self, publish: Publish, reason_code: int) -> None:
        if reason_code < 0x80 and self.given[publish.payload] == EXPIRY:
            self.acknowledged.add(publish.payload)


class Heir(Client):
    """Subscribes to what the Mortal publishes, and is away until the end."""

    def __init__(self, loop: Loop, port: int) -> None:
        super().__init__(loop, port, "heir")
        self.left: dict[bytes, tuple[int, float]] = {}  # payload -> rest of its life, and when it came
        self.request(Subscribe(0, [(b"e/#", 1)]))

    def got_message(self, publish: Publish) -> None:
        rest = publish.properties.message_expiry_interval if publish.properties else None
        self.left[publish.payload] = -1 if rest is None else rest, time.monotonic()

    def verify(self, mortal: Mortal) -> None:
        """No message lives longer than it was given."""
        for payload, (rest, came) in self.left.items():
            allowed = mortal.given[payload] - (came - mortal.sent[payload])
            if not 0 <= rest <= allowed + LATE:
                raise Found(f"message {payload!r} has {rest} s to live, and should have {allowed:.1f} s")


class Reader(Client):
    """Reads the retained messages, once, at the end."""

    def __init__(self, loop: Loop, port: int) -> None:
        super().__init__(loop, port, "reader")
        self.kept: dict[bytes, bytes] = {}
        self.request(Subscribe(0, [(b"r/#", 1)]))

    def got_message(self, publish: Publish) -> None:
        self.kept[publish.topic_name] = publish.payload


class Guest(Client):
    """Its session is to end soon after it went; it comes back long after that."""

    expiry = SHORT

    def __init__(self, loop: Loop, port: int) -> None:
        super().__init__(loop, port, "guest")
        self.over = 0.0  # when its session is to be gone
        self.request(Subscribe(0, [(b"t/+", 1)]))

    def got_session(self, present: bool) -> None:
        if present and self.over and time.monotonic() > self.over:
            raise Found("the session of guest outlives its expiry")
