"""Rules for addresses: how they are written, and what they say."""
import pytest

from emqtwist.config import Access, TcpListener, parse
from emqtwist.config.access import ACCESS

OWN = "allow 10.0.0.0/8, deny 192.168.1.7, allow 192.168.0.0/16, allow 2001:db8::/32, deny all"


@pytest.mark.parametrize(("host", "allowed"), [
    ("10.1.2.3", True), ("11.0.0.1", False), ("192.168.1.7", False), ("192.168.1.8", True),
    ("2001:db8::1", True), ("2001:db9::1", False), ("::ffff:10.1.2.3", True), ("::ffff:11.0.0.1", False),
    ("2001:db8::1%eth0", True)])
def test_the_first_rule_that_has_the_address_decides(host: str, allowed: bool) -> None:
    assert ACCESS.read(OWN).allows(host) is allowed


def test_who_matches_no_rule_gets_what_is_for_all() -> None:
    assert ACCESS.read("deny 10.0.0.0/8, allow all").allows("11.0.0.1")
    assert not ACCESS.read("deny all").allows("11.0.0.1")
    assert Access().allows("::1")


@pytest.mark.parametrize(("text", "allowed"), [
    ("deny 0.0.0.0/0, deny ::/0, allow all", True), ("allow 0.0.0.0/0, allow ::/0, deny all", False), ("deny all", False)])
def test_networks_are_not_about_who_has_no_address(text: str, allowed: bool) -> None:
    assert ACCESS.read(text).allows("") is allowed


@pytest.mark.parametrize("text", [OWN, "allow all", "deny all"])
def test_rules_are_written_as_they_are_read(text: str) -> None:
    rules = ACCESS.read(text)
    assert ACCESS.read(ACCESS.write(rules)) == rules
    assert ACCESS.holds(rules)


@pytest.mark.parametrize("text", [
    "", "allow", "all", "permit all", "allow 10.0.0.0/8", "allow all, deny all", "deny 10.0.0.1/8, allow all",
    "deny nowhere, allow all", "allow 10.0.0.0/8 deny all", "allow all,"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="^not "):
        ACCESS.read(text)


def test_a_listener_has_the_rules_of_its_section() -> None:
    listener: TcpListener
    [listener] = parse("listener.tcp.a.bind = 127.0.0.1:0\nlistener.tcp.a.access = deny all").listener.tcp
    assert not listener.access.allows("127.0.0.1")
    assert ACCESS.holds(listener.access)
    assert not ACCESS.holds("deny all")
