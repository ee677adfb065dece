"""Users whom the broker keeps: the commands for them, and who gets in."""
import json
from pathlib import Path

import pytest
from twisted.internet.defer import fail

from emqtwist.core import records as r
from emqtwist.core.journal import Journal
from emqtwist.core.users import User, Users
from emqtwist.ctl.registry import Refused
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Connack, Connect, Disconnect, Suback, Subscribe
from emqtwist.services import pooler
from tests.desks import TEST, Desk
from tests.places import Reactor
from tests.threads import HeldThreads
from tests.wires import Caller

WRONG = c.BAD_USER_NAME_OR_PASSWORD


class Office(Desk):
    """A Desk whose broker asks about its own users, with threads that the test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
        self.threads: list[HeldThreads] = []
        monkeypatch.setattr(pooler, "_Daemons", self._threads)
        super().__init__("auth.order = users", *lines, reactor=Reactor())
        self.reactor.advance(0)

    def _threads(self, size: int) -> HeldThreads:
        self.threads.append(HeldThreads(size))
        return self.threads[-1]

    def run(self) -> None:
        for _ in range(3):
            for threads in self.threads:
                threads.run_all()
            self.reactor.advance(0)

    def do(self, *words: str, form: str = "lines") -> str:
        """What a command answers that waits for threads; its refusal, where it is one."""
        customer = self.customer()
        asked, out = customer.begin(*words, form=form)
        customer.pump.flush()
        self.run()
        customer.pump.flush()
        failure: list[str] = []
        asked.addErrback(lambda found: failure.append(str(found.trap(Refused) and found.value)))
        TEST.successResultOf(asked)
        return "".join(failure or out)

    def knock(self, client_id: str, user_name: str, password: bytes) -> Caller:
        caller = Caller(self.service.listeners["default"].factory, self.reactor)
        caller.send(Connect(c.MQTT_5_0, client_id, True, user_name=user_name, password=password))
        return caller

    def enter(self, user_name: str, password: bytes, client_id: str = "x") -> int:
        caller = self.knock(client_id, user_name, password)
        self.run()
        return caller.one(Connack).reason_code


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Office:
    return Office(monkeypatch)


def test_a_user_gets_in_from_when_it_is_added_until_it_is_deleted(office: Office) -> None:
    assert office.enter("alice", b"pencil") == WRONG
    assert office.do("users", "add", "alice", "pencil") == "ok\n"
    assert office.enter("alice", b"pencil") == c.SUCCESS
    assert office.enter("alice", b"pen") == WRONG
    assert office.do("users", "passwd", "alice", "pen") == "ok\n"
    assert office.enter("alice", b"pencil") == WRONG
    assert office.enter("alice", b"pen") == c.SUCCESS
    assert office.do("users", "del", "alice") == "ok\n"
    assert office.enter("alice", b"pen") == WRONG


def test_a_login_that_is_under_way_goes_by_what_holds_at_its_end(office: Office) -> None:
    office.do("users", "add", "alice", "pencil")
    caller = office.knock("x", "alice", b"pencil")
    office.do("users", "del", "alice")
    office.run()
    assert caller.one(Connack).reason_code == WRONG


def test_users_are_listed_with_nothing_of_their_passwords(office: Office) -> None:
    assert office.do("users", "list") == ""
    for name in ("bob", "alice"):
        office.do("users", "add", name, "pencil")
    office.do("users", "superuser", "alice", "on")
    assert office.do("users", "list") == "alice superuser\nbob\n"
    assert json.loads(office.do("users", "list", form="json")) == [
        {"username": "alice", "superuser": True}, {"username": "bob", "superuser": False}]


def test_no_access_rule_concerns_a_superuser(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "acl.conf").write_text("{deny, all}.")
    office = Office(monkeypatch, f"mqtt.acl_file = {tmp_path}/acl.conf")
    office.do("users", "add", "alice", "pencil")
    codes = []
    for switch in ("on", "off"):
        office.do("users", "superuser", "alice", switch)
        office.do("users", "passwd", "alice", "pen")  # which leaves that as it is
        caller = office.knock("x", "alice", b"pen")
        office.run()
        assert caller.one(Connack).reason_code == c.SUCCESS
        caller.send(Subscribe(1, [(b"a", 0)]))
        codes += caller.one(Suback).reason_codes
    assert codes == [0, c.NOT_AUTHORIZED]


@pytest.mark.parametrize(("words", "told"), [
    (("add", "alice", "other"), "Error: already existed"), (("add", "bob"), "Error: no password"),
    (("add", "bob", ""), "Error: no password"), (("add", "", "x"), "Error: no user name"),
    (("add", "a\0b", "x"), "Error: no user name"), (("del", "bob"), "Not Found."), (("passwd", "bob", "x"), "Not Found."),
    (("passwd", "alice"), "Error: no password"), (("superuser", "bob", "on"), "Not Found."),
    (("superuser", "alice", "yes"), "Error: on or off")])
def test_what_cannot_be_done_is_refused(office: Office, words: tuple[str, ...], told: str) -> None:
    office.do("users", "add", "alice", "pencil")
    assert office.do("users", *words) == told
    assert list(office.service.broker.users.table) == ["alice"]


def test_of_two_who_add_one_name_at_a_time_one_is_told(office: Office) -> None:
    customers = [office.customer(), office.customer()]
    asked = [customer.begin("users", "add", "alice", password) for customer, password in
             zip(customers, ("pencil", "pen"), strict=True)]
    for customer in customers:
        customer.pump.flush()
    office.run()
    for customer in customers:
        customer.pump.flush()
    TEST.successResultOf(asked[0][0])
    assert str(TEST.failureResultOf(asked[1][0]).value) == "Error: already existed"
    assert office.enter("alice", b"pencil") == c.SUCCESS


def test_there_are_no_more_than_are_kept(office: Office) -> None:
    office.service.broker.users = Users(None, 0)
    assert office.do("users", "add", "alice", "pencil") == "Error: there are too many users"


def test_passwords_are_hashed_in_turn(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office.service.hashing, "submit", lambda *job: fail(pooler.Refused("too many wait")))
    assert office.do("users", "add", "alice", "pencil") == "Error: too many wait"


def test_who_is_connected_stays_until_it_is_kicked(office: Office) -> None:
    for name in ("alice", "bob"):
        office.do("users", "add", name, "pencil")
    callers = [office.knock(client_id, name, b"pencil") for client_id, name in (("x", "alice"), ("y", "bob"), ("z", "alice"))]
    office.run()
    office.do("users", "del", "alice")
    assert [caller.one(Connack).reason_code for caller in callers] == [c.SUCCESS] * 3
    assert office.do("users", "kick", "alice").split() == ["x", "z"]
    assert [caller.closing for caller in callers] == [True, False, True]
    assert callers[0].one(Disconnect).reason_code == c.ADMINISTRATIVE_ACTION
    assert office.do("users", "kick", "alice") == ""


def journalled(office: Office) -> Journal:
    """The journal that the table of users has from now on."""
    journal = Journal()
    office.service.broker.users = Users(journal)
    return journal


def test_a_change_is_answered_once_it_is_stored(office: Office) -> None:
    journal = journalled(office)
    customer = office.customer()
    asked, out = customer.begin("users", "add", "alice", "pencil")
    customer.pump.flush()
    office.run()
    customer.pump.flush()
    [record] = journal.take()
    assert record[:2] == (r.USER, "alice")
    TEST.assertNoResult(asked)
    journal.committed(1)
    office.run()
    customer.pump.flush()
    TEST.successResultOf(asked)
    assert out == ["ok\n"]


@pytest.mark.parametrize("words", [("add", "bob", "pen"), ("passwd", "alice", "pen"), ("superuser", "alice", "on"),
                                   ("del", "alice")])
def test_nobody_is_changed_while_that_cannot_be_kept(office: Office, words: tuple[str, ...]) -> None:
    journal = journalled(office)
    alice = User("alice", "{plain}pencil", False)
    office.service.broker.users.recover(alice)
    journal.failing = "the disk is full"
    assert office.do("users", *words) == "Error: users cannot be kept now: the disk is full"
    assert office.service.broker.users.table == {"alice": alice}


def test_a_stranger_costs_a_hash_as_a_wrong_password_does(office: Office) -> None:
    caller = office.knock("x", "carol", b"pencil")
    office.reactor.advance(0)
    assert caller.received() == []
    assert [len(threads.held) for threads in office.threads if threads.held] == [1]
