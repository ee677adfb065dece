"""Certificates for tests: authorities, what they issue and revoke, as PEM files."""
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)
LOOPBACK = ip_address("127.0.0.1")


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as files."""

    certfile: str
    keyfile: str

    @property
    def lines(self) -> str:
        """Of a listener's section."""
        return f"certfile = {self.certfile}\nkeyfile = {self.keyfile}\n"


@cache
def key(number: int) -> ec.EllipticCurvePrivateKey:
    """One of some keys: making them costs time."""
    return ec.generate_private_key(ec.SECP256R1())


def named(common_name: str, organization: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    return x509.Name([*parts, *([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])])


class Authority:
    """Issues certificates into a folder; `file` is its own. What its certificates are called are names of files, too."""

    def __init__(self, folder: Path, name: str = "authority", days: float = 90) -> None:
        self.folder = folder
        self.name = named(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._serial = 1
        self.file = str(folder / f"{name}.pem")
        certificate = self._builder(self.name, self._key, days).add_extension(
            x509.BasicConstraints(True, None), True).add_extension(
            x509.KeyUsage(False, False, False, False, False, True, True, False, False), True).sign(self._key, SHA256())
        Path(self.file).write_bytes(certificate.public_bytes(Encoding.PEM))

    def _builder(self, subject: x509.Name, owner: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
                 days: float) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        self._serial += 1
        return x509.CertificateBuilder(
            self.name, subject, owner.public_key(), self._serial, now - 400 * DAY, now + days * DAY)

    def issue(self, name: str, *hosts: str, common_name: str | None = None, organization: str = "", days: float = 90,
              number: int = 0, names: tuple[x509.GeneralName, ...] = (), password: str = "", bits: int = 0) -> Pair:
        """A certificate for hosts; its Common Name is its name unless given. `number` is that of its key, or it is of RSA."""
        owner = rsa.generate_private_key(65537, bits) if bits else key(number)
        subject = named(name if common_name is None else common_name, organization)
        builder = self._builder(subject, owner, days)
        alternatives = [x509.DNSName(host) for host in hosts] + list(names)
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), False)
        certificate = builder.sign(self._key, SHA256())
        secret = BestAvailableEncryption(password.encode()) if password else NoEncryption()
        pair = Pair(str(self.folder / f"{name}.pem"), str(self.folder / f"{name}.key"))
        Path(pair.certfile).write_bytes(certificate.public_bytes(Encoding.PEM))
        Path(pair.keyfile).write_bytes(owner.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret))
        return pair

    def server(self, name: str = "server", days: float = 90, number: int = 0) -> Pair:
        """A certificate for this host."""
        return self.issue(name, "localhost", names=(x509.IPAddress(LOOPBACK),), days=days, number=number)

    def revoke(self, *pairs: Pair, days: float = 90) -> str:
        """The file of a list of revoked certificates, good for so many days."""
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder(self.name, now - 2 * DAY, now + days * DAY)
        for pair in pairs:
            serial = x509.load_pem_x509_certificate(Path(pair.certfile).read_bytes()).serial_number
            builder = builder.add_revoked_certificate(x509.RevokedCertificateBuilder(serial, now - DAY).build())
        path = self.folder / "revoked.pem"
        path.write_bytes(builder.sign(self._key, SHA256()).public_bytes(Encoding.PEM))
        return str(path)
