"""What [log] makes of events, and how twistd comes to use it."""
import json
import signal
import subprocess
import sys
import syslog
from collections.abc import Callable, Iterator
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any, cast

import pytest
from twisted.application.app import AppLogger
from twisted.application.service import Application, MultiService
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import ILogObserver, Logger, LogLevel, LogPublisher
from twisted.python import log as legacy_log
from twisted.python.components import Componentized
from twisted.python.failure import Failure
from twisted.python.logfile import LogFile
from zope.interface import implementer

from emqtwist.app.command import BrokerProcess, Options
from emqtwist.config import Config, LogSection, apply_live, parse
from emqtwist.services.logs import LogWriter, as_told, install, log_file, observer, part_of

CONTROL = "\x1b[2J"  # clears a terminal
TWISTD: dict[str, object] = {"nodaemon": True, "logfile": None, "syslog": False, "prefix": "twisted", "logger": None}


class Log:
    """A stream, the writer that a `[log]` section makes for it, and a logger of one part of the broker."""

    def __init__(self, text: str = "", part: str = "mqtt.packets") -> None:
        self.config = parse(text)
        self.stream = StringIO()
        self.writer = observer(self.config.log, self.stream, self.config.node.name)
        self.logger = Logger(f"emqtwist.{part}", observer=self.writer)

    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()

    def json(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.lines()]

    def levels(self, part: str = "mqtt.packets") -> list[str]:
        """The levels that are written of this part, of events at every level."""
        before = len(self.lines())
        for level in LogLevel.iterconstants():
            Logger(f"emqtwist.{part}", observer=self.writer).emit(level, level.name)
        return [line.rpartition(" ")[2] for line in self.lines()[before:]]


@pytest.fixture
def opened() -> Iterator[list[LogFile]]:
    """Log files to close at the end."""
    files: list[LogFile] = []
    yield files
    for file in files:
        file.close()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What is told to the system's syslog."""
    calls: list[tuple[object, ...]] = []
    monkeypatch.setattr(syslog, "openlog", lambda *told: calls.append(told))
    monkeypatch.setattr(syslog, "syslog", lambda *told: calls.append(told))
    return calls


def test_log_level() -> None:
    assert Log().levels() == ["info", "warn", "error", "critical"]
    assert Log("[log]\nlevel = error").levels() == ["error", "critical"]


def test_log_level_part() -> None:
    log = Log("[log]\nlevel = error\n[log.level]\nmqtt = warn\nmqtt.packets = debug")
    assert log.levels("mqtt.packets") == ["debug", "info", "warn", "error", "critical"]
    assert log.levels("mqtt.packets.Publish") == ["debug", "info", "warn", "error", "critical"]
    assert log.levels("mqtt.topics") == ["warn", "error", "critical"]
    assert log.levels("core.broker") == log.levels("mqttx") == ["error", "critical"]


def test_levels_change_while_the_log_is_written() -> None:
    log = Log("[log.level]\nmqtt = debug")
    log.writer.set_levels(apply_live(log.config, parse("[log]\nlevel = critical")).log)
    assert log.levels() == ["critical"]


def test_the_writer_knows_whether_it_takes_what_is_for_debugging() -> None:
    log = Log("[log.level]\nservices.events = debug")
    assert log.writer.takes_debugging("emqtwist.services.events.LogObserver")
    assert not log.writer.takes_debugging("emqtwist.services.eventide")
    log.writer.set_levels(parse("").log)
    assert not log.writer.takes_debugging("emqtwist.services.events.LogObserver")


def test_the_level_holds_for_what_twisted_logs_the_old_way() -> None:
    for text, written in (("", 1), ("[log]\nlevel = warn", 0), ("[log]\nformat = json", 1)):
        log = Log(text)
        legacy_log.LogPublisher(publishPublisher=LogPublisher(log.writer)).msg("the old way", packets=3)
        assert len(log.lines()) == written
    [line] = log.json()
    assert line.keys() == {"time", "level", "part", "node", "message", "packets"}
    assert (line["level"], line["part"], line["message"], line["packets"]) == ("info", "log_legacy", "the old way", 3)


def test_log_format() -> None:
    text, lines = Log("[log]\nformat = text"), Log("[log]\nformat = json")
    for log in (text, lines):
        log.logger.warn("{client_id} connected from {peer}", client_id="c1", peer="127.0.0.1", packets=3)
    assert text.lines()[0].endswith(" [emqtwist.mqtt.packets#warn] c1 connected from 127.0.0.1")
    [line] = lines.json()
    assert list(line)[:4] == ["time", "level", "part", "node"]
    assert str(line.pop("time")).endswith("+00:00")
    assert line == {"level": "warn", "part": "mqtt.packets", "node": "emqtwist@127.0.0.1", "client_id": "c1",
                    "message": "c1 connected from 127.0.0.1", "peer": "127.0.0.1", "packets": 3}


def test_node_name() -> None:
    log = Log("[node]\nname = one@host\n[log]\nformat = json")
    log.logger.info("here", node="an event's own")
    assert log.json()[0]["node"] == "one@host"


def test_json_holds_plain_fields_and_no_others() -> None:
    log = Log("[log]\nformat = json")
    topic = b"\xff/\xc3\xa4"
    log.logger.info("{thing}", thing=Config, topic=topic, ratio=float("nan"), nothing=None, flag=True, time="x")
    [line] = log.json()
    assert {key: line.get(key, "absent") for key in ("thing", "topic", "ratio", "nothing", "flag")} == {
        "thing": "absent", "topic": "\\xff/ä", "ratio": "nan", "nothing": None, "flag": True}
    assert line["message"] == str(Config)
    assert str(line["time"])[10] == "T"


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_failure_comes_with_its_traceback(form: str) -> None:
    log = Log(f"[log]\nformat = {form}")
    log.logger.failure("it broke", Failure(ValueError("the cause")))
    assert "Traceback" in log.stream.getvalue()
    assert "the cause" in log.stream.getvalue()
    assert form == "text" or "it broke" == log.json()[0]["message"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_client_forges_a_line_or_steers_a_terminal(form: str) -> None:
    log = Log(f"[log]\nformat = {form}")
    log.logger.info("{client_id} connected", client_id=f"a\r\n2030-01-01 [core#info] forged{CONTROL}\x9b\x00")
    assert not set("\r\x1b\x9b\x00") & set(log.stream.getvalue())
    assert all(line.startswith("\t") or line.endswith("connected") for line in log.lines()[1:])
    assert form == "text" or len(log.lines()) == 1


def test_a_line_is_written_at_once_and_what_the_stream_cannot_encode_is_escaped() -> None:
    written = BytesIO()
    stream = TextIOWrapper(written, encoding="ascii")
    Logger("emqtwist.core", observer=observer(LogSection(), stream)).info("{a}", a="ä\udcff")
    assert written.getvalue().endswith(rb"] \xe4\udcff" + b"\n")


def test_log_file(tmp_path: Path, opened: list[LogFile]) -> None:
    path = tmp_path / "emqtwist.log"
    log = Log(f"[log]\nfile = {path}")
    assert log.writer.file is not None
    opened.append(log.writer.file)
    log.logger.info("hello")
    assert path.read_text().endswith("hello\n")
    assert log.lines() == []


def test_log_file_size(tmp_path: Path, opened: list[LogFile]) -> None:
    log = Log(f"[log]\nfile = {tmp_path}/a.log\nfile_size = 4KB")
    assert log.writer.file is not None
    opened.append(log.writer.file)
    for text in ("x" * 3000, "y" * 3000, "z"):
        log.logger.info(text)
    assert len((tmp_path / "a.log.1").read_text()) > 6000
    assert (tmp_path / "a.log").read_text().endswith("z\n")


def test_log_file_count(tmp_path: Path, opened: list[LogFile]) -> None:
    log = Log(f"[log]\nfile = {tmp_path}/a.log\nfile_size = 4KB\nfile_count = 2")
    assert log.writer.file is not None
    opened.append(log.writer.file)
    for _ in range(6):
        log.logger.info("x" * 5000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log", "a.log.1", "a.log.2"]


def test_log_syslog(sent: list[tuple[object, ...]]) -> None:
    log = Log("[log]\nsyslog = on\nlevel = debug")
    log.levels()
    assert [told[0] for told in sent[1:]] == [
        syslog.LOG_DEBUG, syslog.LOG_INFO, syslog.LOG_WARNING, syslog.LOG_ERR, syslog.LOG_CRIT]
    assert sent[1][1] == "[emqtwist.mqtt.packets#debug] debug"
    assert len(log.lines()) == 5


def test_without_syslog_nothing_is_told_to_it(sent: list[tuple[object, ...]]) -> None:
    Log().levels()
    assert sent == []


def test_log_syslog_prefix(sent: list[tuple[object, ...]]) -> None:
    Log("[log]\nsyslog = on\nsyslog_prefix = broker7")
    assert sent[0][0] == "broker7"


def test_log_syslog_facility(sent: list[tuple[object, ...]]) -> None:
    Log("[log]\nsyslog = on\nsyslog_facility = local3")
    assert sent[0][2] == syslog.LOG_LOCAL3


def test_every_facility_that_may_be_written_is_known_to_syslog(sent: list[tuple[object, ...]]) -> None:
    from emqtwist.config.sections.log import FACILITIES
    for facility in FACILITIES.choices:
        Log(f"[log]\nsyslog = on\nsyslog_facility = {facility}")
    assert len({told[2] for told in sent}) == len(FACILITIES.choices)


def test_syslog_gets_each_line_of_a_message_and_json_in_one(sent: list[tuple[object, ...]]) -> None:
    Log("[log]\nsyslog = on").logger.info("one\ntwo\x00")
    assert [told[1] for told in sent[1:]] == ["[emqtwist.mqtt.packets#info] one", "\ttwo\\x00"]
    Log("[log]\nsyslog = on\nformat = json").logger.info("one\ntwo")
    assert json.loads(str(sent[-1][1]))["message"] == "one\ntwo"


@implementer(IReactorFromThreads)
class ThreadCalls:
    """A reactor that keeps what is called from elsewhere."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], object]] = []

    def callFromThread(self, callable: Callable[..., object], *args: object, **kwargs: object) -> None:
        self.calls.append(lambda: callable(*args, **kwargs))


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> dict[int, Callable[[int, None], object]]:
    taken: dict[int, Callable[[int, None], object]] = {}
    monkeypatch.setattr(signal, "signal", taken.__setitem__)
    return taken


def component(application: Componentized) -> object:
    """What twistd finds when it looks for an observer."""
    return application.getComponent(ILogObserver)


def installed(section: LogSection, opened: list[LogFile], **options: object) -> LogWriter:
    """The writer that an application of twistd gets, seen to be the one that twistd's own logger takes."""
    application = Application("emqtt")
    writer = install(application, section, {**TWISTD, **options}, ThreadCalls())
    assert writer is not None
    assert component(application) is writer
    if writer.file is not None:
        opened.append(writer.file)
    return writer


def test_twistd_takes_the_writer_in_place_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[object] = []

    class Beginner:
        def beginLoggingTo(self, observers: list[object]) -> None:
            taken.extend(observers)

    monkeypatch.setattr("twisted.logger.globalLogBeginner", Beginner())
    application = Application("emqtt")
    writer = install(application, LogSection(), TWISTD, ThreadCalls())
    AppLogger(TWISTD).start(application)
    assert taken == [writer]


@pytest.mark.parametrize(("text", "said"), [("", False), ("[log.level]\nservices = debug", True)])
def test_the_broker_of_twistd_does_not_say_what_its_log_leaves_out(text: str, said: bool, tmp_path: Path) -> None:
    (tmp_path / "broker.ini").write_text(text)
    options = Options()
    options.parent = cast(Any, TWISTD)
    options.parseOptions(["--config", str(tmp_path / "broker.ini")])
    process = BrokerProcess(options)
    assert process.broker.events.debugging
    process.setServiceParent(Application("emqtt"))
    assert process.broker.events.debugging is said


def test_in_the_foreground_the_log_goes_to_standard_output(
        capsys: pytest.CaptureFixture[str], opened: list[LogFile]) -> None:
    for options in ({}, {"logfile": "-"}):
        Logger("emqtwist.core", observer=installed(LogSection(format="json"), opened, **options)).info("hello")
        assert json.loads(capsys.readouterr().out)["message"] == "hello"


def test_a_daemon_logs_to_twistd_log(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: list[LogFile],
        signals: dict[int, Callable[[int, None], object]]) -> None:
    monkeypatch.chdir(tmp_path)
    installed(LogSection(), opened, nodaemon=False)
    assert [path.name for path in tmp_path.iterdir()] == ["twistd.log"]


def test_a_daemon_has_no_standard_output(opened: list[LogFile]) -> None:
    with pytest.raises(SystemExit, match="Daemons cannot log to stdout"):
        installed(LogSection(), opened, nodaemon=False, logfile="-")


def test_the_file_of_the_section_is_used_unless_the_command_line_names_one(
        tmp_path: Path, opened: list[LogFile], signals: dict[int, Callable[[int, None], object]]) -> None:
    section = LogSection(file=str(tmp_path / "section"), file_count=3)
    installed(section, opened, nodaemon=False)
    assert [path.name for path in tmp_path.iterdir()] == ["section"]
    installed(section, opened, logfile=str(tmp_path / "line"))
    assert [Path(file.path).name for file in opened] == ["section", "line"]
    assert (opened[0].maxRotatedFiles, opened[1].maxRotatedFiles) == (3, None)


def test_syslog_on_the_command_line_goes_before_the_section(sent: list[tuple[object, ...]]) -> None:
    options = {**TWISTD, "syslog": True, "prefix": "p"}
    section, stdout = as_told(LogSection(file="unused", syslog_facility="user"), options)
    observer(section, stdout)
    assert stdout is None
    assert sent == [("p", syslog.LOG_PID | syslog.LOG_NDELAY, syslog.LOG_USER)]


@pytest.mark.parametrize("options", [{**TWISTD, "logger": print}, {"logFile": "of another runner"}, {}])
def test_where_twistd_does_not_log_nothing_is_installed(options: dict[str, object], tmp_path: Path) -> None:
    application = Application("emqtt")
    assert install(application, LogSection(file=str(tmp_path / "a")), options, ThreadCalls()) is None
    assert component(application) is None
    assert list(tmp_path.iterdir()) == []


def test_an_embedded_broker_leaves_logging_alone(
        tmp_path: Path, signals: dict[int, Callable[[int, None], object]]) -> None:
    assert install(MultiService(), LogSection(file=str(tmp_path / "a")), TWISTD, ThreadCalls()) is None
    assert list(tmp_path.iterdir()) == []
    assert signals == {}


def test_sigusr1_puts_the_log_file_aside(
        tmp_path: Path, opened: list[LogFile], signals: dict[int, Callable[[int, None], object]]) -> None:
    reactor = ThreadCalls()
    writer = install(Application("emqtt"), LogSection(file=str(tmp_path / "a")), TWISTD, reactor)
    assert writer is not None
    assert writer.file is not None
    opened.append(writer.file)
    signals[signal.SIGUSR1](signal.SIGUSR1, None)
    [call] = reactor.calls
    call()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "a.1"]


def test_somebody_elses_sigusr1_is_left_to_them(
        tmp_path: Path, opened: list[LogFile], signals: dict[int, Callable[[int, None], object]],
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "getsignal", lambda number: print)
    installed(LogSection(file=str(tmp_path / "a")), opened)
    assert signals == {}


def test_a_log_file_that_cannot_be_opened_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        log_file(str(tmp_path / "no" / "a.log"))


TAC = """
from twisted.application.service import Application, MultiService
from twisted.internet import reactor
from twisted.logger import Logger
from twisted.python.log import msg
from twisted.scripts.twistd import ServerOptions
from emqtwist.config import load
from emqtwist.services.logs import install

log = Logger("emqtwist.mqtt")

class Root(MultiService):
    def setServiceParent(self, parent):
        options = ServerOptions()
        options.parseOptions()
        self.writer = install(parent, load("broker.ini").log, options, reactor)
        super().setServiceParent(parent)

    def startService(self):
        super().startService()
        log.debug("service started")
        msg("the old way")
        print("printed")
        reactor.callWhenRunning(reactor.stop)

application = Application("emqtt")
Root().setServiceParent(application)
"""


def run_twistd(folder: Path, checkout: Path, ini: str, *options: str) -> str:
    """Standard output of a real twistd that runs TAC with this broker.ini."""
    (folder / "emqtt.tac").write_text(TAC)
    (folder / "broker.ini").write_text(ini)
    command = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "-n", "--pidfile=", *options,
               "--python", "emqtt.tac"]
    environment = {"PYTHONPATH": str(checkout), "PATH": ""}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout


def test_a_real_twistd_writes_all_it_says_as_the_section_says(tmp_path: Path, checkout: Path) -> None:
    lines = run_twistd(tmp_path, checkout, "[log]\nformat = json\n[log.level]\nmqtt = debug").splitlines()
    said = [json.loads(line) for line in lines]
    messages = {(line["part"], line["message"]) for line in said}
    assert messages >= {("mqtt", "service started"), ("log_legacy", "the old way"), ("stdout", "printed")}
    assert any(line["message"].endswith("starting up.") for line in said)
    assert said[-1]["message"] == "Server Shut Down."


def test_a_real_twistd_filters_its_own_lines_too(tmp_path: Path, checkout: Path) -> None:
    output = run_twistd(tmp_path, checkout, "[log]\nlevel = warn\n[log.level]\nmqtt = debug")
    assert [line.rpartition("] ")[2] for line in output.splitlines()] == ["service started"]


def test_a_real_twistd_keeps_its_logfile_option(tmp_path: Path, checkout: Path) -> None:
    assert run_twistd(tmp_path, checkout, "[log]\nfile = section.log", "--logfile", "line.log") == ""
    assert "the old way" in (tmp_path / "line.log").read_text()
    assert not (tmp_path / "section.log").exists()


def test_the_part_of_a_line_is_what_log_level_calls_it() -> None:
    assert part_of("emqtwist.services.events.LogObserver") == "services.events"
    assert part_of("emqtwist.net.protocol") == "net.protocol"
    assert part_of("twisted.internet.base") == "twisted.internet.base"
