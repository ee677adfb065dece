"""Sessions that are kept, for tests of the store."""
from emqtwist.mqtt.constants import MQTT_3_1_1
from emqtwist.mqtt.packets import Connack, Connect, Puback, Publish, Suback, Subscribe
from emqtwist.mqtt.properties import Properties
from tests.integration.brokers import RunningBroker
from tests.integration.raw import RawClient


def connect(client: RawClient, client_id: str, clean_start: bool = False) -> Connack:
    """A client whose session is kept."""
    properties = None
    if client.version != MQTT_3_1_1:
        properties = Properties()
        properties.session_expiry_interval = 3600
    client.send(Connect(client.version, client_id, clean_start, properties=properties))
    return client.next(Connack)


def keep(broker: RunningBroker, *payloads: bytes) -> None:
    """A session of `away` that is subscribed to `a`, and these messages in its queue, acknowledged."""
    with RawClient(broker.port) as away:
        assert connect(away, "away").reason_code == 0
        away.send(Subscribe(1, [(b"a", 1)]))
        assert away.next(Suback).reason_codes == [1]
    with RawClient(broker.port) as publisher:
        publisher.connect("publisher")
        for number, payload in enumerate(payloads, 1):
            publisher.send(Publish(b"a", payload, 1, packet_id=number))
            assert publisher.next(Puback).reason_code == 0


def kept(broker: RunningBroker, count: int) -> list[bytes]:
    with RawClient(broker.port) as client:
        assert connect(client, "away").session_present
        return [client.next(Publish).payload for _ in range(count)]
