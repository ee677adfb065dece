"""A program that serves on the reactor that it is told: python reactor_host.py REACTOR CONFIGURATION

It prints its port, and with each message to `report` the classes of its reactor and of its connections' transports. A
message to `stop` stops the reactor without stopping the broker first.
"""
import sys
from importlib import import_module
from typing import Any


def main(name: str, configuration: str) -> None:
    import_module(f"twisted.internet.{name}reactor").install()
    from twisted.internet import reactor

    from emqtwist import BrokerService
    from emqtwist.config import parse

    running: Any = reactor
    broker = BrokerService(parse(configuration))

    def report(message: object) -> None:
        transports = [each.transport for listener in broker.listeners.values() for each in listener.factory.protocols]
        print("reactor", type(reactor).__name__, "transports", *sorted({type(each).__name__ for each in transports}), flush=True)

    broker.subscribe("report", report)
    broker.subscribe("stop", lambda message: running.stop())
    broker.startService()
    print("port", broker.port(), flush=True)
    running.run()
    left = sum(len(listener.factory.protocols) for listener in broker.listeners.values())
    print("left", left, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
