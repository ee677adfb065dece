"""A plug-in to start from: it greets whoever connects, lets clients subscribe below `public/` and their own topics only,
and looks up elsewhere whether they may publish.

A package offers it as an entry point:

    [project.entry-points."emqtwist.plugins"]
    greeter = "plugin:Greeter"

and `[node] plugins = greeter` loads it. `python plugin.py [port]` runs a broker with it.
"""
import sys
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater

from emqtwist import BrokerService
from emqtwist.config import Address, Config, ListenerSection, TcpListener
from emqtwist.core.hooks import Stop


class Greeter:
    def load(self, broker: BrokerService) -> None:
        self.broker = broker
        broker.hooks.add("client.connected", self.greet)
        broker.hooks.add("client.subscribe", self.check)
        broker.add_waiting_hook("client.authorize", self.look_up)

    def unload(self) -> None:
        self.broker.hooks.delete("client.connected", self.greet)
        self.broker.hooks.delete("client.subscribe", self.check)
        self.broker.hooks.delete("client.authorize", self.look_up)

    def greet(self, client: Any) -> None:
        self.broker.publish("public/greetings", f"welcome, {client.client_id}".encode())

    def check(self, client_id: str, user_name: str | None, filters: list[tuple[bytes, int]]) -> Stop | None:
        allowed = (b"public/", f"clients/{client_id}/".encode())
        return None if all(topic_filter.startswith(allowed) for topic_filter, options in filters) else Stop()

    async def look_up(self, client: Any, action: str, topic: bytes, allowed: bool) -> bool | None:
        """Stands for a question to a database: the client waits for the answer, and nobody else does."""
        await deferLater(self.broker.reactor, 0.01)
        return False if action == "publish" and topic.startswith(b"public/") else None


if __name__ == "__main__":
    listener = TcpListener(name="default", bind=Address("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 1883))
    broker = BrokerService(Config(listener=ListenerSection(tcp=(listener,))))
    broker.plugins.load("greeter", Greeter())
    broker.startService()
    print(f"listening at 127.0.0.1:{broker.port()}", flush=True)
    reactor.addSystemEventTrigger("before", "shutdown", broker.stopService)  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]
