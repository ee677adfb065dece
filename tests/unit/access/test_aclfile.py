"""acl.conf: what emqttd ships is read as it is, and what is wrong is told with file and line."""
from pathlib import Path

import pytest

from emqtwist.access.aclfile import read_rules
from emqtwist.config import ConfigError
from emqtwist.core.acl import PUBLISH, SUBSCRIBE, Acl
from emqtwist.core.who import Asker

SHIPPED = """
%% the rules that emqttd comes with
{allow, {user, "dashboard"}, subscribe, ["$SYS/#"]}.

{allow, {ipaddr, "127.0.0.1"}, pubsub, ["$SYS/#", "#"]}.

{deny, all, subscribe, ["$SYS/#", {eq, "#"}]}.  % not for others

{allow, all}.
"""
STRANGER = Asker("x", None, "10.0.0.1", certificate="lamp")


def acl(tmp_path: Path, text: str, otherwise: bool = False) -> Acl:
    path = tmp_path / "acl.conf"
    path.write_text(text)
    return Acl(read_rules(str(path)), otherwise)


@pytest.mark.parametrize(("asker", "access", "topic", "expected"), [
    (STRANGER, SUBSCRIBE, b"$SYS/brokers", False), (STRANGER, SUBSCRIBE, b"#", False), (STRANGER, SUBSCRIBE, b"+/#", False),
    (STRANGER, SUBSCRIBE, b"a/#", True), (STRANGER, PUBLISH, b"a", True),
    (Asker("x", None, "127.0.0.1"), SUBSCRIBE, b"#", True), (Asker("x", "dashboard", "10.0.0.1"), SUBSCRIBE, b"$SYS/#", True),
])
def test_the_rules_that_emqttd_ships(tmp_path: Path, asker: Asker, access: int, topic: bytes, expected: bool) -> None:
    assert acl(tmp_path, SHIPPED).allows(asker, access, topic) is expected


@pytest.mark.parametrize(("who", "expected"), [
    ("all", True), ("{client, all}", True), ("{user, all}", True), ('{client, "x"}', True), ('{client, "y"}', False),
    ('{user, "x"}', False), ('{cert, "lamp"}', True), ('{cert, "x"}', False),
    ('{ipaddr, "10.0.0.9/8"}', True), ('{ipaddr, "2001:db8::/32"}', False),
    ("{'and', [{client, \"x\"}, {ipaddr, \"10.0.0.1\"}]}", True), ("{'and', [{client, \"x\"}, {user, \"y\"}]}", False),
    ("{'or', [{client, \"y\"}, {'and', [all]}]}", True), ("{'or', [{client, \"y\"}]}", False),
])
def test_who(tmp_path: Path, who: str, expected: bool) -> None:
    assert acl(tmp_path, f'{{allow, {who}, publish, ["a"]}}.').allows(STRANGER, PUBLISH, b"a") is expected


@pytest.mark.parametrize(("topics", "asked"), [
    ('"a/b"', "a/b"), ('<<"a/b">>', "a/b"), ('<<"ä"/utf8>>', "ä"), ('["b", <<"a">>]', "a"), (r'["a\"b"]', 'a"b'),
    ('[{eq, "a/+"}]', "a/+"), ('["to/%c"]', "to/x")])
def test_topics(tmp_path: Path, topics: str, asked: str) -> None:
    assert acl(tmp_path, f"{{allow, all, pubsub, {topics}}}.").allows(STRANGER, SUBSCRIBE, asked.encode())


def test_a_rule_knows_its_place(tmp_path: Path) -> None:
    assert [rule.place for rule in acl(tmp_path, SHIPPED).rules] == [f"{tmp_path}/acl.conf:{line}" for line in (3, 5, 7, 9)]


def test_a_file_without_rules_has_none(tmp_path: Path) -> None:
    assert acl(tmp_path, "% nothing yet").rules == []


@pytest.mark.parametrize(("text", "line", "message"), [
    ("\n{allow, all}", 2, "ends within"), ("{allow, all}\n{deny, all}.", 2, "dot"), ("{allow, all}.\n;", 2, "';'"),
    ("{maybe, all}.", 1, "a rule is"), ("allow.", 1, "a rule is"), ("{allow, all, publish}.", 1, "a rule is"),
    ('{allow, all, read, ["a"]}.', 1, "read is not"), ("{allow, all, publish, []}.", 1, "list of strings"),
    ("{allow, all, publish, [a]}.", 1, "a topic is"), ('{allow, all, publish, ["a/#/b"]}.', 1, "a/#/b"),
    ('{allow, {group, "x"}, publish, ["a"]}.', 1, "who is meant"), ('{allow, {\'and\', []}, publish, ["a"]}.', 1, "who is meant"),
    ('{allow, {ipaddr, "10.0.0"}, publish, ["a"]}.', 1, "10.0.0 is no"), ('{allow, <<"x">>, publish, ["a"]}.', 1, "who is meant"),
    ("{allow all}.", 1, "comma"), ("{allow, ]}.", 1, "does not belong"), ('{allow, all, publish, [{eq, b}]}.', 1, "a topic is"),
])
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"acl.conf:{line}: .*{message}"):
        acl(tmp_path, text)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere: cannot be read"):
        read_rules(str(tmp_path / "nowhere"))
    (tmp_path / "latin").write_bytes(b"% \xff")
    with pytest.raises(ConfigError, match="latin: not UTF-8"):
        read_rules(str(tmp_path / "latin"))


def test_the_example_is_good(checkout: Path) -> None:
    rules = Acl(read_rules(str(checkout / "examples/acl.conf")), True)
    assert rules.allows(STRANGER, PUBLISH, b"devices/x/state")
    assert not rules.allows(STRANGER, PUBLISH, b"devices/y/state")
    assert not rules.allows(STRANGER, SUBSCRIBE, b"devices/#")
