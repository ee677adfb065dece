"""Whose certificate it is."""
from ssl import SSLError, SSLObject

from cryptography import x509
from cryptography.x509.oid import NameOID

from emqtwist.core.door import Certificate

PSK = "PSK"  # in the names of ciphers of TLS 1.2
KINDS = (x509.DNSName, x509.RFC822Name, x509.UniformResourceIdentifier, x509.IPAddress)  # of alternative names


def shown_by(tls: SSLObject, identity: str | None) -> Certificate | None:
    """Who the peer has shown to be when hands are shaken: by a certificate, or by the pre-shared key of `identity`, which is the
    Common Name then. SSLError when that cannot be told.

    That a client has said an identity proves nothing: it may have gone on without the key.
    """
    if PSK in (tls.cipher() or ("",))[0]:
        if identity is None:
            raise SSLError("a session was resumed, and nobody knows whose it is")
        return Certificate(identity, "", ())
    if identity is not None and tls.version() == "TLSv1.3" and tls.session_reused:  # as nobody has a ticket here
        return Certificate(identity, "", ())
    return certificate_of(tls)


def certificate_of(tls: SSLObject) -> Certificate | None:
    """The certificate of a peer that has shown one; SSLError when it cannot be read."""
    shown = tls.getpeercert(binary_form=True)
    if not shown:
        return None
    try:
        certificate = x509.load_der_x509_certificate(shown)
        names = [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        return Certificate(names[0] if names else "", certificate.subject.rfc4514_string(), alternative_names(certificate))
    except ValueError:
        raise SSLError("the certificate cannot be read") from None


def alternative_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Those that are text or an address, in their order; ValueError for an extension that cannot be read."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(name.value) for name in names if isinstance(name, KINDS))
