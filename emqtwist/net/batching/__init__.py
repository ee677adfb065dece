"""Stream sockets served in batches: one epoll set for all of them, which is one reader of the reactor."""
from emqtwist.net.batching.endpoint import BatchingServerEndpoint
from emqtwist.net.batching.port import Port, listen_tcp
from emqtwist.net.batching.sockets import Batch, SocketSet, can_batch
from emqtwist.net.batching.stream import LARGE_PIECE, Stream
from emqtwist.net.batching.unix import listen_unix

__all__ = [
    "LARGE_PIECE", "Batch", "BatchingServerEndpoint", "Port", "SocketSet", "Stream", "can_batch", "listen_tcp", "listen_unix",
]
