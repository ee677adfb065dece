"""A broker inside an asyncio program: Twisted runs on asyncio's event loop, and messages come through a queue.

    python examples/embedded_asyncio.py [port]

It counts words:  mosquitto_sub -t counts -v &  mosquitto_pub -t texts -m 'to be or not to be'
"""
import asyncio
import sys

from twisted.internet import asyncioreactor

from emqtwist import BrokerService
from emqtwist.config import parse
from emqtwist.core.message import Message


async def main(port: str = "1883") -> None:
    loop = asyncio.get_running_loop()
    asyncioreactor.install(loop)  # before anything imports the reactor
    from twisted.internet import reactor
    reactor.startRunning(installSignalHandlers=False)  # the loop runs already, and signals are asyncio's

    broker = BrokerService(parse(f"listener.tcp.default.bind = 127.0.0.1:{port}"), reactor)
    broker.startService()
    texts: asyncio.Queue[Message] = asyncio.Queue(maxsize=1000)  # a full one refuses: the broker logs that, and goes on
    broker.subscribe("texts", texts.put_nowait)
    print(f"listening at 127.0.0.1:{broker.port()}", flush=True)
    try:
        while True:
            text = await texts.get()
            words = len(text.payload.split())
            broker.publish("counts", str(words).encode(), qos=1, retain=True)  # later subscribers get it too
            print(f"counted {words} words", flush=True)
    finally:  # Ctrl-C cancels this coroutine; clients are told
        await broker.stopService().asFuture(loop)


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:]))
    except KeyboardInterrupt:
        print("stopped", flush=True)
