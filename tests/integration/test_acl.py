"""Rules that change in a file while messages wait for a client of a broker as a process."""
from collections.abc import Iterator
from pathlib import Path

import pytest

from emqtwist.mqtt.packets import Connack, Connect, Disconnect, Pingreq, Pingresp, Puback, Publish
from emqtwist.mqtt.properties import Properties
from tests.integration.brokers import RunningBroker
from tests.integration.program import python_script, run
from tests.integration.raw import RawClient


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBroker]:
    (tmp_path / "acl.conf").write_text("{allow, all}.\n")
    broker = RunningBroker(tmp_path, "mqtt.acl_file = acl.conf\n")
    yield broker
    broker.program.terminate()


def ctl(broker: RunningBroker, *words: str) -> str:
    return run(python_script("emqtwist_ctl"), *words, cwd=broker.file.parent).stdout.decode()


def connect(carol: RawClient) -> bool:
    """Whether the session was present."""
    properties = Properties()
    properties.session_expiry_interval, properties.receive_maximum = 1000, 1
    carol.send(Connect(5, "carol", clean_start=False, properties=properties))
    return carol.next(Connack).session_present


@pytest.mark.parametrize("away", [False, True])
def test_what_waits_does_not_reach_a_client_that_may_not_have_it_any_more(broker: RunningBroker, away: bool) -> None:
    with RawClient(broker.port) as carol, RawClient(broker.port) as dan:
        assert not connect(carol)
        assert carol.subscribe(b"secrets/#", 1) == [1]
        dan.connect("dan")
        for packet_id in (1, 2):
            dan.send(Publish(b"secrets/a", b"x", 1, packet_id=packet_id))
            assert dan.next(Puback).packet_id == packet_id
        assert carol.next(Publish).payload == b"x"
        if away:
            carol.send(Disconnect())
            assert carol.is_closed()
        (broker.file.parent / "acl.conf").write_text('{deny, all, subscribe, ["secrets/#"]}.\n{allow, all}.\n')
        ctl(broker, "acl", "reload")
    with RawClient(broker.port) as carol:
        assert connect(carol) is not away  # a session with a subscription that is denied by now is not resumed
        carol.send(Pingreq())
        carol.next(Pingresp)
    dropped = ctl(broker, "explain", "drop", "client", "carol")
    assert dropped.count("no_longer_allowed: secrets/a from dan for carol: ") == (0 if away else 2)
