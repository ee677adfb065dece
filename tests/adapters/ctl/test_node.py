"""What commands tell of the broker as a whole, and what they change."""
import json
import os
import re
import resource
import sys
from pathlib import Path
from threading import Event, Thread

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from emqtwist.core.alarm import ERROR
from emqtwist.core.hooks import FAILURES
from emqtwist.core.metrics import ALIASES
from emqtwist.ctl.commands import vm
from emqtwist.ctl.registry import Refused, WrongWords
from emqtwist.mqtt.packets import Publish, Subscribe
from emqtwist.services.part import Part
from emqtwist.services.supervisor import Child, Supervisor
from tests.adapters.test_plugins import MODULE, NAMES, Plain
from tests.desks import Desk


def numbers(desk: Desk, *words: str) -> dict[str, int]:
    return {row["key"]: row["value"] for row in json.loads(desk.ask(*words, form="json"))}


def refusal(desk: Desk, *words: str) -> str:
    error = desk.error(*words)
    assert isinstance(error, Refused)
    return str(error)


def test_status_and_broker_tell_how_it_is() -> None:
    desk = Desk()
    assert desk.lines("status")[0] == "Node 'emqtwist@127.0.0.1' is started"
    assert re.fullmatch(r"emqtwist \S+ is running", desk.lines("status")[1])
    desk.reactor.advance(61)
    sysdescr, version, uptime, datetime = desk.lines("broker")
    assert sysdescr == "sysdescr  : emqtwist MQTT Broker"
    assert version.startswith("version   : ")
    assert uptime == "uptime    : 1 minutes, 1 seconds"
    assert re.fullmatch(r"datetime  : \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", datetime)
    desk.service.stopService()
    assert desk.lines("status") == ["Node 'emqtwist@127.0.0.1' is stopping", "emqtwist is not running"]


def test_status_says_what_the_broker_waits_for() -> None:
    class Slow(Part):
        def startService(self) -> Deferred[None]:
            super().startService()
            begun.append(Deferred())
            return begun[-1]

    begun: list[Deferred[None]] = []
    desk = Desk()
    below = [Child("slow", Slow, patience=100, takes="which reads a log"), Child("next", Part)]
    desk.root.add(Child("above", lambda: Supervisor("above", below, desk.reactor), patience=100))
    desk.reactor.advance(12)
    assert desk.lines("status")[2:] == ["waiting for above/slow to start, for 12 s, which reads a log"]
    begun[0].callback(None)
    assert desk.lines("status")[2:] == []
    for number in (1, 2):
        desk.lines("supervisor", "kill", "above/slow")
        if number == 1:
            assert desk.lines("status")[2:] == [
                "waiting for above/slow to start, for 0 s, which reads a log; last failure: slow was killed"]
            begun[1].callback(None)
    assert desk.lines("status")[2:] == ["above/slow is to be started again; last failure: slow was killed"]


def test_gauges_are_those_of_the_traffic() -> None:
    desk = Desk("module.delayed.enable = on")
    desk.client("a").send(Subscribe(1, [(b"t/+", 1), (b"u", 0)]), Publish(b"kept", b"x", retain=True),
                          Publish(b"$delayed/9/t", b"x"))
    desk.client("b").send(Subscribe(1, [(b"t/+", 0)]))
    desk.client("c").hang_up()
    expected = {"clients/count": 2, "clients/max": 3, "sessions/count": 2, "sessions/max": 3, "topics/count": 2,
                "routes/count": 2, "subscriptions/count": 3, "subscribers/count": 3, "retained/count": 1, "delayed/count": 1}
    found = numbers(desk, "broker", "stats")
    assert len(found) == 16
    assert list(found) == sorted(found)
    assert {name: found[name] for name in expected} == expected
    assert "clients/count       : 2" in desk.lines("broker", "stats")
    assert desk.ask("stats") == desk.ask("broker", "stats")


def test_counters_are_those_of_the_traffic() -> None:
    desk = Desk()
    desk.client("a").send(Subscribe(1, [(b"t", 1)]))
    desk.client("b").send(Publish(b"t", b"x", 1, packet_id=1), Publish(b"nobody", b"x"))
    found = numbers(desk, "broker", "metrics")
    assert set(ALIASES) < set(found)
    assert list(found) == sorted(found)
    expected = {"packets/connect": 2, "packets/connack": 2, "packets/subscribe": 1, "packets/suback": 1, "packets/puback/sent": 1,
                "messages/qos1/received": 1, "messages/qos1/sent": 1, "messages/qos0/received": 1, "messages/dropped": 1,
                "packets/received": 5, "authentication_anonymous": 2}
    assert {name: found[name] for name in expected} == expected
    assert "packets/connect         : 2" in desk.lines("broker", "metrics")
    own = numbers(desk, "metrics")
    assert (own["connect_received"], own["qos1_sent"], own["dropped_no_subscribers"]) == (2, 1, 1)


def test_vm_tells_of_this_process() -> None:
    desk = Desk()
    parts = [desk.lines("vm", part) for part in ("load", "memory", "process", "io")]
    names = [[line.split(":")[0] for line in part] for part in parts]
    assert names == [["cpu/load1               ", "cpu/load5               ", "cpu/load15              "],
                     ["memory/total            ", "memory/peak             ", "memory/code             "],
                     ["process/limit           ", "process/count           "],
                     ["io/max_fds              ", "io/active_fds           "]]
    assert [line.split(":")[0] for line in desk.lines("vm")] == [name for part in names for name in part]
    assert len(desk.lines("vm", "all")) == len(desk.lines("vm"))
    before = numbers(desk, "vm", "io")["io/active_fds"]
    opened = os.open(os.devnull, os.O_RDONLY)
    assert numbers(desk, "vm", "io")["io/active_fds"] == before + 1
    os.close(opened)
    memory = numbers(desk, "vm", "memory")
    assert memory["memory/peak"] >= memory["memory/total"] > memory["memory/code"] > 0


def test_vm_tells_limits_threads_and_load_as_the_system_does(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    monkeypatch.setattr(os, "getloadavg", lambda: (0.5, 1.256, 100.0))
    assert [line.split(": ")[1] for line in desk.lines("vm", "load")] == ["0.50", "1.26", "100.00"]
    assert list(numbers(desk, "vm", "load").values()) == [0.5, 1.26, 100.0]
    limits = {resource.RLIMIT_NPROC: resource.RLIM_INFINITY, resource.RLIMIT_NOFILE: 1234}
    monkeypatch.setattr(resource, "getrlimit", lambda which: (limits[which], limits[which]))
    assert desk.lines("vm", "process")[0] == "process/limit           : infinity"
    assert numbers(desk, "vm", "io")["io/max_fds"] == 1234
    before, enough = numbers(desk, "vm", "process")["process/count"], Event()
    thread = Thread(target=enough.wait)
    thread.start()
    assert numbers(desk, "vm", "process")["process/count"] == before + 1
    enough.set()
    thread.join()


def test_vm_tells_the_memory_that_the_kernel_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    before = numbers(desk, "vm", "memory")
    taken = b"\1" * (1 << 26)
    after = numbers(desk, "vm", "memory")
    assert after["memory/total"] - before["memory/total"] > len(taken) // 2
    assert after["memory/peak"] >= after["memory/total"]
    (tmp_path / "status").write_text("Name:\tx\nVmHWM:\t 30 kB\nVmRSS:\t 20 kB\nVmExe:\t 3 kB\nVmLib:\t 4 kB\nThreads:\t5\n")
    monkeypatch.setattr(vm, "PROC", tmp_path)
    assert numbers(desk, "vm", "memory") == {"memory/total": 20480, "memory/peak": 30720, "memory/code": 7168}
    assert numbers(desk, "vm", "process")["process/count"] == 5


def test_vm_lists_descriptors_only_where_the_kernel_does_not_count_them_and_then_in_a_thread(
        monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    asked: list[object] = []
    done: Deferred[int] = Deferred()

    def submit(function: object) -> Deferred[int]:
        asked.append(function)
        return done

    monkeypatch.setattr(desk.service.pool, "submit", submit)
    monkeypatch.setattr(vm.MACHINE, "descriptors", lambda: 77)
    assert numbers(desk, "vm", "io")["io/active_fds"] == numbers(desk, "vm")["io/active_fds"] == 77
    assert asked == []
    monkeypatch.setattr(vm.MACHINE, "descriptors", lambda: 0)
    customer = desk.customer()
    _, out = customer.begin("vm", "io", form="json")
    customer.pump.flush()
    assert (asked, out) == ([vm.MACHINE.listed_descriptors], [])
    done.callback(88)
    customer.pump.flush()
    assert json.loads("".join(out))[1] == {"key": "io/active_fds", "value": 88}


def test_the_workers_of_subscriptions_show_what_waits_for_them() -> None:
    desk = Desk()
    workers = desk.service.broker.pools.pubsub.workers
    for worker in workers:
        worker.stop()
    desk.client("x").send(Subscribe(1, [(b"t", 0)]))
    found = json.loads(desk.ask("broker", "pubsub", form="json"))
    assert [row["worker"] for row in found] == [worker.name for worker in workers]
    assert {row["status"] for row in found} == {"down"}
    assert [list(row) for row in found] == [["worker", "status", "message_queue_len"]] * len(workers)
    assert sorted(row["message_queue_len"] for row in found) == [0] * (len(workers) - 1) + [1]
    for worker in workers:
        worker.start()
    desk.service.turns.flush()
    assert desk.lines("broker", "pubsub")[:3] == [
        f"pubsub: {workers[0].name}", "  status            : running", "  message_queue_len : 0"]
    assert {row["message_queue_len"] for row in json.loads(desk.ask("broker", "pubsub", form="json"))} == {0}


def test_hooks_are_listed_in_the_order_of_their_calls(logged_failures: list[Failure]) -> None:
    def late(*arguments: object) -> None:
        raise ValueError("of ours")

    def early(*arguments: object) -> None:
        pass

    desk = Desk()
    desk.service.hooks.add("client.connected", late, 5, "t")
    desk.service.hooks.add("client.connected", early, -1)
    desk.client("x")
    lines = desk.lines("hooks", "list")
    assert re.fullmatch(r"client.connected -> \S+early, priority=-1, failures=0", lines[0])
    assert re.fullmatch(r"client.connected -> \S+late:t, priority=5, failures=1", lines[1])
    assert logged_failures.pop().type is ValueError
    for number in range(FAILURES):
        desk.client(f"x{number}")
    rows = json.loads(desk.ask("hooks", "list", form="json"))
    assert [row["function"].rpartition(".")[2] for row in rows] == ["early", "late:t"]
    assert rows == [{"hook": "client.connected", "function": row["function"], "priority": priority, "failures": failures}
                    for row, priority, failures in zip(rows, (-1, 5), (0, FAILURES + 1), strict=True)]
    assert desk.lines("alarms", "list")[0].startswith("Alarm(hook_failing/client.connected/")


def test_alarms_are_listed_until_they_are_cleared_and_remembered() -> None:
    desk = Desk()
    desk.service.turns.begin()
    desk.service.broker.alarms.raise_("fire", ERROR, "it burns", "the whole of it")
    desk.reactor.advance(5)
    told = "severity=error, title=it burns, summary=the whole of it, raised_at=5000"
    assert desk.lines("alarms", "list") == [f"Alarm(fire, {told})"]
    assert desk.lines("alarms", "history") == []
    assert desk.lines("alarms", "clear", "fire") == ["ok"]
    assert desk.lines("alarms", "list") == []
    assert desk.lines("alarms", "history") == [f"Alarm(fire, {told}, cleared_at=5005)"]
    assert refusal(desk, "alarms", "clear", "fire") == "Not Found."


def test_a_moment_is_told_as_the_same_each_time_unless_the_wall_clock_is_set() -> None:
    desk = Desk()
    desk.client("x")
    walls = [5000.999, 5001.001, 5000.3, 8600.999]
    desk.control.factory.context.wall = lambda: walls[0]
    told = []
    while walls:
        told.append(json.loads(desk.ask("clients", "show", "x", form="json"))[0]["connected_at"])
        walls.pop(0)
    assert told == [5000, 5000, 5000, 8600]


# Plug-ins.

def test_plugins_are_loaded_and_unloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged_failures: list[Failure]) -> None:
    (tmp_path / "pieces.py").write_text(MODULE)
    package = tmp_path / "pieces-1.5.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: pieces\nVersion: 1.5\nSummary: what it does\n")
    entries = "\n".join(f"{name} = pieces:{target}" for name, target in NAMES.items())
    (package / "entry_points.txt").write_text(f"[emqtwist.plugins]\n{entries}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "pieces", raising=False)
    desk = Desk()

    def shown() -> list[str]:
        return [line for line in desk.lines("plugins", "list") if "(one," in line]

    assert shown() == ["Plugin(one, version=1.5, description=what it does, active=false)"]
    assert desk.lines("plugins", "load", "one") == ["Start apps: [one]", "Plugin one loaded successfully."]
    assert shown() == ["Plugin(one, version=1.5, description=what it does, active=true)"]
    assert refusal(desk, "plugins", "load", "one") == "load plugin error: already_started"
    assert refusal(desk, "plugins", "load", "none") == "load plugin error: not_found"
    assert refusal(desk, "plugins", "load", "broken").startswith("load plugin error: {broken,")
    assert logged_failures.pop().check(Exception)
    assert desk.lines("plugins", "unload", "one") == ["Plugin one unloaded successfully."]
    assert sys.modules["pieces"].events == [("load", "one"), ("unload", "one")]
    assert refusal(desk, "plugins", "unload", "one") == "unload plugin error: not_started"
    assert refusal(desk, "plugins", "unload", "none") == "unload plugin error: not_found"


def test_a_plugin_that_fails_to_unload_is_told_and_is_gone(logged_failures: list[Failure]) -> None:
    desk = Desk()
    plugin = Plain()
    desk.service.plugins.load("plain", plugin)
    plugin.fails = True
    assert refusal(desk, "plugins", "unload", "plain") == "unload plugin error: {plain,unload}"
    assert logged_failures.pop().type is ZeroDivisionError
    assert refusal(desk, "plugins", "unload", "plain") == "unload plugin error: not_found"


def test_a_plugin_adds_commands_of_its_own() -> None:
    class Greeter:
        def load(self, broker: object) -> None:
            desk.service.commands.add("greet", "<Name>", "Greet somebody", lambda context, words: [(f"hello {words[0]}", {})])

        def unload(self) -> None:
            desk.service.commands.remove("greet")

    desk = Desk()
    desk.service.plugins.load("greeter", Greeter())
    assert desk.lines("greet", "you") == ["hello you"]
    assert "greet <Name>                                    # Greet somebody" in desk.lines("help")
    desk.service.plugins.unload("greeter")
    assert isinstance(desk.error("greet", "you"), WrongWords)


# The tree of parts.

def test_the_tree_shows_every_part_and_what_became_of_it() -> None:
    desk = Desk()
    made: list[Part] = []

    def make() -> Part:
        made.append(Part())
        return made[-1]

    desk.root.add(Child("a", make))
    desk.reactor.advance(9)
    assert desk.lines("supervisor", "tree") == ["a: running, restarts=0, uptime=9"]
    assert desk.lines("supervisor", "kill", "a") == ["ok"]
    assert desk.lines("supervisor", "tree") == ["a: running, restarts=1, uptime=0, last failure: a was killed"]
    assert desk.lines("supervisor", "restart", "a") == ["ok"]
    assert len(made) == 3
    assert [part.running for part in made] == [0, 0, 1]
    assert refusal(desk, "supervisor", "kill", "b") == refusal(desk, "supervisor", "restart", "a/b") == "Not Found."


def test_a_part_that_does_not_run_cannot_be_killed() -> None:
    desk = Desk()
    desk.root.add(Child("b", Part))
    desk.root.stop("b")
    assert desk.lines("supervisor", "tree")[-1] == "b: stopped, restarts=0, uptime=0"
    assert refusal(desk, "supervisor", "kill", "b") == "b does not run: it is stopped"


# The configuration.

def test_a_live_key_is_changed_and_shown() -> None:
    desk = Desk()
    assert desk.lines("config", "show", "mqtt.session.max_inflight") == ["mqtt.session.max_inflight = 1000"]
    assert desk.lines("config", "set", "mqtt.session.max_inflight", "7") == ["ok"]
    assert desk.service.broker.settings.max_inflight == 7
    desk.client("x")
    assert "max_inflight=7," in desk.ask("sessions", "show", "x")
    assert desk.lines("config", "show", "mqtt.session.max_inflight") == ["mqtt.session.max_inflight = 7"]
    assert "mqtt.session.max_inflight = 7" in desk.lines("config", "show")
    assert desk.ask("set", "mqtt.mqueue.high_watermark=70%") == " successfully\n"
    columns = f"{'mqtt.mqueue.high_watermark':<40}{'70%':<20}{'percent':<20}emqtwist"
    assert desk.lines("show", "mqtt.mqueue.high_watermark") == [columns]
    assert columns in desk.lines("set")
    assert not any(line.startswith("node.name") for line in desk.lines("set"))


@pytest.mark.parametrize(("key", "value", "told"), [
    ("node.name", "x@y", "node.name needs a restart: write it into the configuration file"),
    ("mqtt.session.max_inflght", "7", "there is no key mqtt.session.max_inflght; did you mean mqtt.session.max_inflight?"),
    ("mqtt.session.max_inflight", "many",
     "mqtt.session.max_inflight: not a whole number; allowed is a whole number, from 1 to 65535"),
    ("mqtt.mqueue.low_watermark", "90%", "mqtt.mqueue.low_watermark must be below mqtt.mqueue.high_watermark"),
    ("auth.scram.file", "/nowhere", "cannot be read: No such file or directory"),
])
def test_a_value_that_is_not_good_changes_nothing(key: str, value: str, told: str) -> None:
    desk = Desk()
    before = desk.service.config
    assert refusal(desk, "config", "set", key, value) == told
    assert desk.service.config == before


def test_a_secret_is_not_shown() -> None:
    desk = Desk("ctl.secret = sixteen characters at least")
    assert desk.lines("config", "show", "ctl.secret") == ["ctl.secret = ***"]
    assert "sixteen" not in desk.ask("config", "show", form="json")


def test_levels_of_the_log_are_set_for_all_or_for_a_part() -> None:
    desk = Desk()
    assert desk.lines("log", "level") == ["default: info"]
    assert desk.lines("log", "level", "warn") == desk.lines("log", "level", "net.protocol", "debug") == ["ok"]
    assert desk.lines("log", "level") == ["default: warn", "net.protocol: debug"]
    assert (desk.applied[-1].log.level, desk.applied[-1].log.levels) == ("warn", (("net.protocol", "debug"),))
    assert refusal(desk, "log", "level", "loud").startswith("log.level: not one of the choices")
    assert refusal(desk, "log", "level", "no.part", "debug").startswith("there is no key log.level.no.part")
    assert "--logger" in refusal(Desk(logs=False), "log", "level", "debug")


def test_a_broker_without_a_store_says_so() -> None:
    for words in (("info",), ("check",), ("backup", "x")):
        assert refusal(Desk(), "store", *words) == "this broker keeps nothing: its store is the memory"
