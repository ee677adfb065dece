"""What a listener shows of itself and whom it believes: every file that can be bad, and every way to choose."""
from pathlib import Path
from ssl import SSLError
from typing import Any

import pytest
from cryptography import x509

from emqtwist.core.causes import HANDSHAKE_FAILED
from emqtwist.net.tls.files import BadFile
from emqtwist.net.tls.loaded import Loaded
from tests.authorities import Authority, Pair
from tests.halls import Hall, section_of
from tests.handshakes import TlsCaller, client_context


def shown(hall: Hall, server_name: str) -> str:
    """Whose certificate a client gets that asks for a host."""
    caller = TlsCaller(hall.factory, client_context(), server_name)
    caller.shake_hands()
    certificate = caller.tls.getpeercert(binary_form=True)
    assert certificate is not None
    return x509.load_der_x509_certificate(certificate).subject.rfc4514_string()


# Files that are of no use.

def written(folder: Path, text: str) -> str:
    path = folder / "file.pem"
    path.write_text(text)
    return str(path)


GARBAGE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(("text", "words"), [
    (None, "cannot read {path}: No such file or directory"),
    ("", "{path} holds no certificate in PEM form, or a broken one"),
    ("hello", "{path} holds no certificate in PEM form, or a broken one"),
    (GARBAGE, "{path} holds no certificate in PEM form, or a broken one")])
@pytest.mark.parametrize("key", ["certfile", "cacertfile"])
def test_a_certificate_that_is_none(server: Pair, tmp_path: Path, key: str, text: str | None, words: str) -> None:
    path = str(tmp_path / "none.pem") if text is None else written(tmp_path, text)
    pair, keys = (Pair(path, server.keyfile), {}) if key == "certfile" else (server, {"cacertfile": path, "verify": "require"})
    with pytest.raises(BadFile) as raised:
        Loaded(section_of(pair, **keys), ())
    assert (raised.value.key, str(raised.value)) == (key, words.format(path=path))


def test_a_key_that_is_none(authority: Authority, server: Pair, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other").server("other", number=7)
    secret = Authority(tmp_path, "secret").issue("secret", "localhost", password="x")
    for keyfile, words in ((server.certfile, "holds no private key in PEM form, or a broken one"),
                           (other.keyfile, f"does not belong to the certificate in {server.certfile}"),
                           (secret.keyfile, "is protected by a password; nobody could enter it"),
                           (str(tmp_path), "cannot read")):
        with pytest.raises(BadFile, match=words) as raised:
            Loaded(section_of(Pair(server.certfile, keyfile)), ())
        assert (raised.value.key, keyfile in str(raised.value)) == ("keyfile", True)


@pytest.mark.parametrize("text", ["", "-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n"])
def test_a_list_of_revoked_certificates_that_is_none(authority: Authority, server: Pair, tmp_path: Path, text: str) -> None:
    with pytest.raises(BadFile, match="list of revoked certificates") as raised:
        Loaded(section_of(server, verify="require", cacertfile=authority.file, crlfile=written(tmp_path, text)), ())
    assert raised.value.key == "crlfile"


def test_a_certificate_that_openssl_finds_too_weak(server: Pair, tmp_path: Path) -> None:
    weak = Authority(tmp_path, "weak").issue("weak", "localhost", bits=512 + 512)
    with pytest.raises(BadFile, match="key too small") as raised:
        Loaded(section_of(weak), ())
    assert raised.value.key == "certfile"


# Several certificates.

@pytest.mark.parametrize(("asked", "owner"), [
    ("a.example", "first"), ("b.example", "second"), ("B.Example", "second"), ("x.wild.example", "third"),
    ("x.y.wild.example", "first"), ("wild.example", "first"), ("nobody.example", "first"), ("plain.example", "plain.example")])
def test_the_certificate_is_that_of_the_host_that_is_asked_for(authority: Authority, asked: str, owner: str) -> None:
    pairs = (authority.issue("first", "a.example", number=1), authority.issue("second", "b.example", "a.example", number=2),
             authority.issue("third", "*.wild.example", number=3), authority.issue("plain.example", number=4))
    assert shown(Hall(*pairs), asked) == f"CN={owner}"


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_every_certificate_is_served_by_the_same_rules(authority: Authority, version: str) -> None:
    pairs = authority.issue("first", "a.example", number=1), authority.issue("second", "b.example", number=2)
    hall = Hall(*pairs, verify="require", cacertfile=authority.file, min_version="1.3")
    context = client_context(authority.file, pairs[0], version)
    caller = TlsCaller(hall.factory, context, "b.example")
    if version == "1.3":
        caller.shake_hands()
        assert hall.inner.made[0].wire.certificate.cn == "first"
        TlsCaller(hall.factory, client_context(), "b.example").shake_hands()  # it has shown none: in 1.3 it hears of that later
        assert "peer did not return a certificate" in hall.refused[0][1]
    else:
        with pytest.raises(SSLError, match="(?i)protocol version"):
            caller.shake_hands()


# Whom it believes.

def names(**said: Any) -> dict[str, Any]:
    return said


@pytest.mark.parametrize(("said", "cn", "dn", "san"), [
    (names(common_name="lamp"), "lamp", "CN=lamp", ()),
    (names(common_name="lamp", organization="Acme, Inc."), "lamp", r"CN=lamp,O=Acme\, Inc.", ()),
    (names(common_name="", organization="Acme"), "", "O=Acme", ()),
    (names(common_name="lamp", names=(x509.RFC822Name("l@amp.example"), x509.UniformResourceIdentifier("urn:lamp"),
                                      x509.DNSName("lamp.example"))),
     "lamp", "CN=lamp", ("l@amp.example", "urn:lamp", "lamp.example")),
    (names(common_name="lamp", names=(x509.DirectoryName(x509.Name([])), x509.DNSName("lamp.example"))),
     "lamp", "CN=lamp", ("lamp.example",))])
def test_what_a_certificate_says_of_its_owner(authority: Authority, server: Pair, said: dict[str, Any], cn: str, dn: str,
                                              san: tuple[str, ...]) -> None:
    hall = Hall(server, verify="require", cacertfile=authority.file)
    TlsCaller(hall.factory, client_context(authority.file, authority.issue("client", **said))).shake_hands()
    found = hall.inner.made[0].wire.certificate
    assert (found.cn, found.dn, found.san) == (cn, dn, san)
    assert [found.name(part) for part in ("cn", "dn", "san")] == [cn, dn, san[0] if san else ""]


@pytest.mark.parametrize(("verify", "shows", "comes_in"), [
    ("none", "nothing", True), ("none", "good", True), ("none", "strange", True),
    ("optional", "nothing", True), ("optional", "good", True), ("optional", "strange", False), ("optional", "outdated", False),
    ("require", "nothing", False), ("require", "good", True), ("require", "strange", False), ("require", "outdated", False)])
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_who_comes_in(authority: Authority, stranger: Authority, server: Pair, version: str, verify: str, shows: str,
                      comes_in: bool) -> None:
    hall = Hall(server, verify=verify, cacertfile="" if verify == "none" else authority.file)
    pair = {"nothing": None, "good": authority.issue("lamp"), "strange": stranger.issue("lamp"),
            "outdated": authority.issue("old", days=-1)}[shows]
    caller = TlsCaller(hall.factory, client_context(authority.file, pair, version))
    if comes_in:
        caller.shake_hands()
        certificate = hall.inner.made[0].wire.certificate
        assert (certificate and certificate.cn) == ("lamp" if verify != "none" and shows == "good" else None)
        return
    if version == "1.3":
        caller.shake_hands()  # as far as the client knows
    else:
        with pytest.raises(SSLError, match="(?i)alert"):
            caller.shake_hands()
    [(cause, reason)] = hall.refused
    assert cause == HANDSHAKE_FAILED
    assert {"nothing": "peer did not return a certificate", "strange": "its certificate is refused: unable to get local issuer",
            "outdated": "its certificate is refused: certificate has expired"}[shows] in reason
    assert hall.inner.made == []


@pytest.mark.parametrize(("days", "revoked", "reason"), [
    (30, False, ""), (30, True, "certificate revoked"), (-1, False, "CRL has expired")])
def test_a_list_of_revoked_certificates_is_heeded(authority: Authority, server: Pair, days: int, revoked: bool,
                                                  reason: str) -> None:
    good, bad = authority.issue("good"), authority.issue("bad")
    crlfile = authority.revoke(bad, days=days)
    hall = Hall(server, verify="require", cacertfile=authority.file, crlfile=crlfile)
    TlsCaller(hall.factory, client_context(authority.file, bad if revoked else good)).shake_hands()
    assert len(hall.inner.made) == (0 if reason else 1)
    assert [f"its certificate is refused: {reason}" in words for _, words in hall.refused] == ([True] if reason else [])


def test_ciphers_are_those_of_the_listener(server: Pair) -> None:
    hall = Hall(server, ciphers="ECDHE+CHACHA20")
    caller, _ = hall.connect("1.2")
    cipher = caller.tls.cipher()
    assert cipher is not None
    assert "CHACHA20" in cipher[0]
