"""Files that change are loaded again, bad ones are not, and what expires is told."""
import time
from pathlib import Path
from ssl import SSLError
from typing import Any

import pytest
from twisted.internet.task import Clock

from emqtwist.app.settings import settings_of
from emqtwist.config import Config, SysmonSection
from emqtwist.core.broker import Broker
from emqtwist.core.link import Turn
from emqtwist.core.observer import Observer
from emqtwist.net.tls.loaded import Loaded
from emqtwist.services.certificates import DAY, INTERVAL, Certificates, Looking
from tests.authorities import Authority, Pair
from tests.halls import Hall
from tests.handshakes import TlsCaller, client_context

LABEL = "ssl.a"


class Watch:
    """A listener, and the part that looks after its files."""

    def __init__(self, *pairs: Pair, **keys: Any) -> None:
        self.hall = Hall(*pairs, **keys)
        self.clock = Clock()
        self.broker = Broker(settings_of(Config()), str, Turn(), Observer())
        self.later = 0.0
        self.certificates = Certificates({LABEL: self.hall.credentials}, SysmonSection(), self.broker, lambda: None,
                                         lambda: time.time() + self.later)
        self.part = Looking(self.certificates, self.clock)
        self.part.startService()

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.clock.advance(INTERVAL)

    @property
    def alarms(self) -> dict[str, str]:
        return {identifier: alarm.summary for identifier, alarm in self.broker.alarms.active.items()}

    def known_to(self, authority: Authority) -> bool:
        """Whether a client gets in that believes this authority."""
        try:
            TlsCaller(self.hall.factory, client_context(authority.file)).shake_hands()
        except SSLError:
            return False
        return True


@pytest.fixture
def first(tmp_path: Path) -> Authority:
    folder = tmp_path / "first"
    folder.mkdir()
    return Authority(folder)


@pytest.fixture
def second(tmp_path: Path) -> Authority:
    folder = tmp_path / "second"
    folder.mkdir()
    return Authority(folder)


def replace(pair: Pair, other: Pair) -> None:
    """Put other files in place of a pair, as tools that renew certificates do."""
    for mine, theirs in ((pair.certfile, other.certfile), (pair.keyfile, other.keyfile)):
        Path(theirs).rename(mine)


def test_files_that_change_are_loaded_again_and_nobody_is_dropped(first: Authority, second: Authority) -> None:
    pair = first.server()
    watch = Watch(pair)
    before, protocol = watch.hall.connect()
    replace(pair, second.server(number=1))
    watch.look()
    assert watch.known_to(first)  # one look more: perhaps others are still to be written
    watch.look()
    assert (watch.known_to(first), watch.known_to(second)) == (False, True)
    before.send(b"still here")
    protocol.wire.write(b"so am I")
    assert (protocol.chunks, before.received()) == ([b"still here"], b"so am I")
    assert watch.alarms == {}


def test_a_certificate_without_its_key_is_not_loaded_and_an_alarm_is_raised(first: Authority, second: Authority) -> None:
    pair = first.server()
    watch = Watch(pair)
    other = second.server(number=1)
    Path(other.certfile).rename(pair.certfile)
    watch.look(2)
    assert watch.known_to(first)
    assert watch.alarms == {f"tls_files/{LABEL}": (
        f"{LABEL}: it keeps those that it has: the key in {pair.keyfile} does not belong to the certificate in {pair.certfile}")}
    raised = watch.broker.alarms.active[f"tls_files/{LABEL}"]
    watch.look(5)  # it is not tried again and again
    assert watch.broker.alarms.active[f"tls_files/{LABEL}"] is raised
    Path(other.keyfile).rename(pair.keyfile)
    watch.look(2)
    assert (watch.alarms, watch.known_to(second)) == ({}, True)


def test_a_file_that_is_gone_is_told_and_the_old_stays(first: Authority) -> None:
    pair = first.server()
    watch = Watch(pair)
    content = Path(pair.certfile).read_bytes()
    Path(pair.certfile).unlink()
    watch.look(2)
    assert watch.known_to(first)
    assert watch.alarms[f"tls_files/{LABEL}"].endswith(f"cannot read {pair.certfile}: No such file or directory")
    Path(pair.certfile).write_bytes(content)
    watch.look(2)
    assert watch.alarms == {}


def test_the_alarm_is_over_when_a_reload_of_the_configuration_has_brought_good_files(first: Authority) -> None:
    pair = first.server()
    watch = Watch(pair)
    good = Path(pair.keyfile).read_text()
    Path(pair.keyfile).write_text("")
    watch.look(2)
    assert list(watch.alarms) == [f"tls_files/{LABEL}"]
    Path(pair.keyfile).write_text(good)
    watch.hall.credentials.use(Loaded(watch.hall.credentials.loaded.section, ()))
    watch.look()
    assert watch.alarms == {}


@pytest.mark.parametrize("key", ["cacertfile", "crlfile"])
def test_whom_it_believes_is_loaded_again_too(first: Authority, key: str) -> None:
    client = first.issue("client")
    watch = Watch(first.server(), verify="require", cacertfile=first.file, crlfile=first.revoke())
    context = client_context(first.file, client)
    TlsCaller(watch.hall.factory, context).shake_hands()
    assert len(watch.hall.inner.made) == 1
    if key == "crlfile":
        first.revoke(client)
    else:
        Authority(first.folder)  # in its place
    watch.look(2)
    TlsCaller(watch.hall.factory, context).shake_hands()
    assert len(watch.hall.inner.made) == 1
    assert len(watch.hall.refused) == 1


def test_loading_again_is_done_at_once_when_asked_for(first: Authority, second: Authority) -> None:
    pair = first.server()
    watch = Watch(pair)
    replace(pair, second.server(number=1))
    assert watch.certificates.reload(LABEL) == ""
    assert watch.known_to(second)
    Path(pair.keyfile).write_text("")
    assert watch.certificates.reload(LABEL) == f"{pair.keyfile} holds no private key in PEM form, or a broken one"
    assert list(watch.alarms) == [f"tls_files/{LABEL}"]
    assert watch.known_to(second)


def test_how_many_days_a_certificate_is_good_for_is_told(first: Authority) -> None:
    watch = Watch(first.server(days=40.5))
    name = f"certificates/{LABEL}/days"
    assert watch.broker.stats.gauges()[name] == 40
    watch.later = 3 * DAY
    watch.look()
    assert watch.broker.stats.gauges()[name] == 37
    watch.later = 41 * DAY
    watch.look()
    assert watch.broker.stats.gauges()[name] == -1


def test_a_list_of_revoked_certificates_that_is_outdated_is_told(first: Authority) -> None:
    watch = Watch(first.server(days=40.5), verify="require", cacertfile=first.file, crlfile=first.revoke(days=1))
    assert watch.alarms == {}  # such lists are never good for long
    watch.later = DAY
    watch.look()
    assert "revoked.pem was good until " in watch.alarms[f"tls_expired/{LABEL}"]
    assert watch.broker.stats.gauges()[f"certificates/{LABEL}/days"] == 39


def test_sysmon_certificate_expiry(first: Authority, second: Authority) -> None:
    pair = first.server(days=40.5)
    watch = Watch(pair)
    assert watch.alarms == {}
    watch.later = 27 * DAY
    watch.look()
    [(identifier, summary)] = watch.alarms.items()
    assert identifier == f"tls_expiring/{LABEL}"
    assert summary.startswith(f"{LABEL}: {pair.certfile} is good until 20")
    watch.certificates.section = SysmonSection(certificate_expiry=DAY)
    watch.look()
    assert watch.alarms == {}
    watch.later = 41 * DAY
    watch.look()
    [(identifier, summary)] = watch.alarms.items()
    assert identifier == f"tls_expired/{LABEL}"
    assert summary.startswith(f"{LABEL}: {pair.certfile} was good until 20")
    watch.certificates.section = SysmonSection(certificate_expiry=0.0)  # that it is of no use any more is told anyway
    watch.look()
    assert list(watch.alarms) == [f"tls_expired/{LABEL}"]
    replace(pair, second.server(days=100))
    watch.look(2)
    assert watch.alarms == {}


def test_a_part_that_died_is_followed_by_one_that_goes_on(first: Authority, second: Authority,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    pair = first.server()
    watch = Watch(pair)
    replace(pair, second.server(days=10.5, number=1))
    died = watch.part.ended
    with monkeypatch.context() as patch:
        patch.setattr(Certificates, "reload", lambda certificates, label: 1 / 0)  # in the midst of its work
        watch.look(3)
        died.addErrback(lambda failure: failure.trap(ZeroDivisionError))
        assert died.result is ZeroDivisionError
    watch.part = Looking(watch.certificates, watch.clock)
    watch.part.startService()
    assert (list(watch.alarms), watch.known_to(second)) == ([f"tls_expiring/{LABEL}"], True)
