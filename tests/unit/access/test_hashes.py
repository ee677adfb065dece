"""Hashes of passwords, in all forms that are read; the password is `pencil` unless said otherwise."""
import hashlib
import sys

import bcrypt
import pytest
from cryptography.exceptions import UnsupportedAlgorithm

from emqtwist.access import hashes
from emqtwist.access.hashes import make, of_emqttd, parse

MOSQUITTO_7 = ("$7$101$N/Kg3oF6ZeWH5hO5$hLk8sdeBgMRz59v06arvb2ZKIgd3qaYyTzerXqyAKbtLwf+EYwCtLv5YcliBlDDpJ2YKVsdCKTz4BXcZZAydIA"
               "==")  # of mosquitto_passwd, as the next one
MOSQUITTO_6 = ("$6$hrZTbim6GQ5/91Ie$+NumIYY7w0LAwR3iFf98Q/hKwbY9ap9V9luff31tNSMHmlBXM9wExzkA35mWjw1AKKpwgl3U99x4PAhmXcPHXQ==")
ARGON2 = make(b"pencil", b"salt of 16 bytes")


def hexed(name: str, data: bytes) -> str:
    return hashlib.new(name, data).hexdigest()


FORMS = {
    "ours": ARGON2,
    "plain": "{plain}pencil",
    "md5": "{md5}" + hexed("md5", b"pencil"),
    "sha": "{sha}" + hexed("sha1", b"pencil"),
    "sha256": "{sha256}" + hexed("sha256", b"pencil").upper(),
    "salt first": "{salt,sha256}pepper$" + hexed("sha256", b"pepperpencil"),
    "salt last": "{md5,salt}pepper$" + hexed("md5", b"pencilpepper"),
    "salt with a mark": "{sha,salt}a$b$" + hexed("sha1", b"pencila$b"),
    "pbkdf2": "{pbkdf2,sha256,1000,20}pepper$" + hashlib.pbkdf2_hmac("sha256", b"pencil", b"pepper", 1000, 20).hex(),
    "emqttd": "{emqttd}01020304" + hexed("md5", b"\1\2\3\4pencil"),
    "bcrypt": bcrypt.hashpw(b"pencil", bcrypt.gensalt(4)).decode(),
    "mosquitto 2": MOSQUITTO_7,
    "mosquitto 1": MOSQUITTO_6,
}


@pytest.mark.parametrize("form", FORMS)
def test_the_password_fits_and_no_other_does(form: str) -> None:
    known = parse(FORMS[form])
    assert known.fits(b"pencil")
    for wrong in (b"", b"Pencil", b"pencil ", b"penci", "pencil".encode("utf-16")):
        assert not known.fits(wrong)


def test_only_what_takes_long_is_slow() -> None:
    assert {form for form, text in FORMS.items() if parse(text).slow} == {"ours", "pbkdf2", "bcrypt", "mosquitto 2"}


def test_a_new_hash_is_argon2id_with_its_salt() -> None:
    assert ARGON2.startswith("$argon2id$v=19$m=19456,t=2,p=1$c2FsdCBvZiAxNiBieXRlcw$")
    assert make(b"pencil", b"another salt 16b") != ARGON2
    assert parse(make(b"\xff\0", bytes(16))).fits(b"\xff\0")


def test_bcrypt_looks_at_the_first_72_bytes() -> None:
    text = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()
    assert parse("{salt,bcrypt}" + text).fits(b"x" * 72)
    assert parse(text).fits(b"x" * 73)
    assert not parse(text).fits(b"x" * 71)


def test_bcrypt_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bcrypt", None)
    with pytest.raises(ValueError, match="needs the package bcrypt"):
        parse(FORMS["bcrypt"])


def test_without_argon2id_in_openssl_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(**options: object) -> None:
        raise UnsupportedAlgorithm("no")

    monkeypatch.setattr(hashes, "Argon2id", unsupported)
    for function in (lambda: make(b"x", bytes(16)), lambda: parse(ARGON2)):
        with pytest.raises(ValueError, match="OpenSSL"):
            function()


@pytest.mark.parametrize(("text", "message"), [
    ("secret", "not a hash"),
    ("{rot13}secret", "not a scheme that is known"),
    ("{md4,md4}secret", "not a scheme that is known"),
    ("{sha256}secret", "not hexadecimal"),
    ("{salt,sha256}00", "a salt and a \\$"),
    ("{pbkdf2,sha256,1000,20}x$00", "length"),
    ("{pbkdf2,sha256,many,1}x$00", "not a number"),
    ("{pbkdf2,sha256,99999999,1}x$00", "from 1 to"),
    ("{pbkdf2,crc,1,1}x$00", "not a scheme that is known"),
    ("$6$c2VjcmV0", "not a hash of Mosquitto's"),
    ("$6$!!!$c2VjcmV0", "not base64"),
    ("$7$0$c2VjcmV0$c2VjcmV0", "from 1 to"),
    ("$argon2id$secret", "not a hash of argon2id"),
    (ARGON2.replace("m=19456", "m=99999999"), "KiB of memory"),
    (ARGON2.replace("t=2", "t=0"), "passes"),
    (ARGON2.replace("t=2", "t=65"), "passes"),
    ("$2b$99$" + "a" * 53, "of cost"),
    ("$2b$12$secret", "not a hash of bcrypt"),
])
def test_what_is_wrong_is_told_and_not_shown(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        parse(text)
    assert "secret" not in str(raised.value)
    assert "c2VjcmV0" not in str(raised.value)


def test_emqttds_columns_are_read_by_its_configuration() -> None:
    assert of_emqttd("salt,sha256", "pepper", hexed("sha256", b"pepperpencil")).fits(b"pencil")
    assert of_emqttd("plain", "", "pencil").fits(b"pencil")
