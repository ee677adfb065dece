"""Users whom the broker keeps, as those whose passwords can be tried."""
from twisted.internet.defer import Deferred, succeed

from emqtwist.access.kept import Kept
from emqtwist.access.passwords import Passwords, user_name
from emqtwist.core.access import Deny, Finding, Ok
from emqtwist.core.users import User, Users
from tests.oracles import client


def test_a_hash_is_read_once_and_again_when_it_has_changed() -> None:
    users = Users(None)
    kept = Kept(users)
    assert kept.find("al") is None
    users.set(User("al", "{plain}pencil", False))
    found = kept.find("al")
    assert found is not None
    assert found.fits(b"pencil")
    assert kept.find("al") is found
    users.set(User("al", "{plain}pen", False))
    changed = kept.find("al")
    assert changed is not None
    assert changed.fits(b"pen")
    users.remove("al")
    assert kept.find("al") is None


def test_a_superuser_is_one_as_long_as_it_is_said_to_be() -> None:
    users = Users(None)
    kept = Kept(users)
    assert "al" not in kept
    users.set(User("al", "{plain}pencil", True))
    assert "al" in kept
    assert None not in kept
    users.set(User("al", "{plain}pencil", False))
    assert "al" not in kept


class Slow:
    """A hash that takes long enough for the table to change."""

    slow = True

    def __init__(self, password: bytes) -> None:
        self._password = password

    def fits(self, password: bytes) -> bool:
        return password == self._password


def test_a_password_that_changes_while_it_is_tried_is_tried_anew() -> None:
    known = {"alice": Slow(b"pencil")}
    changes = [lambda: known.update(alice=Slow(b"pen"))]

    def hashing(fits: object, password: bytes) -> "Deferred[bool]":
        fitted = known["alice"].fits(password)
        while changes:
            changes.pop()()
        return succeed(fitted)

    found: list[Finding] = []
    passwords = Passwords(user_name, known.get, (), hashing)
    for password in (b"pencil", b"pen"):
        Deferred.fromCoroutine(passwords.authenticate(client(), password)).addCallback(found.append)
    assert [type(each) for each in found] == [Deny, Ok]
