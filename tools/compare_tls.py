"""The server's side of TLS through memory BIOs: the standard library's ssl against pyOpenSSL, which Twisted's TLS uses.

    python tools/compare_tls.py ssl|pyopenssl      # needs openssl; and pyopenssl, for the latter

Processor time of the server's side alone: handshakes, records of 64 bytes and of 16 KiB; memory for each connection.
"""
import gc
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ONE_MORE_RECORD = 0x1 | 0x2  # SSL_MODE_ENABLE_PARTIAL_WRITE, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER


def certificate() -> tuple[str, str]:
    folder = Path(tempfile.mkdtemp())
    key, cert = str(folder / "key.pem"), str(folder / "cert.pem")
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    subprocess.run(["openssl", "req", "-x509", *kind, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return key, cert


class Standard:
    """A server of the standard library."""

    def __init__(self, context):
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._in, self._out, server_side=True)

    @staticmethod
    def context(key, cert):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        return context

    def feed(self, data):
        self._in.write(data)

    def shake_hands(self):
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def write(self, data):
        self._ssl.write(data)

    def read(self):
        return self._ssl.read(65536)

    def outgoing(self):
        return self._out.read()


class Other:
    """A server of pyOpenSSL, driven as Twisted drives it."""

    def __init__(self, context):
        from OpenSSL import SSL
        self._want = SSL.WantReadError
        self._ssl = SSL.Connection(context, None)
        self._ssl.set_accept_state()

    @staticmethod
    def context(key, cert):
        from OpenSSL import SSL
        context = SSL.Context(SSL.TLS_METHOD)
        context.use_certificate_file(cert)
        context.use_privatekey_file(key)
        context.set_mode(ONE_MORE_RECORD)
        return context

    def feed(self, data):
        while data:
            data = data[self._ssl.bio_write(data):]

    def shake_hands(self):
        try:
            self._ssl.do_handshake()
        except self._want:
            return False
        return True

    def write(self, data):
        while data:
            data = data[self._ssl.send(data):]

    def read(self):
        return self._ssl.recv(65536)

    def outgoing(self):
        parts = []
        while True:
            try:
                parts.append(self._ssl.bio_read(65536))
            except self._want:
                return b"".join(parts)


class Client:
    def __init__(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.ssl = context.wrap_bio(self.incoming, self.outgoing)

    def shake_hands(self):
        try:
            self.ssl.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True


def connect(kind, context):
    """A server and its client after the handshake, and the processor time that the server took."""
    server, client, took, done = kind(context), Client(), 0.0, False
    while not done:
        ready = client.shake_hands()
        data = client.outgoing.read()
        began = time.process_time()
        if data:
            server.feed(data)
        done = server.shake_hands() and ready
        answer = server.outgoing()
        took += time.process_time() - began
        client.incoming.write(answer)
    return server, client, took


def records(server, client, size, count):
    """Microseconds of the server for each record written, and for each one read."""
    data = bytes(size)
    began = time.process_time()
    for number in range(count):
        server.write(data)
        if number % 20 == 19:
            server.outgoing()
    written = time.process_time() - began
    arriving = []
    for _ in range(count):
        client.ssl.write(data)
        arriving.append(client.outgoing.read())
    began = time.process_time()
    for record in arriving:
        server.feed(record)
        server.read()
    return written / count * 1e6, (time.process_time() - began) / count * 1e6


def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))


def main(name):
    kind = {"ssl": Standard, "pyopenssl": Other}[name]
    context = kind.context(*certificate())
    for _ in range(50):
        connect(kind, context)
    gc.collect()
    before = resident()
    kept = [connect(kind, context)[0] for _ in range(1000)]
    print(f"{name}: {(resident() - before) / len(kept):.1f} KiB for a connection")
    del kept
    took = sum(connect(kind, context)[2] for _ in range(500))
    print(f"{name}: {500 / took:.0f} handshakes a second of the server's processor time")
    server, client, _ = connect(kind, context)
    for size, count in ((64, 200_000), (16_384, 10_000)):
        written, read = records(server, client, size, count)
        print(f"{name}: {size} bytes: {written:.2f} µs to write, {read:.2f} µs to read")


if __name__ == "__main__":
    main(sys.argv[1])
