"""gmqtt: an asyncio client of its own making, for 3.1.1 and 5.0."""
import asyncio
from typing import Any

from gmqtt import Client
from gmqtt import Message as GmqttMessage

from tests.integration.clients.program import serve
from tests.integration.clients.vocabulary import Message, Opening

VERSIONS = {"3.1.1": 4, "5.0": 5}
NAMES = {
    "content_type": "content_type", "response_topic": "response_topic", "correlation_data": "correlation_data",
    "message_expiry_interval": "message_expiry_interval", "user_properties": "user_property",
}


def _to_gmqtt(message: Message) -> GmqttMessage:
    said = {theirs: getattr(message, ours) for ours, theirs in NAMES.items()}
    properties = {name: value for name, value in said.items() if value is not None and value != ()}
    return GmqttMessage(message.topic, message.payload, message.qos, message.retain, **properties)


def _from_gmqtt(topic: str, payload: bytes, qos: int, properties: dict[str, list[Any]]) -> Message:
    said = {ours: properties[theirs][0] for ours, theirs in NAMES.items() if theirs in properties}
    said["user_properties"] = tuple(properties.get("user_property", ()))
    return Message(topic=topic, payload=bytes(payload), qos=qos, retain=bool(properties["retain"]), **said)


class GmqttClient:

    def __init__(self) -> None:
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._present: asyncio.Queue[bool] = asyncio.Queue()
        self._granted: asyncio.Queue[tuple[int, ...]] = asyncio.Queue()

    async def open(self, opening: Opening) -> bool:
        will = None if opening.will is None else _to_gmqtt(opening.will)
        expiry = {} if opening.clean or opening.version != "5.0" else {"session_expiry_interval": opening.expiry}
        self._client = client = Client(opening.client_id, clean_session=opening.clean, will_message=will, **expiry)
        client.stop_reconnect()
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        await client.connect("127.0.0.1", opening.port, version=VERSIONS[opening.version])
        return await self._present.get()

    async def subscribe(self, topic_filter: str, qos: int) -> None:
        self._client.subscribe(topic_filter, qos)
        assert await self._granted.get() == (qos,)

    async def publish(self, message: Message) -> None:
        self._client.publish(_to_gmqtt(message))
        await self._client._persistent_storage.wait_empty()  # it says in no other way that it was acknowledged

    async def receive(self) -> Message:
        return await self._messages.get()

    async def close(self) -> None:
        await self._client.disconnect()

    def _on_connect(self, client: Client, flags: int, reason_code: int, properties: dict[str, Any]) -> None:
        self._present.put_nowait(bool(flags & 1))

    def _on_subscribe(self, client: Client, packet_id: int, granted: tuple[int, ...], properties: object) -> None:
        self._granted.put_nowait(granted)

    def _on_message(self, client: Client, topic: str, payload: bytes, qos: int, properties: dict[str, Any]) -> int:
        self._messages.put_nowait(_from_gmqtt(topic, payload, qos, properties))
        return 0


if __name__ == "__main__":
    serve(GmqttClient)
