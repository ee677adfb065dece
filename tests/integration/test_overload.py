"""A broker in a process of its own that something really keeps from keeping up, until that stops."""
import json
import os
from itertools import count
from pathlib import Path

from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import Connack, Connect, Publish
from tests.integration.brokers import RunningBroker
from tests.integration.program import CHECKOUT
from tests.integration.raw import RawClient

CONFIGURATION = """
node.plugins = hog
[sysmon]
long_schedule = 120ms
[overload]
lag = 200ms
time = 100ms
calm = 100ms
"""
PLUGIN = """\
import json
import time


class Hog:
    # Of each 300 ms the broker has what is left by a call that blocks for as long.

    def load(self, broker):
        self.broker = broker
        self.callbacks = [broker.subscribe(*each) for each in (("hog", self.begin), ("calm", self.end), ("ask", self.tell))]

    def unload(self):
        for callback in self.callbacks:
            self.broker.unsubscribe(callback)

    def begin(self, message):
        self.runs = True
        self.block()

    def block(self):
        time.sleep(0.3)
        if self.runs:
            self.broker.reactor.callLater(0, self.block)

    def end(self, message):
        self.runs = False

    def tell(self, message):
        counters = self.broker.broker.metrics.counters()
        self.broker.publish("told", json.dumps({
            "overloaded": self.broker.broker.circle.overloaded, "held_back": counters["held_back"],
            "shed": counters["dropped_overload"],
            "clients": len(self.broker.listeners["default"].factory.protocols)}).encode())
"""


def install(folder: Path) -> None:
    """A package with the plug-in, found from `folder`."""
    (folder / "hog.py").write_text(PLUGIN)
    info = folder / "hog-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hog\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[emqtwist.plugins]\nhog = hog:Hog\n")


class Pair:
    """Somebody who publishes at QoS 1 and reads no answer, and somebody who hears what there is to hear."""

    def __init__(self, publisher: RawClient, watcher: RawClient) -> None:
        self._publisher = publisher
        self._watcher = watcher
        self._numbers = count(1)
        publisher.connect("publisher")
        watcher.connect("watcher")
        watcher.subscribe(b"told")
        watcher.subscribe(b"heard")

    def publish(self, *topics: bytes) -> None:
        """A message to each, all at once; at QoS 0 where a `-` stands before."""
        packets = [Publish(topic[1:], b"0", 0) if topic.startswith(b"-") else
                   Publish(topic, b"1", 1, packet_id=next(self._numbers)) for topic in topics]
        self._publisher.socket.sendall(b"".join([encode(packet, self._publisher.version) for packet in packets]))

    def heard(self) -> tuple[bytes, bytes]:
        packet = self._watcher.next(Publish)
        return packet.topic_name, packet.payload

    def told(self) -> dict[str, int]:
        topic, payload = self.heard()
        assert topic == b"told"
        found: dict[str, int] = json.loads(payload)
        return found


def test_a_broker_that_cannot_keep_up_accepts_nobody_slows_publishers_down_and_recovers(tmp_path: Path) -> None:
    install(tmp_path)
    broker = RunningBroker(tmp_path, CONFIGURATION, PYTHONPATH=f"{CHECKOUT}{os.pathsep}{tmp_path}")
    try:
        with RawClient(broker.port) as publisher, RawClient(broker.port) as watcher:
            pair = Pair(publisher, watcher)
            pair.publish(b"hog", b"ask")
            while not pair.told()["overloaded"]:
                pair.publish(b"ask")
            with RawClient(broker.port) as late:
                late.send(Connect(late.version, "late"))
                pair.publish(b"-heard", b"heard", b"ask")
                assert pair.heard() == (b"heard", b"1")  # what was sent before it, at QoS 0, is not passed on
                assert pair.told()["overloaded"]
                pair.publish(b"ask", b"calm")
                told = pair.told()
                assert told.pop("held_back") > 0
                assert told == {"overloaded": True, "shed": 1, "clients": 2}
                assert late.next(Connack).reason_code == 0
            pair.publish(b"heard")
            assert pair.heard() == (b"heard", b"1")
        broker.program.next("the broker is overloaded: up to [0-9]+ ms late")
        broker.program.next("the broker is not overloaded any more")
    finally:
        broker.program.terminate()
