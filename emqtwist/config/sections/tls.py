"""The rows of listeners with TLS."""
from dataclasses import dataclass
from ssl import PROTOCOL_TLS_SERVER, SSLContext, SSLError
from typing import Final

from emqtwist.config.rows import row
from emqtwist.config.values import TEXT, Choice, Text, Unit

EFFECTS: Final = "tests/integration/test_tls.py"
PSK: Final = "tests/adapters/tls/test_psk.py"


class Paths(Unit[tuple[str, ...]]):
    name = "files"
    form = "paths with commas between them"

    def read(self, text: str) -> tuple[str, ...]:
        if not text:
            return ()
        paths = tuple(part.strip() for part in text.split(","))
        if not all(paths):
            raise ValueError("a path is empty")
        return paths

    def holds(self, value: object) -> bool:
        return isinstance(value, tuple) and all(isinstance(path, str) and path for path in value)

    def write(self, value: object) -> str:
        assert isinstance(value, tuple)
        return ", ".join(value)


class Ciphers(Text):
    """A list of ciphers as OpenSSL takes it; empty for its own."""

    def read(self, text: str) -> str:
        if text:
            try:
                SSLContext(PROTOCOL_TLS_SERVER).set_ciphers(text)
            except SSLError:
                raise ValueError("OpenSSL knows none of these ciphers") from None
        return text

    def holds(self, value: object) -> bool:
        try:
            return isinstance(value, str) and self.read(value) == value
        except ValueError:
            return False


PATHS: Final = Paths()
CIPHERS: Final = Ciphers("a list of ciphers as OpenSSL takes it, as ECDHE+AESGCM:!aNULL")


@dataclass(frozen=True, kw_only=True)
class TlsRows:
    """How a listener shows who it is, and whom it lets in. Who is connected stays when any of this changes."""

    certfile: tuple[str, ...] = row(
        "", PATHS, live=True, test=EFFECTS,
        meaning="The listener's certificate in PEM form, and behind it in the same file those of the authorities between it "
                "and the one that clients know. Of several files the one whose names have the host that a client asks for "
                "(SNI) is taken, else the first. Empty only where there is a `psk_file`.")
    keyfile: tuple[str, ...] = row(
        "", PATHS, live=True, test=EFFECTS,
        meaning="The private key of each certificate in PEM form, without a password.")
    psk_file: str = row(
        "", TEXT, live=True, test=PSK,
        meaning="In the place of certificates: keys that the listener shares with its clients (TLS-PSK), a line `identity:key` "
                "for each, the key in hexadecimal and of 16 to 256 bytes; lines that begin with # are comments. Who has none "
                "cannot connect. The identity of who has one is the Common Name for `peer_cert_as_username` and access rules. "
                "Needs Python 3.13.")
    cacertfile: str = row(
        "", TEXT, live=True, test=EFFECTS,
        meaning="Certificates of the authorities that clients' certificates have to come from.")
    crlfile: str = row(
        "", TEXT, live=True, test=EFFECTS,
        meaning="Lists of revoked certificates (CRL) in PEM form, one of each authority that clients' certificates come from. "
                "A client whose authority has none, or an outdated one, is refused.")
    verify: str = row(
        "none", Choice("none", "optional", "require"), live=True, test=EFFECTS,
        meaning="Whether clients show a certificate: not asked for; asked for, and good if there is one; required.")
    min_version: str = row(
        "1.2", Choice("1.2", "1.3"), live=True, test=EFFECTS,
        meaning="The oldest version of TLS that a client may speak.")
    ciphers: str = row(
        "", CIPHERS, live=True, test=EFFECTS,
        meaning="Ciphers for TLS 1.2, the best one first; empty: those of OpenSSL, or with a `psk_file` "
                "those for such keys. TLS 1.3 has its own.")

    @property
    def knows_some(self) -> bool:
        """Whether clients may show who they are."""
        return self.verify != "none" or self.psk_file != ""

    @property
    def knows_all(self) -> bool:
        """Whether they have to."""
        return self.verify == "require" or self.psk_file != ""
