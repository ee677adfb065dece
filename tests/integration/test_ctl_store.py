"""What a broker as a process tells of its store."""
import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from emqtwist.mqtt.constants import MQTT_3_1_1
from emqtwist.mqtt.packets import Connack, Connect, Puback, Publish, Suback, Subscribe
from tests.integration.program import Program
from tests.integration.raw import RawClient
from tests.integration.test_ctl import Ctl, ctl, port_of, start

__all__ = ["ctl", "start"]  # the fixtures


def test_the_numbers_of_the_store_are_those_of_what_it_keeps(tmp_path: Path, start: Callable[[str], Program], ctl: Ctl) -> None:
    began, began_at = time.monotonic(), time.time()
    broker = start("[mqtt.broker]\nsys_interval = 0\n")
    with RawClient(port_of(broker), MQTT_3_1_1) as bob:
        bob.send(Connect(MQTT_3_1_1, "bob", clean_start=False))
        bob.next(Connack)
        bob.send(Subscribe(1, [(b"a", 1)]))
        bob.next(Suback)
    with RawClient(port_of(broker)) as alice:
        alice.connect("alice")
        for number, (topic, payload, retain) in enumerate(((b"a", b"x", False), (b"a", b"yz", False), (b"b", b"kept", True)), 1):
            alice.send(Publish(topic, payload, 1, retain, packet_id=number))
            alice.next(Puback)
    told = {row["key"]: row["value"] for row in json.loads(ctl("store", "info", "--json").stdout)}
    store = tmp_path / "emqtwist-data" / "store.db"
    assert (told.pop("file_size"), told.pop("log_size")) == (store.stat().st_size, Path(f"{store}-wal").stat().st_size)
    assert began_at <= told.pop("committed_at") <= time.time()
    assert 0 < told.pop("commit_median") <= told.pop("commit_slowest") < time.monotonic() - began
    broker.terminate()
    with sqlite3.connect(store) as database:
        (free,), = database.execute("PRAGMA freelist_count")
    assert told == {"sessions": 1, "queued": 2, "queued_bytes": len("a" "x" "a" "yz"), "retained": 1, "free_pages": free}
