"""The files of a TLS listener, in PEM form: certificates, keys, authorities, and lists of revoked certificates."""
import re
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

DIGITS: Final = re.compile(r"([0-9A-Fa-f]{2})+")
SHORTEST_KEY: Final = 16  # bytes: whoever has seen a handshake could guess a shorter one
LONGEST_KEY: Final = 256  # that OpenSSL takes
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


def read_keys(key: str, path: str) -> dict[str, bytes]:
    """Pre-shared keys by their identities, one at least."""
    found: dict[str, bytes] = {}
    try:
        lines = _content(key, path).decode().splitlines()
    except UnicodeDecodeError:
        raise BadFile(key, f"{path} is not UTF-8") from None
    for number, line in enumerate(lines, 1):
        identity, colon, digits = line.strip().rpartition(":")
        if not line.strip() or line.startswith("#"):
            continue
        wrong = _wrong(identity, colon, digits, found)
        if wrong:
            raise BadFile(key, f"{path}, line {number}: {wrong}")  # and not a word of the key
        found[identity] = bytes.fromhex(digits)
    if not found:
        raise BadFile(key, f"{path} holds no key")
    return found


def _wrong(identity: str, colon: str, digits: str, found: dict[str, bytes]) -> str:
    """What is, of one line; empty when nothing is."""
    if not colon or not identity:
        return "not of the form identity:key"
    if identity in found:
        return "this identity has a key already"
    if not DIGITS.fullmatch(digits) or not SHORTEST_KEY <= len(digits) // 2 <= LONGEST_KEY:
        return f"the key is not of {SHORTEST_KEY} to {LONGEST_KEY} bytes in hexadecimal, two digits each"
    return ""


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
