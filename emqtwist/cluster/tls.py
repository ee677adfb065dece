"""TLS between nodes: each shows its certificate to the other, and both believe the same authorities."""
from collections.abc import Iterable
from typing import Any

from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator
from zope.interface import implementer

from emqtwist.net.tls.credentials import Credentials, first, stamps_of
from emqtwist.net.tls.files import BadFile, check_key, read_certificates


class LinkFiles:
    """What both who dials and who answers needs of three PEM files: a `context` of OpenSSL; raises BadFile.

    The rest is as Files has it.
    """

    def __init__(self, certificate: str, private_key: str, ca: str) -> None:
        self.certificate = certificate
        self.private_key = private_key
        self.ca = ca
        self.stamps = stamps_of(self.paths())
        self.context, self.expiries = self._read()
        self.lists: list[tuple[str, float]] = []

    def paths(self) -> Iterable[str]:
        return self.certificate, self.private_key, self.ca

    def again(self) -> "LinkFiles":
        return LinkFiles(self.certificate, self.private_key, self.ca)

    def _read(self) -> tuple[Any, list[tuple[str, float]]]:
        from OpenSSL.SSL import VERIFY_FAIL_IF_NO_PEER_CERT, VERIFY_PEER, Error
        from twisted.internet.ssl import CertificateOptions, TLSVersion
        chain = read_certificates("certificate", self.certificate)
        check_key("private_key", self.private_key, chain[0], self.certificate)
        read_certificates("ca", self.ca)
        context = CertificateOptions(raiseMinimumTo=TLSVersion.TLSv1_2).getContext()
        try:
            context.use_certificate_chain_file(self.certificate)
            context.use_privatekey_file(self.private_key)
            context.load_verify_locations(self.ca)
        except Error as error:
            raise BadFile("certificate", f"{self.certificate} with {self.private_key} and {self.ca}: {error}") from None
        context.set_verify(VERIFY_PEER | VERIFY_FAIL_IF_NO_PEER_CERT, lambda *found: bool(found[-1]))
        return context, [(self.certificate, first([each.not_valid_after_utc for each in chain]))]


@implementer(IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator)
class LinkTls:
    """Connections of who dials and who answers, with what is in the files now. Names in certificates do not matter: that it is
    one of the authorities' is enough."""

    def __init__(self, credentials: Credentials[LinkFiles]) -> None:
        self._credentials = credentials

    def clientConnectionForTLS(self, protocol: Any) -> Any:
        from OpenSSL.SSL import Connection
        return Connection(self._credentials.loaded.context, None)

    serverConnectionForTLS = clientConnectionForTLS
