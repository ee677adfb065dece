"""Two well-behaved clients beside the lying ones: their messages have to arrive, each of them."""
from threading import Event, Thread
from time import perf_counter

from emqtwist.mqtt.constants import MQTT_3_1_1, MQTT_5_0
from emqtwist.mqtt.packets import Puback, Publish
from tests.integration.raw import RawClient


class Canary:
    """Exchanges QoS 1 messages in a thread of its own, one after the other, until `stop`.

    `took` holds what each exchange took, in seconds.
    """

    def __init__(self, port: int) -> None:
        self.exchanged = 0
        self.took: list[float] = []
        self.error: Exception | None = None
        self._stopped = Event()
        self._listener, self._speaker = RawClient(port, MQTT_3_1_1), RawClient(port, MQTT_5_0)
        self._listener.connect("canary-listener")
        self._listener.subscribe(b"canary", qos=1)
        self._speaker.connect("canary-speaker")
        self._thread = Thread(target=self._sing, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let the exchange under way end, and leave; `error` is what went wrong."""
        self._stopped.set()
        self._thread.join()
        self._listener.socket.close()
        self._speaker.socket.close()

    def _sing(self) -> None:
        try:
            while not self._stopped.is_set():
                began = perf_counter()
                self._exchange()
                self.took.append(perf_counter() - began)
        except Exception as error:  # also a timeout, a reset, bytes that are no packet
            self.error = error

    def _exchange(self) -> None:
        payload = b"%d" % self.exchanged
        self._speaker.send(Publish(b"canary", payload, 1, packet_id=1))
        assert self._speaker.next(Puback).reason_code == 0, "the canary was refused"
        publish = self._listener.next(Publish)
        assert publish.payload == payload, f"{publish.payload!r} came in place of {payload!r}"
        self._listener.send(Puback(publish.packet_id))
        self.exchanged += 1

    def slowest(self, part: slice) -> float:
        """The 99th percentile of a part of the exchanges, in milliseconds."""
        took = sorted(self.took[part])
        return 1000 * took[len(took) * 99 // 100] if took else 0.0
