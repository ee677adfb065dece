"""Access rules on the command line: what they are, read again, and what they say about somebody."""
import json
from pathlib import Path

import pytest

from emqtwist.core.access import Verdict
from emqtwist.core.connection import Connection
from emqtwist.ctl.registry import Refused
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Puback, Publish, Suback, Subscribe
from tests.desks import Desk
from tests.oracles import Sibyl

RULES = """\
{allow, {user, "root"}, publish, ["$SYS/a"]}.
{allow, all, subscribe, ["b"]}.
{deny, {client, "x"},
       pubsub, ["a/#"], quota_exceeded}.
"""


def desk(tmp_path: Path, text: str = RULES) -> Desk:
    (tmp_path / "acl.conf").write_text(text)
    return Desk(f"mqtt.acl_file = {tmp_path}/acl.conf")


def refusal(desk: Desk, *words: str) -> str:
    error = desk.error(*words)
    assert isinstance(error, Refused)
    return str(error)


def test_rules_are_listed_with_file_and_line(tmp_path: Path) -> None:
    at = desk(tmp_path)
    assert at.lines("acl", "list") == [
        f'{tmp_path}/acl.conf:1: {{allow, {{user, "root"}}, publish, ["$SYS/a"]}}.',
        f'{tmp_path}/acl.conf:2: {{allow, all, subscribe, ["b"]}}.',
        f'{tmp_path}/acl.conf:3: {{deny, {{client, "x"}}, pubsub, ["a/#"], quota_exceeded}}.',
        "mqtt.acl_nomatch: allow"]
    assert json.loads(at.ask("acl", "list", form="json"))[3] == {"place": "mqtt.acl_nomatch", "rule": "allow"}


def test_where_there_are_no_rules_that_is_said() -> None:
    for words in (["acl", "list"], ["explain", "acl", "x", "publish", "a"]):
        assert refusal(Desk(), *words) == "There are no access rules: everybody may do everything."


def test_rules_are_read_again(tmp_path: Path) -> None:
    at = desk(tmp_path)
    (tmp_path / "acl.conf").write_text("{deny, all}.")
    assert at.lines("acl", "reload") == ["reload acl_internal successfully"]
    assert at.lines("acl", "list") == [f"{tmp_path}/acl.conf:1: {{deny, all}}.", "mqtt.acl_nomatch: allow"]
    (tmp_path / "acl.conf").write_text("{deny, nobody}.")
    assert "acl.conf:1: " in refusal(at, "acl", "reload")
    assert at.lines("acl", "list")[0] == f"{tmp_path}/acl.conf:1: {{deny, all}}."
    assert at.lines("alarms", "list")[0].startswith("Alarm(acl_invalid, severity=error")


@pytest.mark.parametrize(("client_id", "action", "topic", "results"), [
    ("x", "publish", "a/b", ["other topic", "other topic", "decides", "deny"]),
    ("x", "subscribe", "#", ["other access", "other topic", "decides", "deny"]),
    ("x", "subscribe", "$share/g/a/+", ["other topic", "other topic", "decides", "deny"]),
    ("x", "subscribe", "b", ["other topic", "decides", "allow"]),
    ("y", "publish", "a", ["other topic", "other topic", "other client", "decides", "allow"]),
    ("y", "publish", "$SYS/a", ["other client", "other topic", "other topic", "decides",
                                "deny, as no rule names this topic of the broker's own"]),
])
def test_each_rule_says_why_it_does_not(tmp_path: Path, client_id: str, action: str, topic: str, results: list[str]) -> None:
    at = desk(tmp_path)
    caller = at.client(client_id)
    told = json.loads(at.ask("explain", "acl", client_id, action, topic, form="json"))
    assert told[0] == {"client_id": client_id, "username": None, "address": "127.0.0.1"}
    assert [line["result"] for line in told[1:]] == results
    if action == "publish":
        caller.send(Publish(topic.encode(), b"x", 1, packet_id=1))
        answer = caller.one(Puback).reason_code
    else:
        caller.send(Subscribe(1, [(topic.encode(), 0)]))
        answer = caller.one(Suback).reason_codes[0]
    assert (answer >= 0x80) is results[-1].startswith("deny")


def test_the_explanation_can_be_read(tmp_path: Path) -> None:
    at = desk(tmp_path)
    at.client("y")
    assert at.lines("explain", "acl", "y", "subscribe", "b") == [
        "Client(y, username=undefined, address=127.0.0.1)",
        f'{tmp_path}/acl.conf:1: {{allow, {{user, "root"}}, publish, ["$SYS/a"]}}.: other topic',
        f'{tmp_path}/acl.conf:2: {{allow, all, subscribe, ["b"]}}.: decides',
        "allow"]


def test_who_is_away_is_known_by_name_only(tmp_path: Path) -> None:
    at = desk(tmp_path)
    caller = at.client("y", c.MQTT_3_1_1, clean_start=False)
    caller.protocol.connection.user_name = at.service.broker.sessions.by_id["y"].user_name = "root"
    assert at.lines("explain", "acl", "y", "publish", "$SYS/a")[0] == "Client(y, username=root, address=127.0.0.1)"
    caller.hang_up()
    told = at.lines("explain", "acl", "y", "publish", "$SYS/a")
    assert (told[0], told[-1]) == ("Client(y, username=root, address=undefined)", "allow")
    assert at.lines("explain", "acl", "nobody", "publish", "$SYS/a")[0] == "Client(nobody, username=undefined, address=undefined)"


@pytest.mark.parametrize(("action", "topic", "reason"), [
    ("both", "a", "publish or subscribe"), ("publish", "a/#", "wildcard"), ("subscribe", "a#", "stands alone")])
def test_what_cannot_be_asked(tmp_path: Path, action: str, topic: str, reason: str) -> None:
    assert reason in refusal(desk(tmp_path), "explain", "acl", "x", action, topic)


def test_authorizers_are_asked_and_explained_in_their_place(tmp_path: Path) -> None:
    (tmp_path / "acl.conf").write_text(RULES)
    at = Desk(f"mqtt.acl_file = {tmp_path}/acl.conf", "acl.on_error = next", whole=True)
    at.client("x")
    first, last = Sibyl(Verdict("ignore")), Sibyl()
    at.service.register_acl_mod("first", first)
    at.service.register_acl_mod("last", last, -1)
    assert at.lines("explain", "acl", "x", "publish", "a")[1:] == [
        "authorizer first: ignore: has no say", *[f"{place}: {result}" for place, result in (
            (f'{tmp_path}/acl.conf:1: {{allow, {{user, "root"}}, publish, ["$SYS/a"]}}.', "other topic"),
            (f'{tmp_path}/acl.conf:2: {{allow, all, subscribe, ["b"]}}.', "other topic"),
            (f'{tmp_path}/acl.conf:3: {{deny, {{client, "x"}}, pubsub, ["a/#"], quota_exceeded}}.', "decides"))], "deny"]
    first.verdicts = [ValueError()]
    last.verdicts = [Verdict("deny", "so it is")]
    told = json.loads(at.ask("explain", "acl", "x", "publish", "t", form="json"))
    assert [line["result"] for line in told[1:]] == [
        "has failed", "other topic", "other topic", "other topic", "decides", "deny"]
    assert told[5] == {"place": "authorizer last", "rule": "deny: so it is", "result": "decides"}
    first.verdicts, last.verdicts = [Verdict("ignore")], [Verdict("ignore")]
    assert at.lines("explain", "acl", "x", "publish", "t")[-3:] == [
        "authorizer last: ignore: has no say", "mqtt.acl_nomatch: allow: decides", "allow"]
    first.verdicts = [Verdict("allow")]
    assert at.lines("explain", "acl", "x", "publish", "a")[1:] == ["authorizer first: allow: decides", "allow"]


def test_an_authorizer_that_fails_is_explained() -> None:
    at = Desk(whole=True)
    at.service.register_acl_mod("first", Sibyl(ValueError()))
    assert at.lines("explain", "acl", "x", "publish", "a") == [
        "Client(x, username=undefined, address=undefined)", "authorizer first: error: ValueError: has failed", "deny"]


def test_a_superuser_is_explained_as_one(tmp_path: Path) -> None:
    at = desk(tmp_path)
    at.client("x")
    connection = at.service.broker.sessions.by_id["x"].opener
    assert isinstance(connection, Connection)
    connection.superuser = True
    assert at.lines("explain", "acl", "x", "publish", "a")[1:] == ["superuser: allow: decides", "allow"]
