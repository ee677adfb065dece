"""What a TLS listener shows of itself, and whom it believes: made of files."""
import ssl
from collections.abc import Iterable
from platform import python_version
from ssl import (
    CERT_NONE,
    CERT_OPTIONAL,
    CERT_REQUIRED,
    OP_NO_RENEGOTIATION,
    OP_NO_TICKET,
    PROTOCOL_TLS_SERVER,
    VERIFY_CRL_CHECK_LEAF,
    SSLContext,
    SSLObject,
    TLSVersion,
)
from typing import Any, Final, cast

from emqtwist.config.sections.tls import TlsRows
from emqtwist.net.tls.credentials import first, stamps_of
from emqtwist.net.tls.files import BadFile, check_key, read_certificates, read_keys, read_revoked, server_names
from emqtwist.net.tls.words import reason_of

VERSIONS: Final = {"1.2": TLSVersion.TLSv1_2, "1.3": TLSVersion.TLSv1_3}
HAS_PSK: Final = bool(getattr(ssl, "HAS_PSK", False))
PSK_CIPHERS: Final = "PSK:!eNULL:!SHA1:!kRSAPSK"
VERIFY: Final = {"none": CERT_NONE, "optional": CERT_OPTIONAL, "require": CERT_REQUIRED}


class Loaded:
    """The files of a section as they are now; raises BadFile.

    `context` is what connections begin with, `protocols` are what may be asked for by ALPN; the rest as Files has it.
    """

    def __init__(self, section: TlsRows, protocols: tuple[str, ...]) -> None:
        self.section = section
        self.stamps = stamps_of(self.paths())  # first: what changes while it is read counts as changed
        self.expiries: list[tuple[str, float]] = []
        self.lists: list[tuple[str, float]] = []
        self.protocols = protocols
        self.identity: str | None = None  # that a client has said last to have the key of; whoever shakes hands takes it
        self._by_name: dict[str, SSLContext] = {}
        self._keys = read_keys("psk_file", section.psk_file) if section.psk_file else {}
        if section.cacertfile:
            read_certificates("cacertfile", section.cacertfile)
        if section.crlfile:
            self.lists = [(section.crlfile, first([each.next_update_utc for each in read_revoked("crlfile", section.crlfile)]))]
        contexts = [self._context(*files) for files in zip(section.certfile, section.keyfile, strict=True)] or [self._bare()]
        self.context = contexts[0]
        if len(contexts) > 1:
            self.context.sni_callback = self._choose

    def paths(self) -> Iterable[str]:
        section = self.section
        named = *section.certfile, *section.keyfile, section.cacertfile, section.crlfile, section.psk_file
        return [path for path in named if path]

    def again(self) -> "Loaded":
        return Loaded(self.section, self.protocols)

    def _context(self, certfile: str, keyfile: str) -> SSLContext:
        """That of one certificate; its names are noted."""
        section = self.section
        chain = read_certificates("certfile", certfile)
        check_key("keyfile", keyfile, chain[0], certfile)
        context = self._bare()
        try:
            context.load_cert_chain(certfile, keyfile, "")  # the empty password: nobody is asked for one
        except OSError as error:
            raise BadFile("certfile", f"{certfile} with {keyfile}: {reason_of(error)}") from None
        self.expiries.append((certfile, first([each.not_valid_after_utc for each in chain])))
        for name in server_names(chain[0]):
            self._by_name.setdefault(name, context)
        if section.verify != "none":
            self._verify(context)
        return context

    def _bare(self) -> SSLContext:
        """One without a certificate."""
        context = SSLContext(PROTOCOL_TLS_SERVER)
        context.minimum_version = VERSIONS[self.section.min_version]
        context.options |= OP_NO_RENEGOTIATION
        if self._keys:
            self._share_keys(context)
        if self.section.ciphers:
            context.set_ciphers(self.section.ciphers)
        context.set_alpn_protocols(list(self.protocols))
        return context

    def _share_keys(self, context: SSLContext) -> None:
        if not HAS_PSK:
            raise BadFile("psk_file", f"pre-shared keys need Python 3.13, this is {python_version()}")
        context.num_tickets = 0  # who comes with a ticket is not asked for its identity
        context.options |= OP_NO_TICKET
        context.set_ciphers(PSK_CIPHERS)
        cast(Any, context).set_psk_server_callback(self._key_of)

    def _key_of(self, identity: str | None) -> bytes:
        """Called within a handshake; no key, and there is none."""
        self.identity = identity
        return self._keys.get(identity or "", b"")

    def _verify(self, context: SSLContext) -> None:
        section = self.section
        context.verify_mode = VERIFY[section.verify]
        _take(context, "cacertfile", section.cacertfile)
        if section.crlfile:
            _take(context, "crlfile", section.crlfile)
            context.verify_flags |= VERIFY_CRL_CHECK_LEAF

    def _choose(self, tls: SSLObject, name: str | None, context: SSLContext) -> None:
        """Take the certificate for the name that the client asks for; the first one when there is none."""
        if name is not None:
            asked = name.lower()
            found = self._by_name.get(asked) or self._by_name.get("*." + asked.partition(".")[2])
            if found is not None:
                tls.context = found


def _take(context: SSLContext, key: str, path: str) -> None:
    try:
        context.load_verify_locations(path)
    except OSError as error:
        raise BadFile(key, f"{path}: {reason_of(error)}") from None
