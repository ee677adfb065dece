"""The file of access rules: at the start, and when it is read again."""
from pathlib import Path

import pytest
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs

from emqtwist import BrokerService
from emqtwist.app.methods import located
from emqtwist.config import Config, ConfigError, parse
from emqtwist.core.acl import PUBLISH, Asker
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


def test_a_reload_with_a_bad_file_keeps_the_old_rules(tmp_path: Path) -> None:
    rules = tmp_path / "acl.conf"
    rules.write_text("{deny, all}.")
    service = BrokerService(configuration(tmp_path), MemoryReactorClock())
    rules.write_text("{deny, all}.\n{allow, nobody}.")
    with pytest.raises(ConfigError, match="acl.conf:2: "):
        service.reconfigure(configuration(tmp_path, "mqtt.max_qos_allowed = 0"))
    assert not may_publish(service, b"a")
    assert service.config.mqtt.max_qos_allowed == 2


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
