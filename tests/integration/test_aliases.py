"""Topic Aliases with clients that others wrote, against a real broker."""
import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gmqtt import Client

from tests.integration.brokers import RunningBroker
from tests.integration.clients.kinds import KINDS, MQTTJS
from tests.integration.program import LIMIT, run


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBroker]:
    broker = RunningBroker(tmp_path, "[mqtt]\nmax_topic_alias = 2\n")
    yield broker
    broker.program.terminate()


@pytest.mark.parametrize(("receiving", "without_topic"), [(0, 0), (1, 8), (5, 16)])
def test_mqttjs_uses_aliases_in_both_directions(broker: RunningBroker, receiving: int, without_topic: int) -> None:
    (mqttjs,) = [kind for kind in KINDS if kind.name == "mqttjs"]
    if mqttjs.missing():
        pytest.skip(mqttjs.missing())
    ended = run("node", MQTTJS / "aliases.js", str(broker.port), str(receiving))
    (line,) = [line for line in ended.stdout.decode().splitlines() if line.startswith("result: ")]
    assert json.loads(line.removeprefix("result: ")) == {
        "same": True, "maximum": 2, "sent": 16, "received": without_topic}


def test_gmqtt_takes_aliases(broker: RunningBroker) -> None:
    async def receive() -> list[tuple[str, bytes, Any]]:
        messages: asyncio.Queue[tuple[str, bytes, Any]] = asyncio.Queue()
        subscribed = asyncio.Event()
        client = Client("gmqtt", topic_alias_maximum=1)
        client.on_message = lambda client, topic, payload, qos, properties: messages.put_nowait(
            (topic, payload, properties.get("topic_alias")))
        client.on_subscribe = lambda *arguments: subscribed.set()
        await client.connect("127.0.0.1", broker.port)
        client.subscribe("measured/#", qos=1)
        await subscribed.wait()
        for topic in ("measured/indoors", "measured/outdoors"):
            for number in range(2):
                client.publish(topic, str(number), qos=1)
        received = [await messages.get() for _ in range(4)]
        await client.disconnect()
        return received

    assert asyncio.run(asyncio.wait_for(receive(), LIMIT)) == [
        ("measured/indoors", b"0", [1]), ("measured/indoors", b"1", [1]),
        ("measured/outdoors", b"0", None), ("measured/outdoors", b"1", None)]
