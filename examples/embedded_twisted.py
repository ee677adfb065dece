"""A broker inside a Twisted program, which takes part in its traffic without a connection of its own.

    python examples/embedded_twisted.py [port]

It greets who says a name:  mosquitto_sub -t 'greetings/+' -v &  mosquitto_pub -t names -m Ann
"""
import sys

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorCore
from twisted.internet.task import react

from emqtwist import BrokerService
from emqtwist.config import parse
from emqtwist.core.message import Message


async def main(reactor: IReactorCore, port: str = "1883") -> None:
    broker = BrokerService(parse(f"listener.tcp.default.bind = 127.0.0.1:{port}"), reactor)
    broker.startService()
    # Clients are told when the program ends; the reactor waits until they have been.
    reactor.addSystemEventTrigger("before", "shutdown", broker.stopService)

    def greet(message: Message) -> None:
        name = message.payload.decode(errors="replace")
        reached = broker.publish("greetings/all", f"Hello {name}".encode(), qos=1)
        print(f"greeted {name} before {reached}", flush=True)

    broker.subscribe("names", greet)
    print(f"listening at 127.0.0.1:{broker.port()}", flush=True)
    await Deferred()  # until Ctrl-C


if __name__ == "__main__":
    react(lambda reactor, *arguments: Deferred.fromCoroutine(main(reactor, *arguments)), sys.argv[1:])
