"""Ctl: where commands are taken, as a part that its supervisor starts again."""
import os
import re
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from emqtwist.config import Address, Config
from emqtwist.config.sections.ctl import CtlSection
from emqtwist.ctl.server import CtlFactory, Gate
from emqtwist.net.address import describe
from emqtwist.net.socketfile import Taken, clear, shortest
from emqtwist.services.part import Part

FILE: Final = "commands.sock"  # in the data folder
CERTIFICATE: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def socket_path(config: Config) -> Path | None:
    """Where the socket lies, None when there is to be none."""
    if config.ctl.socket == "off":
        return None
    return Path(config.node.data_dir, FILE) if config.ctl.socket == "auto" else Path(config.ctl.socket)


class Ctl(Part):
    """Listens at a Unix socket for its owner, and at a TCP port for who knows the secret, as far as either is configured.

    Connections belong to `factory`: they, their listings and the commands that wait are there when this part is started
    again. `tls` are the options of the TCP port. Starting raises Taken or CannotListenError.
    """

    log = Logger()

    def __init__(self, path: Path | None, section: CtlSection, factory: CtlFactory, reactor: Any, tls: Any = None,
                 number: int = 0) -> None:
        self._path = None if path is None else path.absolute()
        self._section = section
        self._factory = factory
        self._reactor = reactor
        self._tls = tls
        self.number = number
        self._unix: Any = None
        self._tcp: Any = None

    @property
    def port(self) -> int:
        """The TCP port in use, 0 while there is none."""
        return 0 if self._tcp is None else int(self._tcp.getHost().port)

    def startService(self) -> None:
        try:
            if self._path is not None:
                self._unix = self._listen(self._path)
            self.bind()
        except BaseException:
            self.stopService()
            raise
        super().startService()

    def stopService(self) -> "Deferred[list[None]]":
        super().stopService()
        ports = [port for port in (self._unix, self._tcp) if port is not None]
        self._unix = self._tcp = None
        return gatherResults([maybeDeferred(port.stopListening) for port in ports])

    def bind(self) -> None:
        """Take the TCP port, if there is to be one, unless it is taken already. `number` is that, once it is known."""
        bind = self._section.bind
        if bind is not None and self._tcp is None:
            self._tcp = self._listen_tcp(Address(bind.host, self.number or bind.port))
            self.number = self.port

    def _listen(self, path: Path) -> Any:
        clear(path)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mask = os.umask(0o177)  # from its first moment the socket is its owner's alone
        try:
            port = self._reactor.listenUNIX(shortest(path), self._factory, mode=0o600)
        except CannotListenError as error:
            raise Taken(f"{path}: {error.socketError}") from None
        finally:
            os.umask(mask)
        self.log.info("commands are taken at {path}", path=str(path))
        return port

    def _listen_tcp(self, address: Address) -> Any:
        gate = Gate(self._factory, self._section.secret)
        if self._tls is not None:
            port = self._reactor.listenSSL(address.port, gate, self._tls, interface=address.host)
        else:
            port = self._reactor.listenTCP(address.port, gate, interface=address.host)
        self.log.info("commands are taken at {address}", address=describe(port.getHost()))
        return port


def tls_options(certificate: Path, private_key: Path) -> Any:
    """What a TLS port needs of two PEM files; further certificates of the first are the chain. Taken for bad ones."""
    from OpenSSL.crypto import FILETYPE_PEM, Error
    from twisted.internet.ssl import Certificate, CertificateOptions, KeyPair
    try:
        chain = [Certificate.loadPEM(text).original for text in CERTIFICATE.findall(certificate.read_bytes())]
        key = KeyPair.load(private_key.read_bytes(), FILETYPE_PEM).original
    except OSError as error:
        raise Taken(f"{error.filename}: {error.strerror}") from None
    except (Error, ValueError):
        raise Taken(f"{certificate} or {private_key} is no good PEM file") from None
    if not chain:
        raise Taken(f"{certificate} holds no certificate")
    return CertificateOptions(privateKey=key, certificate=chain[0], extraCertChain=chain[1:])
