"""Pre-shared keys: their file, who has one and who has not, and that an identity counts only where its key was used."""
from pathlib import Path
from ssl import PROTOCOL_TLS_CLIENT, SSLContext, SSLError
from typing import Any, cast

import pytest

from emqtwist.app.settings import settings_of
from emqtwist.config import Config, ConfigError, SysmonSection, parse, validate
from emqtwist.core.broker import Broker
from emqtwist.core.causes import HANDSHAKE_FAILED
from emqtwist.core.link import Turn
from emqtwist.core.observer import Observer
from emqtwist.net.tls import loaded
from emqtwist.net.tls.files import BadFile, read_keys
from emqtwist.net.tls.loaded import HAS_PSK, Loaded
from emqtwist.net.tls.subject import shown_by
from emqtwist.services.certificates import Certificates
from tests.authorities import Pair
from tests.halls import Hall, section_of
from tests.handshakes import VERSIONS, TlsCaller, client_context

KEY = "00112233445566778899aabbccddeeff"
OTHER = "ff" * 32
NEW = "ee" * 16

needs_keys = pytest.mark.skipif(not HAS_PSK, reason="this Python has no pre-shared keys")
each_version = pytest.mark.parametrize("version", ["1.2", "1.3"])


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(f"# two lamps\n\nlamp:{KEY}\nlamp:of:the:hall:{OTHER.upper()}\n")
    return path


def with_key(identity: str, key: str, version: str = "") -> SSLContext:
    """A client that has a key, and no certificate to go by."""
    context = SSLContext(PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.set_ciphers("PSK")
    if version:
        context.minimum_version = context.maximum_version = VERSIONS[version]
    cast(Any, context).set_psk_client_callback(lambda hint: (identity, bytes.fromhex(key)))
    return context


def shaken(hall: Hall, context: SSLContext) -> TlsCaller:
    caller = TlsCaller(hall.factory, context)
    caller.shake_hands()
    return caller


# The file.

def test_keys_are_read_with_their_identities(keys: Path) -> None:
    assert read_keys("psk_file", str(keys)) == {"lamp": bytes.fromhex(KEY), "lamp:of:the:hall": bytes.fromhex(OTHER)}


@pytest.mark.parametrize(("text", "words"), [
    ("", "{path} holds no key"), ("# none\n", "{path} holds no key"),
    (f"\n{KEY}\n", "{path}, line 2: not of the form identity:key"), (f":{KEY}", "{path}, line 1: not of the form identity:key"),
    (f"a:{KEY}\na:{OTHER}", "{path}, line 2: this identity has a key already"),
    *[(f"a:{key}", "{path}, line 1: the key is not of 16 to 256 bytes in hexadecimal, two digits each")
      for key in ("", KEY[2:], KEY[1:], KEY + "0", "x" * 32, "00" * 257, KEY[:16] + " " + KEY[16:])],
])
def test_a_file_that_is_of_no_use_is_refused_without_a_word_of_a_key(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(BadFile) as raised:
        read_keys("psk_file", str(path))
    assert (raised.value.key, str(raised.value)) == ("psk_file", words.format(path=path))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_bytes(b"a\xff:" + KEY.encode())
    with pytest.raises(BadFile, match="is not UTF-8"):
        read_keys("psk_file", str(path))


def test_a_python_without_such_keys_says_which_one_is_needed(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaded, "HAS_PSK", False)
    with pytest.raises(BadFile, match=r"pre-shared keys need Python 3\.13, this is 3\."):
        Loaded(section_of(psk_file=str(keys)), ())


@pytest.mark.parametrize(("lines", "words"), [
    ("", "a listener with TLS needs certfile and keyfile, or psk_file"),
    ("psk_file = keys\ncertfile = a\nkeyfile = a\n", "a listener with psk_file has no certificates"),
    ("psk_file = keys\nverify = require\ncacertfile = a\n", "a listener with psk_file has no certificates"),
    ("psk_file = keys\npeer_cert_as_username = dn\n", "the identity of a key is a Common Name"),
])
def test_a_listener_has_a_certificate_or_keys(lines: str, words: str) -> None:
    begin = "[listener.ssl.a]\nbind = 127.0.0.1:0\n"
    with pytest.raises(ConfigError, match=words):
        validate(parse(begin + lines))
    validate(parse(begin + "psk_file = keys\npeer_cert_as_username = cn\n"))


def test_a_listener_for_other_machines_knows_who_its_clients_are_by_their_keys() -> None:
    lines = "[listener.ssl.a]\nbind = 0.0.0.0:8883\npsk_file = keys\n"
    with pytest.raises(ConfigError, match="there is no authentication to tell who they are"):
        validate(parse(lines))
    validate(parse(lines + "peer_cert_as_username = cn\n"))


# Who gets in.

@needs_keys
@each_version
def test_listener_psk_file(keys: Path, version: str) -> None:
    hall = Hall(psk_file=str(keys))
    for identity, key in (("lamp", KEY), ("lamp:of:the:hall", OTHER)):
        caller = shaken(hall, with_key(identity, key, version))
        certificate = caller.layer.certificate
        assert certificate is not None
        assert (certificate.cn, certificate.dn, certificate.san) == (identity, "", ())
        caller.send(b"hello")
        assert hall.inner.made[-1].chunks == [b"hello"]
    assert hall.refused == []


@needs_keys
@each_version
@pytest.mark.parametrize(("identity", "key"), [("lamp", OTHER), ("nobody", KEY), ("", KEY)])
def test_who_has_not_the_key_does_not_get_in(keys: Path, version: str, identity: str, key: str) -> None:
    hall = Hall(psk_file=str(keys))
    with pytest.raises(SSLError):
        shaken(hall, with_key(identity, key, version))
    assert hall.inner.made == []
    assert [cause for cause, _ in hall.refused] == [HANDSHAKE_FAILED]


@needs_keys
@each_version
def test_who_has_no_key_at_all_does_not_get_in(keys: Path, version: str) -> None:
    hall = Hall(psk_file=str(keys))
    with pytest.raises(SSLError):
        shaken(hall, client_context(version=version))
    assert [cause for cause, _ in hall.refused] == [HANDSHAKE_FAILED]
    assert shaken(hall, with_key("lamp", KEY, version)).layer.certificate is not None


@needs_keys
def test_ciphers_of_the_operator_hold_for_keys_too(keys: Path) -> None:
    hall = Hall(psk_file=str(keys), ciphers="ECDHE-PSK-CHACHA20-POLY1305")
    assert shaken(hall, with_key("lamp", KEY, "1.2")).tls.cipher() == ("ECDHE-PSK-CHACHA20-POLY1305", "TLSv1.2", 256)


@needs_keys
def test_nobody_gets_a_ticket(server: Pair, keys: Path) -> None:
    """Who came with one would not be asked for its identity."""
    assert Loaded(section_of(psk_file=str(keys)), ()).context.num_tickets == 0
    assert Loaded(section_of(server), ()).context.num_tickets > 0


@needs_keys
def test_a_file_that_has_changed_holds_for_who_comes_then(keys: Path) -> None:
    hall = Hall(psk_file=str(keys))
    keys.write_text(f"lamp:{NEW}\n")
    assert not hall.credentials.have_changed()  # it has to be the same twice
    assert hall.credentials.have_changed()
    hall.credentials.reload()
    assert shaken(hall, with_key("lamp", NEW, "1.2")).layer.certificate is not None
    keys.write_text("lamp:\n")
    hall.credentials.reload()
    assert hall.credentials.problem.startswith(f"{keys}, line 1: the key is not of 16")
    assert shaken(hall, with_key("lamp", NEW, "1.2")).layer.certificate is not None


# What counts as proof.

class Told:
    """What a handshake has come to."""

    def __init__(self, cipher: str, version: str, resumed: bool) -> None:
        self._cipher = cipher
        self._version = version
        self.session_reused = resumed

    def cipher(self) -> tuple[str, str, int]:
        return self._cipher, self._version, 256

    def version(self) -> str:
        return self._version

    def getpeercert(self, binary_form: bool) -> None:
        """It has shown none."""


def identity_of(identity: str | None, *told: Any) -> str | None:
    certificate = shown_by(cast(Any, Told(*told)), identity)
    return None if certificate is None else certificate.cn


def test_an_identity_counts_only_where_its_key_was_used() -> None:
    assert identity_of("lamp", "ECDHE-PSK-CHACHA20-POLY1305", "TLSv1.2", False) == "lamp"
    assert identity_of("lamp", "ECDHE-ECDSA-AES256-GCM-SHA384", "TLSv1.2", False) is None
    assert identity_of("lamp", "TLS_AES_128_GCM_SHA256", "TLSv1.3", True) == "lamp"
    assert identity_of("lamp", "TLS_AES_128_GCM_SHA256", "TLSv1.3", False) is None
    assert identity_of(None, "TLS_AES_128_GCM_SHA256", "TLSv1.3", True) is None
    with pytest.raises(SSLError, match="nobody knows whose it is"):
        identity_of(None, "PSK-AES256-GCM-SHA384", "TLSv1.2", True)


@needs_keys
def test_keys_do_not_expire(server: Pair, keys: Path) -> None:
    """What was told of certificates is over where a listener goes by keys instead."""
    hall, broker = Hall(server), Broker(settings_of(Config()), str, Turn(), Observer())
    certificates = Certificates({"ssl.a": hall.credentials}, SysmonSection(), broker, lambda: None, lambda: 1e11)
    certificates.tell()
    assert set(broker.alarms.active) == {"tls_expired/ssl.a"}
    assert "certificates/ssl.a/days" in broker.stats.levels
    hall.credentials.use(Loaded(section_of(psk_file=str(keys)), ()))
    certificates.tell()
    assert broker.alarms.active == {}
    assert broker.stats.levels == {}
