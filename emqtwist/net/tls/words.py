"""What OpenSSL says, in words."""
from ssl import SSLCertVerificationError, SSLError


def reason_of(error: OSError) -> str:
    """What OpenSSL, the peer or the system has against it."""
    if isinstance(error, SSLCertVerificationError):
        return f"its certificate is refused: {error.verify_message}"
    if isinstance(error, SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    return error.strerror or str(error)
