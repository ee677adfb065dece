"""paho-mqtt, with its network loop in its own thread."""
from queue import SimpleQueue

from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY, Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tests.integration.clients.paho_properties import VERSIONS, connect_properties, publish_properties, received
from tests.integration.clients.program import serve
from tests.integration.clients.vocabulary import Message, Opening


class PahoClient:

    def __init__(self) -> None:
        self._version = ""
        self._connacks: SimpleQueue[tuple[bool, bool]] = SimpleQueue()  # accepted, session present
        self._granted: SimpleQueue[list[ReasonCode]] = SimpleQueue()
        self._ended: SimpleQueue[ReasonCode] = SimpleQueue()
        self._messages: SimpleQueue[MQTTMessage] = SimpleQueue()

    async def open(self, opening: Opening) -> bool:
        self._version = opening.version
        is_5 = opening.version == "5.0"
        self._client = client = Client(
            CallbackAPIVersion.VERSION2, opening.client_id, clean_session=None if is_5 else opening.clean,
            protocol=VERSIONS[opening.version], reconnect_on_failure=False,
            transport="websockets" if opening.websocket else "tcp")
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = lambda client, userdata, message: self._messages.put(message)
        if opening.will is not None:
            will = opening.will
            properties = publish_properties(will, opening.version, PacketTypes.WILLMESSAGE)
            client.will_set(will.topic, will.payload, will.qos, will.retain, properties)
        clean_start = opening.clean if is_5 else MQTT_CLEAN_START_FIRST_ONLY
        client.connect("127.0.0.1", opening.port, 60, clean_start=clean_start, properties=connect_properties(opening))
        client.loop_start()
        accepted, present = self._connacks.get()
        assert accepted
        return present

    async def subscribe(self, topic_filter: str, qos: int) -> None:
        self._client.subscribe(topic_filter, qos)
        assert [code.value for code in self._granted.get()] == [qos]

    async def publish(self, message: Message) -> None:
        properties = publish_properties(message, self._version)
        published = self._client.publish(message.topic, message.payload, message.qos, message.retain, properties)
        published.wait_for_publish()

    async def receive(self) -> Message:
        message = self._messages.get()
        properties = getattr(message, "properties", None)
        return received(message.topic, message.payload, message.qos, message.retain, properties)

    async def close(self) -> None:
        self._client.disconnect()
        self._ended.get()
        self._client.loop_stop()

    def _on_connect(self, client: Client, userdata: object, flags: ConnectFlags, reason_code: ReasonCode,
                    properties: Properties | None) -> None:
        self._connacks.put((not reason_code.is_failure, flags.session_present))

    def _on_subscribe(self, client: Client, userdata: object, packet_id: int, reason_codes: list[ReasonCode],
                      properties: Properties | None) -> None:
        self._granted.put(reason_codes)

    def _on_disconnect(self, client: Client, userdata: object, flags: object, reason_code: ReasonCode,
                       properties: Properties | None) -> None:
        self._ended.put(reason_code)


if __name__ == "__main__":
    serve(PahoClient)
