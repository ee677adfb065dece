"""A network that takes its time: a relay of TCP connections that hands on what comes after a delay."""
import socket
import time
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Self

PIECE = 65_536


class Relay:
    """Listens at `place`, and connects who comes there with `target`; `delay` are seconds each way. A context."""

    def __init__(self, target: str, delay: float) -> None:
        host, _, port = target.rpartition(":")
        self.target = host, int(port)
        self.delay = delay
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for each in (self._listening, *self._open):
            close(each)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
                far = socket.create_connection(self.target)
            except OSError:
                return
            self._open += [near, far]
            for source, target in ((near, far), (far, near)):
                way: SimpleQueue[tuple[float, bytes]] = SimpleQueue()
                Thread(target=self._take, args=(source, way), daemon=True).start()
                Thread(target=self._give, args=(way, target), daemon=True).start()

    def _take(self, source: socket.socket, way: "SimpleQueue[tuple[float, bytes]]") -> None:
        """Until it is closed, which is passed on as no bytes."""
        data = b"?"
        while data:
            try:
                data = source.recv(PIECE)
            except OSError:
                data = b""
            way.put((time.monotonic() + self.delay, data))

    def _give(self, way: "SimpleQueue[tuple[float, bytes]]", target: socket.socket) -> None:
        data = b"?"
        while data:
            due, data = way.get()
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                target.sendall(data)
            except OSError:
                return
        close(target)


def close(one: socket.socket) -> None:
    """Also for a thread that waits for it."""
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # nobody is connected
    one.close()
