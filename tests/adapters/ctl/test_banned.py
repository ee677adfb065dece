"""The commands banned list, add, del."""
import json

import pytest
from twisted.internet.address import IPv4Address

from emqtwist.core.bans import Bans
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Disconnect
from tests.adapters.ctl.test_clients import refusal
from tests.desks import Desk


def test_bans_are_listed_until_they_are_deleted() -> None:
    desk = Desk()
    assert desk.lines("banned", "list") == []
    assert desk.lines("banned", "add", "user", "al", "10m") == ["ok"]
    assert desk.lines("banned", "add", "client", "x") == ["ok"]
    assert desk.lines("banned", "add", "address", "10.1.2.3/16", "forever", "out of order") == ["ok"]
    shown = ["Banned(client, x, reason=, by=ctl, at=5000, until=forever)",
             "Banned(user, al, reason=, by=ctl, at=5000, until=5600)",
             "Banned(address, 10.1.0.0/16, reason=out of order, by=ctl, at=5000, until=forever)"]
    assert desk.lines("banned", "list") == shown
    assert json.loads(desk.ask("banned", "list", form="json"))[1] == {
        "kind": "user", "value": "al", "reason": "", "by": "ctl", "at": 5000, "until": 5600}
    assert desk.lines("banned", "del", "address", "10.1.0.0/16") == ["ok"]
    assert desk.lines("banned", "list") == shown[:2]
    desk.reactor.advance(600)
    desk.service.tick()
    assert desk.lines("banned", "list") == shown[:1]
    assert refusal(desk, "banned", "del", "user", "al") == "Not Found."


def test_who_is_connected_is_disconnected() -> None:
    desk = Desk()
    caller = desk.client("x")
    desk.ask("banned", "add", "client", "x", "1h", "out of order")
    assert caller.one(Disconnect).reason_code == c.ADMINISTRATIVE_ACTION
    assert caller.closing


def test_no_connection_from_a_banned_address_is_taken() -> None:
    desk = Desk()
    admission = desk.service.listeners["default"].admission
    here = IPv4Address("TCP", "127.0.0.1", 5000)
    assert admission.admits(here)
    desk.ask("banned", "add", "address", "127.0.0.1")
    assert not admission.admits(here)
    assert "  refused_count   : [{banned,1}]" in desk.lines("listeners")
    desk.ask("banned", "del", "address", "127.0.0.1")
    assert admission.admits(here)


@pytest.mark.parametrize(("words", "told"), [
    (("nobody", "x"), "Error: 'nobody' is none of client, user, address"),
    (("address", "10.0.0"), "Error: '10.0.0' does not appear to be an IPv4 or IPv6 network"),
    (("client", ""), "Error: no client"),
    (("client", "x", "soon"), "Error: soon is neither a duration as 500ms, 30s, 1h30m, 7d nor forever"),
])
def test_what_cannot_be_banned_is_refused(words: tuple[str, ...], told: str) -> None:
    desk = Desk()
    assert refusal(desk, "banned", "add", *words) == told
    assert desk.lines("banned", "list") == []


def test_there_are_no_more_than_are_kept() -> None:
    desk = Desk()
    broker = desk.service.broker
    broker.bans = Bans(broker.turn, None, 0)
    assert refusal(desk, "banned", "add", "client", "x") == "Error: there are too many bans"
