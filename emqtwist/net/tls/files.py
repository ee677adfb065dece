"""The files of a TLS listener, in PEM form: certificates, keys, authorities, and lists of revoked certificates."""
import re
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

REVOKED: Final = re.compile(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)


class BadFile(Exception):
    """A file is of no use; `key` is the row that names it, the message says which file, and what is wrong with it."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def read_certificates(key: str, path: str) -> list[x509.Certificate]:
    """All that are in a file, one at least."""
    try:
        return x509.load_pem_x509_certificates(_content(key, path))
    except ValueError:
        raise BadFile(key, f"{path} holds no certificate in PEM form, or a broken one") from None


def read_revoked(key: str, path: str) -> list[x509.CertificateRevocationList]:
    """All lists that are in a file, one at least."""
    try:
        found = [x509.load_pem_x509_crl(text) for text in REVOKED.findall(_content(key, path))]
    except ValueError:
        raise BadFile(key, f"{path} holds a broken list of revoked certificates") from None
    if not found:
        raise BadFile(key, f"{path} holds no list of revoked certificates in PEM form")
    return found


def check_key(key: str, path: str, certificate: x509.Certificate, whose: str) -> None:
    """See that the private key at `path` belongs to the certificate, which is in the file `whose`."""
    try:
        found = load_pem_private_key(_content(key, path), None)
    except TypeError:
        raise BadFile(key, f"the key in {path} is protected by a password; nobody could enter it") from None
    except (ValueError, UnsupportedAlgorithm):
        raise BadFile(key, f"{path} holds no private key in PEM form, or a broken one") from None
    if _der(found.public_key()) != _der(certificate.public_key()):
        raise BadFile(key, f"the key in {path} does not belong to the certificate in {whose}")


def server_names(certificate: x509.Certificate) -> list[str]:
    """The names of hosts that a certificate is for, in lower case; `*.` stands for one label."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found = names.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        found = [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return [name.lower() for name in found]


def _content(key: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise BadFile(key, f"cannot read {path}: {error.strerror}") from None


def _der(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
