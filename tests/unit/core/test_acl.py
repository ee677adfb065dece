"""Access rules: which rule decides, for whom, and filter against filter."""
from ipaddress import ip_network

import pytest

from emqtwist.core.acl import (
    LONGEST_REMEMBERED,
    MOST_REMEMBERED,
    PASSES,
    PATIENCE,
    PUBLISH,
    PUBSUB,
    REASONS,
    SUBSCRIBE,
    Acl,
    Grants,
    Pattern,
    Rule,
)
from emqtwist.core.door import Certificate
from emqtwist.core.filters import contains, levels_of, overlaps
from emqtwist.core.who import AddressIn, Asker, CertificateIs, ClientIs, Either, Every, UserIs, Who, asker
from emqtwist.mqtt import constants as c
from tests.peers import World

ALICE = Asker("alice-1", "alice", "10.1.2.3", certificate="lamp")


def allows(asked: str, *rules: Rule, access: int = SUBSCRIBE, asker: Asker = ALICE, otherwise: bool = True) -> bool:
    return Acl(list(rules), otherwise).allows(asker, access, asked.encode())


def rule(allow: bool, *filters: str, who: Who | None = None, access: int = PUBSUB, literal: bool = False) -> Rule:
    return Rule(allow, who or Who(), access, [Pattern(each.encode(), literal) for each in filters])


@pytest.mark.parametrize(("outer", "inner", "expected"), [
    ("#", "a/b", True), ("#", "#", True), ("#", "+/#", True), ("+/#", "#", True), ("a/#", "a", True), ("a/#", "a/#", True),
    ("a/+", "a/b", True), ("a/+", "a/+", True), ("a/+/c", "a/b/c", True), ("a/#", "a/+/b", True),
    ("a/+", "a/#", False), ("a/b", "a/+", False), ("a/+", "a", False), ("a/+", "a/b/c", False), ("a/+/#", "a/#", False),
    ("a", "b", False), ("a/b", "a", False), ("#", "$SYS/a", False), ("+/a", "$SYS/a", False), ("$SYS/#", "$SYS/a", True),
    ("$SYS/#", "#", False), ("a/+", "a//", False), ("a/+", "a/", True),
])
def test_a_filter_contains_another(outer: str, inner: str, expected: bool) -> None:
    assert contains(levels_of(outer.encode()), levels_of(inner.encode())) is expected


@pytest.mark.parametrize(("one", "other", "expected"), [
    ("#", "a/b", True), ("a/#", "a", True), ("a/+", "a/#", True), ("a/b", "+/b", True), ("a/+", "+/b", True),
    ("a/b", "a/b", True),
    ("a/+/#", "a/#", True), ("a/#", "b/#", False), ("a/b", "a/c", False), ("a", "a/+", False), ("a/b/c", "a/+", False),
    ("#", "$SYS/a", False), ("$SYS/#", "+/a", False), ("$SYS/+", "$SYS/a", True),
])
def test_filters_overlap_both_ways(one: str, other: str, expected: bool) -> None:
    assert overlaps(levels_of(one.encode()), levels_of(other.encode())) is expected
    assert overlaps(levels_of(other.encode()), levels_of(one.encode())) is expected


def test_the_first_rule_that_decides_is_the_answer() -> None:
    assert allows("a/b", rule(True, "a/b"), rule(False, "a/#"))
    assert not allows("a/b", rule(False, "a/#"), rule(True, "a/b"))


@pytest.mark.parametrize("otherwise", [True, False])
def test_where_no_rule_decides_the_rest_holds(otherwise: bool) -> None:
    assert allows("b", rule(not otherwise, "a"), otherwise=otherwise) is otherwise


def test_an_allowed_part_does_not_allow_the_whole() -> None:
    assert not allows("a/#", rule(True, "a/b"), otherwise=False)


def test_a_denied_part_denies_the_whole() -> None:
    assert not allows("a/#", rule(False, "a/b"))


def test_a_rule_is_for_its_kind_of_access() -> None:
    assert allows("a", rule(False, "a", access=PUBLISH), access=SUBSCRIBE)
    assert not allows("a", rule(False, "a", access=PUBLISH), access=PUBLISH)
    assert not allows("a", rule(False, "a", access=PUBSUB), access=PUBLISH)


def test_a_rule_without_topics_is_about_all_of_them() -> None:
    assert not allows("$SYS/a", rule(False))


@pytest.mark.parametrize(("who", "expected"), [
    (ClientIs("alice-1"), True), (ClientIs("alice"), False), (UserIs("alice"), True), (UserIs("alice-1"), False),
    (AddressIn(ip_network("10.1.0.0/16")), True), (AddressIn(ip_network("10.2.0.0/16")), False),
    (AddressIn(ip_network("::/0")), False), (CertificateIs("lamp"), True), (CertificateIs("alice"), False),
    (Every([UserIs("alice"), ClientIs("alice-1")]), True), (Every([UserIs("alice"), ClientIs("bob")]), False),
    (Either([UserIs("bob"), ClientIs("alice-1")]), True), (Either([UserIs("bob"), ClientIs("bob")]), False),
])
def test_whom_a_rule_is_about(who: Who, expected: bool) -> None:
    assert allows("a", rule(True, "a", who=who), otherwise=False) is expected


@pytest.mark.parametrize(("host", "network", "expected"), [
    ("2001:db8::1", "2001:db8::/32", True), ("::ffff:10.0.0.1", "10.0.0.0/8", True), ("fe80::1%eth0", "fe80::/10", True),
    ("10.0.0.1", "10.0.0.1/32", True), ("10.0.0.2", "10.0.0.1/32", False), ("", "0.0.0.0/0", False),
])
def test_an_address_is_in_a_network(host: str, network: str, expected: bool) -> None:
    assert AddressIn(ip_network(network)).includes(Asker("a", None, host)) is expected


@pytest.mark.parametrize(("pattern", "topic"), [
    ("to/%c/x", "to/alice-1/x"), ("to/%u", "to/alice"), ("to/%a", "to/10.1.2.3"), ("to/%C/x", "to/lamp/x"),
    ("to/%u-%c", "to/alice-alice-1"),
    ("to/%x", "to/%x"),
])
def test_placeholders_stand_for_what_is_known_of_the_client(pattern: str, topic: str) -> None:
    assert allows(topic, rule(True, pattern), otherwise=False)
    assert not allows("to/bob", rule(True, pattern), otherwise=False)


@pytest.mark.parametrize(("client_id", "asked"), [
    ("+", "to/+"), ("#", "to/#"), ("a/b", "to/a/b"), ("", "to/"), ("", "to/%c"), ("%u", "to/alice")])
def test_an_identifier_that_means_more_than_itself_allows_nothing(client_id: str, asked: str) -> None:
    assert not allows(asked, rule(True, "to/%c"), asker=Asker(client_id, "alice", ""), otherwise=False)


def test_an_identifier_does_not_open_what_is_the_brokers_own() -> None:
    assert not allows("$SYS/a", rule(True, "%c/#"), asker=Asker("$SYS", None, ""), otherwise=False)
    assert allows("to/$SYS", rule(True, "to/%c"), asker=Asker("$SYS", None, ""), otherwise=False)


def test_a_missing_user_name_is_nobodys() -> None:
    assert not allows("to/%u", rule(True, "to/%u"), asker=Asker("a", None, ""), otherwise=False)


@pytest.mark.parametrize("name", ["", "x/y", "+"])
def test_who_has_no_certificate_or_a_name_that_means_more_is_allowed_nothing_by_it(name: str) -> None:
    asker = Asker("a", None, "", certificate=name)
    assert not allows(f"to/{name}", rule(True, "to/%C"), asker=asker, otherwise=False)
    assert not allows("a", rule(True, "a", who=CertificateIs("")), asker=asker, otherwise=False)


def test_a_name_counts_that_an_authority_has_believed() -> None:
    world = World()
    world.certificate = Certificate("lamp", "CN=lamp", ("lamp.example",))
    acl = world.broker.acl = Acl([rule(True, "%C", who=CertificateIs("lamp"))], False)
    alice = world.connect("alice")
    assert acl.allows(asker(alice.connection.client()), PUBLISH, b"lamp")
    alice.connection.peer.certificate = None
    assert not acl.allows(asker(alice.connection.client()), PUBLISH, b"lamp")


def test_an_identifier_that_looks_like_a_wildcard_is_denied_rather_more() -> None:
    assert not allows("to/bob", rule(False, "to/%c"), asker=Asker("+", None, ""))


@pytest.mark.parametrize(("asked", "expected"), [("#", False), ("+/#", False), ("a/#", True), ("a", True)])
def test_a_literal_wildcard_is_itself(asked: str, expected: bool) -> None:
    assert allows(asked, rule(False, "#", literal=True)) is expected


def test_a_literal_topic_is_denied_to_wildcards_too() -> None:
    assert not allows("a/+", rule(False, "a/b", literal=True))


def test_what_a_connection_may_is_remembered() -> None:
    grants = Grants(Acl([rule(False, "a")], True), World().connect("alice").connection.client(), 0.0)
    denied = grants.ask(b"a")
    assert not denied.allow
    assert grants.ask(b"b").allow
    assert (grants.allowed, grants.denied) == ({b"b"}, {b"a": denied})


def test_what_is_remembered_has_bounds_and_stays_a_while() -> None:
    grants = Grants(Acl([rule(False, "a")], True), World().connect("alice").connection.client(), 0.0)
    assert grants.ask(b"x" * (LONGEST_REMEMBERED + 1)).allow
    assert grants.allowed == set()
    grants.ask(b"a")
    for number in range(PATIENCE * MOST_REMEMBERED + MOST_REMEMBERED - 2):
        grants.ask(b"%d" % number)
    assert list(grants.denied) == [b"a"]
    assert len(grants.allowed) == MOST_REMEMBERED - 1
    grants.ask(b"new")
    assert (grants.allowed, grants.denied) == ({b"new"}, {})


@pytest.mark.parametrize(("asked", "expected"), [
    ("a/b", ["a/#", "+/b", "%c/b", ""]), ("b/b", ["+/b", "%c/b", ""]), ("$SYS/a", ["+/b", "%c/b", ""]),
    ("c", ["+/b", "%c/b", "", "c"]), ("#", ["a/#", "+/b", "%c/b", "", "c"])])
def test_only_rules_that_could_decide_are_asked(asked: str, expected: list[str]) -> None:
    rules = {"".join(each): rule(False, *each, who=UserIs("nobody")) for each in (["a/#"], ["+/b"], ["%c/b"], [], ["c"])}
    trail: dict[Rule, int] = {}
    assert Acl([*rules.values()], True).decide(ALICE, SUBSCRIBE, asked.encode(), trail).allow
    assert [trail.get(each) is not None for each in rules.values()] == [name in expected for name in rules]
    assert [*trail] == [rules[name] for name in expected]


def test_a_rule_says_why_it_does_not_decide() -> None:
    rules = [rule(False, "a", access=PUBLISH), rule(False, "a", who=UserIs("bob")), rule(False, "b/#", "a/#"), rule(True, "a")]
    trail: dict[Rule, int] = {}
    assert Acl(rules, True).decide(ALICE, SUBSCRIBE, b"a", trail) is rules[2]
    assert [PASSES[trail[each]] for each in rules[:3]] == ["other access", "other client", "decides"]
    assert len(trail) == 3


def test_what_clients_are_told_is_what_every_answer_can_say() -> None:
    answers = [c.REASON_CODES[kind] for kind in (c.PUBACK, c.PUBREC, c.SUBACK, c.CONNACK, c.DISCONNECT)]
    assert set(REASONS.values()) == {code for code in frozenset.intersection(*answers) if code >= 0x80}
    assert REASONS == {c.REASON_NAMES[code].lower().replace(" ", "_"): code for code in REASONS.values()}
