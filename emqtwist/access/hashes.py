"""How a password is kept, in the forms of several programs, and whether one fits.

| Form | Whose |
|---|---|
| `$argon2id$v=19$m=..,t=..,p=..$salt$hash` | ours; Mosquitto's since 2.1 |
| `$6$salt$hash`, `$7$iterations$salt$hash` | Mosquitto's: SHA-512, PBKDF2 with SHA-512 |
| `$2b$..`, `$2a$..`, `$2y$..` | bcrypt, with the package of that name |
| `{sha256}hex`, `{salt,sha256}salt$hex`, `{sha256,salt}salt$hex`, `md5` and `sha` too | emqttd's `password_hash`, salt and hash |
| `{pbkdf2,sha256,1000,20}salt$hex`, `{salt,bcrypt}$2b$..` | the same |
| `{emqttd}hex` | what emq_auth_username keeps: four bytes of salt and their MD5 with the password |
| `{plain}password` | anybody's |

Comparisons take the same time wherever two hashes differ. What is `slow` is to be asked in a thread.
"""
import hashlib
import hmac
import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable
from typing import Final, Protocol

from cryptography.exceptions import InvalidKey, UnsupportedAlgorithm
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

SALT_SIZE: Final = 16
KEY_SIZE: Final = 32
PASSES: Final = 2  # of a new hash; these three are the least that OWASP recommends
MEMORY: Final = 19 * 1024  # KiB
LANES: Final = 1
MOST_MEMORY: Final = 256 * 1024  # KiB that a hash of somebody else may ask for
MOST_PASSES: Final = 64
MOST_LANES: Final = 64
MOST_ITERATIONS: Final = 10_000_000  # of PBKDF2
MOST_COST: Final = 16  # of bcrypt, as an exponent

ARGON2ID: Final = re.compile(r"\$argon2id\$v=19\$m=(\d{1,9}),t=(\d{1,9}),p=(\d{1,9})\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{16,}")
BCRYPT: Final = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
BRACED: Final = re.compile(r"\{([a-z0-9,]+)\}(.*)", re.DOTALL)
DIGESTS: Final = {"md5": "md5", "sha": "sha1", "sha256": "sha256"}
MACS: Final = {"md4": "md4", "md5": "md5", "ripemd160": "ripemd160", "sha": "sha1", "sha224": "sha224", "sha256": "sha256",
               "sha384": "sha384", "sha512": "sha512"}


class Hash(Protocol):
    """What is kept of a password."""

    @property
    def slow(self) -> bool:
        """Whether it takes milliseconds to try a password."""

    def fits(self, password: bytes) -> bool:
        """Whether it is this password."""


class Digest:
    """One pass of a hash function over what is before the password, the password, and what is behind it."""

    slow = False

    def __init__(self, algorithm: str, digest: bytes, before: bytes = b"", behind: bytes = b"") -> None:
        hashlib.new(algorithm, usedforsecurity=False)  # ValueError now rather than later
        self._algorithm = algorithm
        self._digest = digest
        self._before = before
        self._behind = behind

    def fits(self, password: bytes) -> bool:
        found = hashlib.new(self._algorithm, self._before + password + self._behind, usedforsecurity=False).digest()
        return hmac.compare_digest(found, self._digest)


class Plain:
    slow = False

    def __init__(self, password: bytes) -> None:
        self._password = password

    def fits(self, password: bytes) -> bool:
        return hmac.compare_digest(password, self._password)


class Pbkdf2:
    slow = True

    def __init__(self, algorithm: str, salt: bytes, iterations: int, key: bytes) -> None:
        hashlib.new(algorithm, usedforsecurity=False)
        self._algorithm = algorithm
        self._salt = salt
        self._iterations = _within(iterations, MOST_ITERATIONS, "iterations")
        self._key = key

    def fits(self, password: bytes) -> bool:
        found = hashlib.pbkdf2_hmac(self._algorithm, password, self._salt, self._iterations, len(self._key))
        return hmac.compare_digest(found, self._key)


class Argon2:
    slow = True

    def __init__(self, text: str) -> None:
        found = ARGON2ID.fullmatch(text)
        if found is None:
            raise ValueError("not a hash of argon2id")
        memory, passes, lanes = map(int, found.groups())
        _within(memory, MOST_MEMORY, "KiB of memory (m)")
        _within(passes, MOST_PASSES, "passes (t)")
        _within(lanes, MOST_LANES, "lanes (p)")
        _argon2id(bytes(SALT_SIZE))
        self._text = text

    def fits(self, password: bytes) -> bool:
        try:
            Argon2id.verify_phc_encoded(password, self._text)
        except InvalidKey:
            return False
        return True


class Bcrypt:
    slow = True

    def __init__(self, text: str) -> None:
        found = BCRYPT.fullmatch(text)
        if found is None:
            raise ValueError("not a hash of bcrypt")
        _within(int(found[1]), MOST_COST, "of cost")
        try:
            import bcrypt
        except ImportError:
            raise ValueError("a hash of bcrypt needs the package bcrypt (pip install emqtwist[bcrypt])") from None
        self._check: Callable[[bytes, bytes], bool] = bcrypt.checkpw
        self._text = text.encode()

    def fits(self, password: bytes) -> bool:
        return b"\0" not in password and self._check(password[:72], self._text)  # it never looks at more


def make(password: bytes, salt: bytes) -> str:
    """What is kept of a new password; slow. ValueError where the system's OpenSSL has no Argon2id."""
    return _argon2id(salt).derive_phc_encoded(password)


def _argon2id(salt: bytes) -> Argon2id:
    try:
        return Argon2id(salt=salt, length=KEY_SIZE, iterations=PASSES, lanes=LANES, memory_cost=MEMORY)
    except UnsupportedAlgorithm:
        raise ValueError("the OpenSSL that cryptography uses has no Argon2id: it needs 3.2 or later") from None


def parse(text: str) -> Hash:
    """What `text` stands for; ValueError says what is wrong, and shows nothing of it."""
    if text.startswith("$argon2id$"):
        return Argon2(text)
    if text.startswith("$2"):
        return Bcrypt(text)
    if text.startswith("$6$"):
        salt, digest = _fields(text, 2)
        return Digest("sha512", _base64(digest), behind=_base64(salt))
    if text.startswith("$7$"):
        iterations, salt, digest = _fields(text, 3)
        return Pbkdf2("sha512", _base64(salt), _number(iterations), _base64(digest))
    braced = BRACED.fullmatch(text)
    if braced is None:
        raise ValueError("not a hash of a password in a form that is known")
    return of_emqttd(braced[1], *_parts(braced[1], braced[2]))


def of_emqttd(password_hash: str, salt: str, text: str) -> Hash:
    """What `text` stands for where emqttd's `password_hash` has this value; ValueError when it is none."""
    match password_hash.split(","):
        case ["plain"]:
            return Plain(text.encode())
        case ["emqttd"]:
            stored = _hex(text)
            return Digest("md5", stored[4:], before=stored[:4])
        case [("md5" | "sha" | "sha256") as name]:
            return Digest(DIGESTS[name], _hex(text))
        case ["salt", ("md5" | "sha" | "sha256") as name]:
            return Digest(DIGESTS[name], _hex(text), before=salt.encode())
        case [("md5" | "sha" | "sha256") as name, "salt"]:
            return Digest(DIGESTS[name], _hex(text), behind=salt.encode())
        case ["salt", "bcrypt"]:
            return Bcrypt(text)
        case ["pbkdf2", mac, iterations, size] if mac in MACS:
            key = _hex(text)
            if len(key) != _number(size):
                raise ValueError("the hash has not the length that its head says")
            return Pbkdf2(MACS[mac], salt.encode(), _number(iterations), key)
    raise ValueError(f"not a scheme that is known; there are {SCHEMES}")


def is_salted(password_hash: str) -> bool:
    """Whether a salt of its own belongs to a hash of this scheme; that of bcrypt is within."""
    return password_hash.startswith("pbkdf2,") or ("salt" in password_hash and password_hash != "salt,bcrypt")


def check_scheme(password_hash: str) -> None:
    """ValueError where hashes of this scheme cannot be tried here."""
    words = password_hash.split(",")
    size = _number(words[3]) if words[0] == "pbkdf2" and len(words) == 4 else KEY_SIZE
    of_emqttd(password_hash, "", "$2b$10$" + "." * 53 if password_hash == "salt,bcrypt" else "00" * size)


SCHEMES: Final = ("plain, md5, sha, sha256, each of the last three with `salt,` before it or `,salt` behind it, salt,bcrypt and "
                  "pbkdf2,MAC,ITERATIONS,LENGTH")


def _parts(words: str, rest: str) -> tuple[str, str]:
    """Salt and hash of what follows the braces."""
    if not is_salted(words):
        return "", rest
    salt, mark, text = rest.rpartition("$")
    if not mark:
        raise ValueError("a salt and a $ belong before the hash")
    return salt, text


def _fields(text: str, count: int) -> list[str]:
    fields = text.split("$")[2:]
    if len(fields) != count:
        raise ValueError("not a hash of Mosquitto's")
    return fields


def _base64(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except NotBase64:
        raise ValueError("not base64") from None


def _hex(text: str) -> bytes:
    if not re.fullmatch(r"(?:[0-9a-fA-F]{2})+", text):
        raise ValueError("not hexadecimal")
    return bytes.fromhex(text)


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError("not a number")
    return int(text)


def _within(value: int, most: int, unit: str) -> int:
    if not 1 <= value <= most:
        raise ValueError(f"{value} {unit}, from 1 to {most} would do")
    return value
