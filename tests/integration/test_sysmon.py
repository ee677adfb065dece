"""The system monitor of a broker in a process of its own: what a plug-in does to it is named, and so is who reads slowly."""
import json
import os
from pathlib import Path

from emqtwist.mqtt.packets import Publish
from tests.integration.brokers import RunningBroker
from tests.integration.program import CHECKOUT
from tests.integration.raw import RawClient

ROOT = b"$SYS/brokers/emqtwist@127.0.0.1/"
PLUGIN = '''\
import time


class Sleeper:
    def load(self, broker):
        self.broker = broker
        self.callback = broker.subscribe("sleep", self.compute)

    def unload(self):
        self.broker.unsubscribe(self.callback)

    def compute(self, message):
        time.sleep(float(message.payload))
'''


def install(folder: Path) -> None:
    """A package with the plug-in, found from `folder`."""
    (folder / "sleeper.py").write_text(PLUGIN)
    info = folder / "sleeper-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sleeper\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[emqtwist.plugins]\nsleeper = sleeper:Sleeper\n")


def test_a_call_of_a_plug_in_that_blocks_for_300_ms_is_named_in_the_log_the_alarm_and_sys(tmp_path: Path) -> None:
    install(tmp_path)
    broker = RunningBroker(tmp_path, "node.plugins = sleeper\nsysmon.alarm_time = 1s\n",
                           PYTHONPATH=f"{CHECKOUT}{os.pathsep}{tmp_path}")
    try:
        with RawClient(broker.port) as watcher, RawClient(broker.port) as client:
            watcher.connect("watcher")
            watcher.subscribe(ROOT + b"sysmon/#")
            watcher.subscribe(ROOT + b"alarms/long_schedule/+")
            client.connect("client")
            client.send(Publish(b"sleep", b"0.3"))
            name = "sleeper:Sleeper.compute:13"
            warned = alerted = over = False
            while not over:
                packet = watcher.next(Publish)
                topic, text = packet.topic_name.removeprefix(ROOT), packet.payload.decode()
                if topic == b"sysmon/long_schedule":
                    warned = warned or text.startswith(f"long_schedule warning: pid = {name}, info: ")
                elif topic == b"alarms/long_schedule/alert":
                    alerted = json.loads(text)["summary"].startswith(f"{name}: ")
                elif warned and alerted:
                    over = True
                else:  # the machine itself had held the broker up before, and that is over
                    client.send(Publish(b"sleep", b"0.3"))
            broker.program.next(rf"long_schedule warning: pid = {name}, info: \d+ ms late, seen there \d+ times of \d+")
            broker.program.next(rf"alarm long_schedule: {name}: ")
            broker.program.next("alarm long_schedule is over")
    finally:
        broker.program.terminate()


def test_a_client_that_does_not_read_is_named(tmp_path: Path) -> None:
    broker = RunningBroker(tmp_path, "sysmon.busy_port = 64KB\nsysmon.busy_port_time = 1s\n")
    try:
        with RawClient(broker.port) as watcher, RawClient(broker.port) as publisher, RawClient(broker.port) as slow:
            watcher.connect("watcher")
            watcher.subscribe(ROOT + b"sysmon/busy_port")
            publisher.connect("publisher")
            slow.connect("slow")
            slow.subscribe(b"much")
            for _ in range(64):  # more than the system keeps for a socket
                publisher.send(Publish(b"much", bytes(512 << 10)))
            text = watcher.next(Publish).payload.decode()
            peer = "{}:{}".format(*slow.socket.getsockname())
            assert text.startswith(f"busy_port warning: suspid = slow, port = {peer}, info: ")
            broker.program.next("alarm busy_port/slow: ")
        broker.program.next("alarm busy_port/slow is over")
    finally:
        broker.program.terminate()
