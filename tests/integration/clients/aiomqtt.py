"""aiomqtt: paho-mqtt under asyncio. It does not tell whether a session was present."""
from contextlib import AsyncExitStack

from aiomqtt import Client, ProtocolVersion, Will
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY
from paho.mqtt.packettypes import PacketTypes

from tests.integration.clients.paho_properties import VERSIONS, connect_properties, publish_properties, received
from tests.integration.clients.program import serve
from tests.integration.clients.vocabulary import Message, Opening


def _will(opening: Opening) -> Will | None:
    will = opening.will
    if will is None:
        return None
    properties = publish_properties(will, opening.version, PacketTypes.WILLMESSAGE)
    return Will(will.topic, will.payload, will.qos, will.retain, properties)


class AiomqttClient:

    def __init__(self) -> None:
        self._version = ""
        self._context = AsyncExitStack()

    async def open(self, opening: Opening) -> None:
        self._version = opening.version
        is_5 = opening.version == "5.0"
        self._client = Client(
            "127.0.0.1", opening.port, identifier=opening.client_id, protocol=ProtocolVersion(VERSIONS[opening.version]),
            clean_session=None if is_5 else opening.clean, clean_start=opening.clean if is_5 else MQTT_CLEAN_START_FIRST_ONLY,
            properties=connect_properties(opening), will=_will(opening), timeout=30,
            transport="websockets" if opening.websocket else "tcp", websocket_path="/mqtt" if opening.websocket else None)
        await self._context.enter_async_context(self._client)

    async def subscribe(self, topic_filter: str, qos: int) -> None:
        granted = await self._client.subscribe(topic_filter, qos)
        assert [getattr(code, "value", code) for code in granted] == [qos]

    async def publish(self, message: Message) -> None:
        properties = publish_properties(message, self._version)
        await self._client.publish(message.topic, message.payload, message.qos, message.retain, properties)

    async def receive(self) -> Message:
        message = await anext(self._client.messages)
        return received(str(message.topic), message.payload, message.qos, message.retain, message.properties)

    async def close(self) -> None:
        await self._context.aclose()


if __name__ == "__main__":
    serve(AiomqttClient)
