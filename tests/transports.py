"""Which transport the tests run on: EMQTWIST_IO=stock takes Twisted's own, as on systems without epoll."""
import os
from pathlib import Path

from twisted.internet.tcp import Server

from emqtwist import BrokerService
from emqtwist.net.batching import Stream

CLASSES: dict[str, type] = {"engine": Stream, "stock": Server}
IO = os.environ.get("EMQTWIST_IO", "engine")
assert IO in CLASSES, "EMQTWIST_IO is engine or stock"


def classes_in_use(broker: BrokerService) -> set[type]:
    """The classes of the transports of all connections."""
    return {type(protocol.transport) for listener in broker.listeners.values() for protocol in listener.factory.protocols}


def epoll_sets(pid: int) -> int:
    """How many epoll sets a process has: one for its reactor, and one for the engine."""
    links = [os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir() if each.is_symlink()]
    return links.count("anon_inode:[eventpoll]")
