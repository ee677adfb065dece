"""A program that serves on the reactor that it is told: python reactor_host.py REACTOR CONFIGURATION

REACTOR is one of Twisted, or `uvloop`: asyncio's on a loop of that. It prints its port, and with each message to `report` the
classes of its reactor and of its connections' transports, and whose the loop is that it runs on. A message to `stop` stops the
reactor without stopping the broker first.
"""
import sys
from asyncio import get_running_loop
from importlib import import_module
from typing import Any


def install(name: str) -> None:
    if name == "uvloop":
        import_module("twisted.internet.asyncioreactor").install(import_module("uvloop").new_event_loop())
    else:
        import_module(f"twisted.internet.{name}reactor").install()


def loop() -> str:
    """The package whose loop of asyncio runs, `twisted` where none does."""
    try:
        return type(get_running_loop()).__module__.partition(".")[0]
    except RuntimeError:
        return "twisted"


def main(name: str, configuration: str) -> None:
    install(name)
    from twisted.internet import reactor

    from emqtwist import BrokerService
    from emqtwist.config import parse

    running: Any = reactor
    broker = BrokerService(parse(configuration))

    def report(message: object) -> None:
        transports = [each.transport for listener in broker.listeners.values() for each in listener.factory.protocols]
        names = sorted({type(each).__name__ for each in transports})
        print("reactor", loop(), type(reactor).__name__, "transports", *names, flush=True)

    broker.subscribe("report", report)
    broker.subscribe("stop", lambda message: running.stop())
    broker.startService()
    print("port", broker.port(), flush=True)
    running.run()
    left = sum(len(listener.factory.protocols) for listener in broker.listeners.values())
    print("left", left, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
