"""TLS between nodes: each shows its certificate to the other, and both believe the same authorities."""
from typing import Any

from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from zope.interface import implementer

from emqtwist.net.tls.files import BadFile, check_key, read_certificates


def options_of(certificate: str, private_key: str, ca: str) -> Any:
    """What both who dials and who answers needs of three PEM files; raises BadFile."""
    from OpenSSL.crypto import FILETYPE_PEM, X509, Error
    from twisted.internet.ssl import Certificate, CertificateOptions, KeyPair, TLSVersion, trustRootFromCertificates
    chain = read_certificates("certificate", certificate)
    check_key("private_key", private_key, chain[0], certificate)
    authorities = read_certificates("ca", ca)
    with open(private_key, "rb") as file:
        key = file.read()
    try:
        return CertificateOptions(
            privateKey=KeyPair.load(key, FILETYPE_PEM).original, certificate=X509.from_cryptography(chain[0]),
            extraCertChain=[X509.from_cryptography(each) for each in chain[1:]], raiseMinimumTo=TLSVersion.TLSv1_2,
            trustRoot=trustRootFromCertificates([Certificate(X509.from_cryptography(each)) for each in authorities]))
    except (Error, ValueError) as error:
        raise BadFile("certificate", f"{certificate} with {private_key}: {error}") from None


@implementer(IOpenSSLClientConnectionCreator)
class Dialling:
    """Connections of who dials. Names in certificates do not matter: that it is one of the authorities' is enough."""

    def __init__(self, options: Any) -> None:
        self._context = options.getContext()

    def clientConnectionForTLS(self, protocol: Any) -> Any:
        from OpenSSL.SSL import Connection
        return Connection(self._context, None)
