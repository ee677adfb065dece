"""A service behind MQTT 5.0 request and response, inside the broker's own process.

    python examples/request_response.py [port]

It adds numbers:  mosquitto_rr -V mqttv5 -t requests/sum -e answers/1 -m '1 2 3'
"""
import sys

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorCore
from twisted.internet.task import react

from emqtwist import BrokerService
from emqtwist.config import parse
from emqtwist.core.message import Message
from emqtwist.mqtt.properties import Properties, decode_forwarded


def total(payload: bytes) -> str:
    try:
        return str(sum(map(int, payload.split())))
    except ValueError as error:
        return f"error: {error}"


async def main(reactor: IReactorCore, port: str = "1883") -> None:
    broker = BrokerService(parse(f"listener.tcp.default.bind = 127.0.0.1:{port}"), reactor)
    broker.startService()
    reactor.addSystemEventTrigger("before", "shutdown", broker.stopService)

    def answer(request: Message) -> None:
        asked = decode_forwarded(request.properties)  # a message keeps its properties as they were on the wire
        if asked.response_topic is None:
            print(f"no Response Topic with {request.payload!r}", flush=True)
            return
        said = Properties()
        said.correlation_data = asked.correlation_data  # by which the requester knows its answer
        broker.publish(asked.response_topic, total(request.payload).encode(), qos=1, properties=said)
        print(f"answered {request.payload!r}", flush=True)

    broker.subscribe("requests/sum", answer)
    print(f"listening at 127.0.0.1:{broker.port()}", flush=True)
    await Deferred()  # until Ctrl-C


if __name__ == "__main__":
    react(lambda reactor, *arguments: Deferred.fromCoroutine(main(reactor, *arguments)), sys.argv[1:])
