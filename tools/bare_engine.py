"""What a connection costs the sockets alone: a protocol that accepts every CONNECT, on the transports of the broker.

    python tools/bare_engine.py PORT    # until it is killed
    make bench FORM=bare ARGS="--only connect"    # beside the broker and Mosquitto
"""
import sys

from twisted.internet import reactor
from twisted.internet.protocol import Protocol, ServerFactory

from emqtwist.mqtt import constants as c
from emqtwist.net.batching.port import Port
from emqtwist.net.batching.sockets import SocketSet

BACKLOG = 1024
ACCEPTED = b"\x20\x02\x00\x00"


class Batches:
    """Nobody is told of them."""

    def open(self):
        pass

    def close(self):
        pass


class Accepting(Protocol):
    """Takes whole packets, which is what comes of a load on the same host."""

    def dataReceived(self, data):
        kind = data[0] >> 4
        if kind == c.CONNECT:
            self.transport.write(ACCEPTED)
        elif kind == c.DISCONNECT:
            self.transport.loseConnection()


def main(port):
    factory = ServerFactory()
    factory.protocol = Accepting
    factory.noisy = False
    Port(port, factory, BACKLOG, "127.0.0.1", SocketSet(reactor, Batches()), (True, False)).startListening()
    reactor.run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
