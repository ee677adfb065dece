"""Every number that a command prints is that of what a test did, in each form; there is no command without such a test.

A scene says all that a command answers: a number that is new fails there, and below one that no scene moves.
"""
import ast
import json
import re
from pathlib import Path

import pytest

from emqtwist.core.alarm import ERROR
from emqtwist.core.users import User
from emqtwist.ctl.commands import all_commands
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Publish, Subscribe, Unsubscribe
from tests.adapters.ctl import of_broker, of_clients, of_cluster, of_messages
from tests.answers import Row, Scene
from tests.desks import Desk

NODE, CTL = "tests/adapters/ctl/test_node.py", "tests/integration/test_ctl.py"
CLUSTER, BRIDGES = "tests/adapters/ctl/test_cluster.py", "tests/adapters/ctl/test_bridges.py"
REGISTRY = all_commands()
SCENES = [*of_broker.SCENES, *of_clients.SCENES, *of_cluster.SCENES, *of_messages.SCENES]

# Numbers that are checked where they need threads, processes or files.
ELSEWHERE: dict[str, tuple[str, str]] = {
    "help": ("tests/adapters/ctl/test_pages.py", "test_words_that_no_command_takes_are_told_the_usage"),
    "status": (NODE, "test_status_says_what_the_broker_waits_for"),
    "broker pubsub": (NODE, "test_the_workers_of_subscriptions_show_what_waits_for_them"),
    "cluster join": (CLUSTER, "test_a_node_joins_another_and_says_so"),
    "cluster leave": (CLUSTER, "test_a_node_leaves_and_says_so"),
    "cluster force-leave": (CLUSTER, "test_a_node_is_removed"),
    "bridges status": (BRIDGES, "test_the_numbers_of_a_bridge_are_those_of_what_it_has_done"),
    "bridges options": (BRIDGES, "test_the_options_are_told_as_by_emqttd"),
    **dict.fromkeys(("bridges start", "bridges stop"), (BRIDGES, "test_a_bridge_is_started_and_stopped")),
    "hooks list": (NODE, "test_hooks_are_listed_in_the_order_of_their_calls"),
    "plugins list": (NODE, "test_plugins_are_loaded_and_unloaded"),
    **dict.fromkeys(("users add", "users passwd"), (
        "tests/adapters/access/test_users.py", "test_a_user_gets_in_from_when_it_is_added_until_it_is_deleted")),
    **dict.fromkeys(("plugins load", "plugins unload"), (NODE, "test_plugins_are_loaded_and_unloaded")),
    "sessions slow": ("tests/adapters/ctl/test_slow.py", "test_who_acknowledges_late_is_ranked_above_who_does_it_less_late"),
    "acl reload": ("tests/adapters/ctl/test_acl.py", "test_rules_are_read_again"),
    "listeners reload-certs": (
        "tests/adapters/ctl/test_listeners.py", "test_certificates_are_loaded_again_of_all_listeners_or_of_one"),
    "acl list": ("tests/adapters/ctl/test_acl.py", "test_rules_are_listed_with_file_and_line"),
    "explain acl": ("tests/adapters/ctl/test_acl.py", "test_each_rule_says_why_it_does_not"),
    "explain auth": ("tests/adapters/ctl/test_explain_auth.py", "test_functions_that_have_the_last_word_are_named"),
    "trace list": ("tests/adapters/trace/test_files.py", "test_a_list_tells_how_far_a_trace_is"),
    "trace client": ("tests/adapters/trace/test_packets.py", "test_what_comes_and_what_goes_is_one_line_a_packet"),
    "trace topic": ("tests/adapters/trace/test_live.py", "test_who_does_not_read_is_told_how_much_was_left_out"),
    "trace address": ("tests/adapters/trace/test_who.py", "test_an_address_or_a_network_is_traced_whoever_it_is"),
    **dict.fromkeys(("vm", "vm all", "vm io"), (NODE, "test_vm_tells_of_this_process")),
    "vm memory": (NODE, "test_vm_tells_the_memory_that_the_kernel_counts"),
    **dict.fromkeys(("vm load", "vm process"), (NODE, "test_vm_tells_limits_threads_and_load_as_the_system_does")),
    **dict.fromkeys(("config show", "config set", "set", "show"), (NODE, "test_a_live_key_is_changed_and_shown")),
    "store info": ("tests/integration/test_ctl_store.py", "test_the_numbers_of_the_store_are_those_of_what_it_keeps"),
    **dict.fromkeys(("store backup", "store check"), (CTL, "test_the_store_is_looked_at_copied_and_checked")),
}

# Commands in whose answers the only numbers are those of names that others have made up.
WORDS = (
    "clients kick x", "users list", "users superuser x on", "users del x", "users kick x", "banned add client y",
    "banned add user y 10m", "banned add address 10.1.0.0/16 1h why", "banned del client z", "routes list", "routes show t",
    "topics list", "topics show t", "topics metrics add t", "topics metrics del u", "subscriptions add x u 0",
    "subscriptions del x t", "bridges list", "modules list", "modules load subscription", "modules unload presence",
    "delayed del 1",
    "alarms clear fire", "listeners start other", "listeners start tcp 127.0.0.1:2884", "listeners restart default",
    "listeners restart tcp 2883", "listeners stop default", "listeners stop tcp 2883", "supervisor kill ticker",
    "supervisor restart ticker", "log level", "log level debug", "log level net.protocol debug")


def busy() -> Desk:
    """A broker of which each of WORDS can be asked."""
    desk = Desk("listener.tcp.default.bind = 127.0.0.1:2883", "listener.tcp.other.bind = 127.0.0.1:2884",
                "module.delayed.enable = on", whole=True)
    client = desk.client("x")
    client.send(Subscribe(1, [(b"t", 1)]), Publish(b"$delayed/9/t", b""))
    client.protocol.connection.user_name = "x"
    desk.service.broker.users.set(User("x", "", False))
    desk.service.broker.alarms.raise_("fire", ERROR, "it burns", "the whole of it")
    for words in ("banned add client z", "topics metrics add u", "listeners stop other"):
        desk.ask(*words.split())
    return desk


each_scene = pytest.mark.parametrize(("words", "scene"), SCENES, ids=[f"{words}: {scene.__name__}" for words, scene in SCENES])


def form(words: str) -> tuple[str, str]:
    command, _ = REGISTRY.find(words.split())
    return command.name, command.arguments


@each_scene
def test_each_form_of_an_answer_has_the_numbers_of_what_was_done(words: str, scene: Scene) -> None:
    desk, rows, lines = scene()
    assert json.loads(desk.ask(*words.split(), form="json")) == rows
    desk, rows, lines = scene()
    assert desk.lines(*words.split()) == lines
    desk, rows, lines = scene()
    head, *cells = desk.ask(*words.split(), form="table").splitlines()
    starts = [match.start() for match in re.finditer(r"\S+", head)]
    for row, line in zip(rows, cells, strict=True):
        found = [line[start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True)]
        for name, cell in zip(head.split(), found, strict=True):
            value = row.get(name)
            assert cell == ("" if value is None else value if isinstance(value, str) else json.dumps(value)), name


def numbers(row: Row) -> dict[str, object]:
    """The numbers of a row by name."""
    fields = {str(row["key"]): row["value"]} if set(row) == {"key", "value"} else row
    return {name: value for name, value in fields.items() if type(value) in (int, float)}


def test_no_number_stands_still_in_all_scenes() -> None:
    """That each counter and gauge moves is shown in tests/unit/core/test_metrics_scenes.py."""
    found: dict[tuple[str, str], set[object]] = {}
    for words, scene in SCENES:
        if not words.endswith(("metrics", "stats")):
            for row in scene()[1]:
                for name, value in numbers(row).items():
                    found.setdefault((words.split()[0], name), set()).add(value)
    assert {name for (_, name), values in found.items() if len(values) < 2} == set()


def test_each_form_of_a_command_has_a_scene_or_a_test_or_has_no_numbers() -> None:
    forms = {(command.name, command.arguments) for group in REGISTRY.groups().values() for command in group}
    here = {form(words) for words in (*(words for words, _ in SCENES), *WORDS)}
    assert {name for name, _ in forms - here} == set(ELSEWHERE)
    assert {name for name, _ in here}.isdisjoint(ELSEWHERE)


@pytest.mark.parametrize("command", ELSEWHERE)
def test_the_test_of_a_command_is_there(command: str, checkout: Path) -> None:
    path, name = ELSEWHERE[command]
    tree = ast.parse((checkout / path).read_bytes())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("words", WORDS)
def test_an_answer_without_numbers_has_none(words: str) -> None:
    out = busy().ask(*words.split(), form="json")
    assert [row for row in json.loads(out) if numbers(row)] == []
    assert set(re.findall(r"\d+", out)) <= set(re.findall(r"\d+", words + "127.0.0.1:2883 127.0.0.1:2884"))


def test_what_the_broker_publishes_of_itself_are_the_same_numbers() -> None:
    desk = Desk("mqtt.broker.sys_interval = 1s")
    told: dict[str, str] = {}
    desk.service.subscribe("$SYS/#", lambda message: told.update({message.topic_name: message.payload.decode()}))
    desk.client("x").send(Subscribe(1, [(b"t", 1)]), Publish(b"t", b"x", 1, True, packet_id=1), Publish(b"nobody", b""))
    desk.reactor.advance(1)
    root = "$SYS/brokers/emqtwist@127.0.0.1/"
    for kind, command in (("metrics", "broker metrics"), ("stats", "stats")):
        begin = f"{root}{kind}/"
        rows = json.loads(desk.ask(*command.split(), form="json"))
        assert {name.removeprefix(begin): int(text) for name, text in told.items() if name.startswith(begin)} == {
            row["key"]: row["value"] for row in rows}
    assert told[f"{root}uptime"] == "1 seconds" == json.loads(desk.ask("broker", form="json"))[2]["value"]


def test_the_gauges_are_as_many_as_the_lists_have_rows() -> None:
    """Through all that makes rows come and go."""
    desk = Desk("module.delayed.enable = on", "mqtt.broker.sys_interval = 1s")
    lists = {"clients": "clients list", "sessions": "sessions list", "topics": "topics list", "routes": "routes list",
             "subscriptions": "subscriptions list", "retained": "retainer topics", "delayed": "delayed list"}

    def counts() -> dict[str, int]:
        gauges = {row["key"]: row["value"] for row in json.loads(desk.ask("stats", form="json"))}
        found = {name: len(json.loads(desk.ask(*command.split(), form="json"))) for name, command in lists.items()}
        assert found == {name: gauges[f"{name}/count"] for name in lists}
        assert gauges["subscribers/count"] == found["subscriptions"]
        return found

    clients = {name: desk.client(name, c.MQTT_3_1_1, clean_start=name == "x") for name in ("x", "y", "z")}
    clients["x"].send(Subscribe(1, [(b"t", 1), (b"$share/g/t", 1), (b"$queue/t", 1), (b"$local/t", 1), (b"t/#", 0)]))
    clients["y"].send(Subscribe(1, [(b"t", 1), (b"t", 2), (b"$share/g/t", 1), (b"$share/h/+/t", 1), (b"$exclusive/e", 1)]),
                      Publish(b"t", b"x", 1, True, packet_id=1), Publish(b"u", b"x", 1, True, packet_id=2),
                      Publish(b"$delayed/3/t", b"", 1, packet_id=3), Publish(b"$delayed/5/u", b"", 1, packet_id=4))
    desk.ask("subscriptions", "add", "z", "by/hand", "1")
    assert counts() == {"clients": 3, "sessions": 3, "topics": 5, "routes": 5, "subscriptions": 10, "retained": 2, "delayed": 2}
    clients["y"].send(Unsubscribe(2, [b"t", b"$share/h/+/t"]), Publish(b"u", b"", 1, True, packet_id=5))
    clients["x"].hang_up()
    desk.reactor.advance(4)
    desk.service.tick()
    assert counts() == {"clients": 2, "sessions": 2, "topics": 3, "routes": 3, "subscriptions": 3, "retained": 4, "delayed": 1}
    desk.ask("clients", "kick", "y")
    desk.client("z", clean_start=True)
    desk.ask("retainer", "clean", "$SYS/#")
    assert counts() == {"clients": 1, "sessions": 2, "topics": 2, "routes": 2, "subscriptions": 2, "retained": 1, "delayed": 1}
