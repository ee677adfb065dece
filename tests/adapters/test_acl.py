"""The file of access rules: at the start, and when it is read again."""
from pathlib import Path

import pytest
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs

from emqtwist import BrokerService
from emqtwist.app.command import BrokerProcess, Options
from emqtwist.app.methods import located
from emqtwist.config import Config, ConfigError, parse
from emqtwist.core.acl import DECIDES, OTHER_ACCESS, OTHER_CLIENT, OTHER_TOPIC, PUBLISH, SUBSCRIBE, Rule
from emqtwist.core.who import Asker
from emqtwist.mqtt.constants import QUOTA_EXCEEDED
from emqtwist.services.events import LogObserver

ASKER = Asker("x", None, "10.0.0.1")


def configuration(tmp_path: Path, *lines: str) -> Config:
    return located(parse("\n".join(("mqtt.acl_file = acl.conf", *lines))), str(tmp_path))


def may_publish(service: BrokerService, topic: bytes) -> bool:
    acl = service.broker.acl
    return acl is None or acl.allows(ASKER, PUBLISH, topic)


def test_mqtt_acl_file(tmp_path: Path) -> None:
    rules = tmp_path / "acl.conf"
    rules.write_text('{deny, all, publish, ["a"]}.')
    service = BrokerService(configuration(tmp_path), MemoryReactorClock())
    assert not may_publish(service, b"a")
    rules.write_text('{deny, all, publish, ["b"]}.')
    service.reconfigure(configuration(tmp_path))
    assert may_publish(service, b"a")
    assert not may_publish(service, b"b")
    service.reconfigure(Config())
    assert may_publish(service, b"b")


def test_mqtt_acl_nomatch(tmp_path: Path) -> None:
    (tmp_path / "acl.conf").write_text('{allow, all, publish, ["a"]}.')
    service = BrokerService(configuration(tmp_path), MemoryReactorClock())
    assert may_publish(service, b"b")
    service.reconfigure(configuration(tmp_path, "mqtt.acl_nomatch = deny"))
    assert not may_publish(service, b"b")
    assert may_publish(service, b"a")


@pytest.mark.parametrize("whole", [True, False])
def test_a_bad_file_keeps_the_old_rules_and_raises_an_alarm_until_there_is_a_good_one(tmp_path: Path, whole: bool) -> None:
    rules = tmp_path / "acl.conf"
    rules.write_text("{deny, all}.")
    service = BrokerService(configuration(tmp_path), MemoryReactorClock())

    def reload() -> None:
        if whole:
            service.reconfigure(configuration(tmp_path, "mqtt.max_qos_allowed = 0"))
        else:
            service.reload_acl()

    rules.write_text("{deny, all}.\n{allow, nobody}.")
    for _ in range(2):
        with pytest.raises(ConfigError, match="acl.conf:2: "):
            reload()
    assert not may_publish(service, b"a")
    assert service.config.mqtt.max_qos_allowed == 2
    [alarm] = service.broker.alarms.active.values()
    assert (alarm.identifier, alarm.severity) == ("acl_invalid", "error")
    assert "acl.conf:2: " in alarm.summary
    rules.write_text("{allow, all}.")
    reload()
    assert may_publish(service, b"a")
    assert service.broker.alarms.active == {}


def rules_in(tmp_path: Path, *lines: str) -> list[Rule]:
    (tmp_path / "acl.conf").write_text('{deny, all}.')
    acl = BrokerService(configuration(tmp_path, "[acl.rule.x]", *lines), MemoryReactorClock()).broker.acl
    assert acl is not None
    return acl.rules


def test_acl_rule_action(tmp_path: Path) -> None:
    [first, last] = rules_in(tmp_path, "action = allow publish")
    assert (first.allow, first.text) == (True, "allow publish, who = all, topics = all")
    assert first.passes(ASKER, SUBSCRIBE, [b"a"]) == OTHER_ACCESS
    assert last.text == "{deny, all}."


def test_acl_rule_who(tmp_path: Path) -> None:
    for who, expected in (("client x", DECIDES), ("client y", OTHER_CLIENT)):
        assert rules_in(tmp_path, "action = allow", f"who = {who}")[0].passes(ASKER, PUBLISH, [b"a"]) == expected


def test_acl_rule_topics(tmp_path: Path) -> None:
    [rule, _] = rules_in(tmp_path, "action = allow", "topics = b, a")
    assert [rule.passes(ASKER, PUBLISH, [topic]) for topic in (b"a", b"c")] == [DECIDES, OTHER_TOPIC]


def test_acl_rule_reason(tmp_path: Path) -> None:
    assert rules_in(tmp_path, "action = deny", "reason = quota_exceeded")[0].reason_code == QUOTA_EXCEEDED


def test_rules_of_the_configuration_need_no_file_and_change_with_a_reload() -> None:
    service = BrokerService(parse("[acl.rule.x]\naction = deny\ntopics = a", "b.ini"), MemoryReactorClock())
    assert not may_publish(service, b"a")
    assert service.broker.acl is not None
    assert [rule.place for rule in service.broker.acl.rules] == ["b.ini:1"]
    service.reconfigure(parse("[acl.rule.y]\naction = deny\ntopics = b"))
    assert may_publish(service, b"a")
    assert not may_publish(service, b"b")
    service.reconfigure(Config())
    assert service.broker.acl is None


def test_a_bad_file_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="acl.conf: cannot be read"):
        BrokerService(configuration(tmp_path), MemoryReactorClock())


@pytest.mark.parametrize(("method", "text"), [
    ("subscription_ended", "the subscription of carol to b'no/#' ended"),
    ("session_forbidden", "the session of carol is not resumed"),
])
def test_the_log_tells_whose_subscription_is_forbidden(method: str, text: str) -> None:
    with capturedLogs() as events:
        getattr(LogObserver(), method)("carol", b"no/#")
    [event] = events
    assert text in event["log_format"].format(**event)


@pytest.mark.parametrize("mistake", ["[acl.rule.x]\naction = perhaps", "[acl.rule.x]\nwho = all", "[acl]\norder ="])
def test_mistakes_in_the_rules_of_the_configuration_raise_the_same_alarm(tmp_path: Path, mistake: str) -> None:
    file, good = tmp_path / "broker.ini", "[acl.rule.x]\naction = deny\ntopics = a\n"
    file.write_text(good)
    options = Options()
    options.parseOptions(["--config", str(file)])
    process = BrokerProcess(options)
    alarms = process.broker.broker.alarms
    file.write_text(mistake + ("\n" + good if mistake.startswith("[acl]") else ""))
    process.reload()
    [alarm] = alarms.active.values()
    assert alarm.identifier == "acl_invalid"
    assert "broker.ini:" in alarm.summary
    assert not may_publish(process.broker, b"a")
    file.write_text("mqtt.max_qos_allowed = 7")
    process.reload()
    assert list(alarms.active) == ["acl_invalid"]
    file.write_text("")
    process.reload()
    assert alarms.active == {}
    assert may_publish(process.broker, b"a")


def test_other_mistakes_are_none_of_the_rules(tmp_path: Path) -> None:
    file = tmp_path / "broker.ini"
    file.write_text("")
    options = Options()
    options.parseOptions(["--config", str(file)])
    process = BrokerProcess(options)
    file.write_text("mqtt.max_qos_allowed = 7")
    process.reload()
    assert process.broker.broker.alarms.active == {}
