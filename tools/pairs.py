"""Pairs of clients as a load: packets are made beforehand and are of one size, so that this is not the limit."""
import selectors
import socket
import time

WINDOW = 500  # messages under way in each pair
MESSAGES = 20_000  # of each pair
PAYLOAD = 64
PUBREC, PUBREL = 0x50, 0x62


def connected(port, packet):
    """A client that has sent this CONNECT and was let in."""
    client = socket.create_connection(("127.0.0.1", port))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.sendall(packet)
    assert client.recv(4)[3] == 0
    return client


def text(value):
    return len(value).to_bytes(2, "big") + value


def subscribe(client, topic, qos=1):
    client.sendall(b"\x82%c\0\1" % (5 + len(topic)) + text(topic) + b"%c" % qos)
    assert client.recv(5)[::4] == b"\x90%c" % qos


def publish(topic, packet_id, payload, qos=1):
    body = text(topic) + (packet_id.to_bytes(2, "big") if qos else b"") + payload
    return b"%c%c" % (0x30 | qos << 1, len(body)) + body


class Pair:
    """A publisher that has up to WINDOW messages under way, and the subscriber, which acknowledges them."""

    def __init__(self, publisher, subscriber, topic, qos=1):
        self.publisher, self.subscriber, self.topic, self.qos = publisher, subscriber, topic, qos
        subscribe(subscriber, topic, qos)
        self.packets = [publish(topic, packet_id, bytes(PAYLOAD), qos) for packet_id in range(1, WINDOW + 1)]
        self.size = len(self.packets[0])
        self.sent = self.acknowledged = self.got = 0
        self.rest = b""

    def send(self):
        done = self.acknowledged if self.qos else self.got
        count = min(WINDOW - (self.sent - done), MESSAGES - self.sent)
        if count > 0:
            first = self.sent % WINDOW
            self.publisher.sendall(b"".join((self.packets * 2)[first:first + count]))
            self.sent += count

    def take_acknowledgements(self):
        self.acknowledged += len(self.publisher.recv(1 << 16)) // 4
        self.send()

    def take_messages(self):
        data = self.rest + self.subscriber.recv(1 << 18)
        whole = len(data) // self.size
        if self.qos:
            at = 4 + len(self.topic)
            self.subscriber.sendall(b"".join([b"\x40\2" + data[start + at:start + at + 2]
                                              for start in range(0, whole * self.size, self.size)]))
        self.rest = data[whole * self.size:]
        self.got += whole
        if not self.qos:
            self.send()

    def is_done(self):
        return self.got >= MESSAGES and (not self.qos or self.acknowledged >= MESSAGES)


class ExactPair(Pair):
    """The same at QoS 2: both say each of their two answers at once."""

    def __init__(self, publisher, subscriber, topic):
        super().__init__(publisher, subscriber, topic, 2)

    def take_acknowledgements(self):
        data = self.publisher.recv(1 << 16)
        answers = [b"\x62\2" + data[at + 2:at + 4] for at in range(0, len(data), 4) if data[at] == PUBREC]
        self.acknowledged += len(data) // 4 - len(answers)
        if answers:
            self.publisher.sendall(b"".join(answers))
        self.send()

    def take_messages(self):
        data = self.rest + self.subscriber.recv(1 << 18)
        answers, start, at = [], 0, 4 + len(self.topic)
        while start < len(data):
            is_message = data[start] != PUBREL
            end = start + (self.size if is_message else 4)
            if end > len(data):
                break
            answers.append(b"\x50\2" + data[start + at:start + at + 2] if is_message else b"\x70\2" + data[start + 2:end])
            self.got += not is_message
            start = end
        self.rest = data[start:]
        if answers:
            self.subscriber.sendall(b"".join(answers))


def stream(pairs):
    """Let all pairs send what they have; the seconds that it takes."""
    with selectors.DefaultSelector() as selector:
        for pair in pairs:
            selector.register(pair.publisher, selectors.EVENT_READ, pair.take_acknowledgements)
            selector.register(pair.subscriber, selectors.EVENT_READ, pair.take_messages)
        began = time.perf_counter()
        for pair in pairs:
            pair.send()
        while not all(pair.is_done() for pair in pairs):
            for key, _ in selector.select():
                key.data()
        return time.perf_counter() - began
