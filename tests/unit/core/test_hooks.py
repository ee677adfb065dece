"""Hooks: when each is called and with what, in which order, what its functions may change, and what their failures cost."""
from collections.abc import Callable
from functools import partial

import pytest

from emqtwist.core.access import Client
from emqtwist.core.alarms import Alarms
from emqtwist.core.hooks import CLIENT_AUTHENTICATE, FAILURES, ROWS, Hooks, Stop
from emqtwist.core.link import Turn
from emqtwist.core.message import Message
from emqtwist.core.metrics import Metrics
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import Puback, Publish
from tests.peers import Peer, Witness, World

NAME = ROWS[0].name


def made() -> tuple[Hooks, Alarms, Witness, Metrics]:
    witness, turn = Witness(), Turn()
    alarms, metrics = Alarms(turn, witness), Metrics(turn)
    return Hooks(metrics, alarms, witness), alarms, witness, metrics


class Recorder:
    """Functions that note their calls; each gives its answer."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def function(self, label: object, answer: object = None) -> Callable[..., object]:
        def function(*arguments: object) -> object:
            self.calls.append((label, *arguments))
            return answer
        return function


def plain(value: object) -> object:
    """A Client is its identifier here, a Message its topic."""
    if isinstance(value, Client):
        return value.client_id
    return value.topic_name if isinstance(value, Message) else value


def listen(world: World, *names: str) -> list[tuple[object, ...]]:
    """What happens at these hooks, as tuples."""
    heard: list[tuple[object, ...]] = []

    def at(name: str) -> Callable[..., None]:
        def note(*arguments: object) -> None:
            heard.append((name, *[plain(each) for each in arguments]))
        return note

    for name in names:
        world.broker.hooks.add(name, at(name))
    return heard


# The chain.

def test_lower_priorities_come_first_and_equals_in_their_order() -> None:
    hooks, _, _, metrics = made()
    recorder = Recorder()
    for label, priority in (("c", 1), ("a", -1), ("d", 1), ("b", 0)):
        hooks.add(NAME, recorder.function(label), priority)
    hooks.run(NAME, ())
    assert recorder.calls == [("a",), ("b",), ("c",), ("d",)]


def test_a_function_is_there_once_for_each_tag() -> None:
    hooks, _, _, metrics = made()
    function = Recorder().function(1)
    assert [hooks.add(NAME, function), hooks.add(NAME, function, 5), hooks.add(NAME, function, tag="t")] == [True, False, True]
    assert [hooks.delete(NAME, function, "t"), hooks.delete(NAME, function, "t")] == [True, False]
    assert len(hooks.at[NAME]) == 1


def test_a_hook_that_is_none_is_refused() -> None:
    hooks, _, _, metrics = made()
    for method in (hooks.add, hooks.delete):
        with pytest.raises(ValueError, match="there is no hook 'client.conected'"):
            method("client.conected", print)


def test_stop_ends_the_chain() -> None:
    hooks, _, _, metrics = made()
    recorder = Recorder()
    hooks.add(NAME, recorder.function(1, Stop()))
    hooks.add(NAME, recorder.function(2))
    hooks.run(NAME, ())
    assert recorder.calls == [(1,)]


def test_an_accumulator_goes_from_function_to_function() -> None:
    hooks, _, _, metrics = made()
    recorder = Recorder()
    for label, answer in ((1, ["b"]), (2, None), (3, Stop(["c"])), (4, ["d"])):
        hooks.add(NAME, recorder.function(label, answer))
    folded = hooks.fold(NAME, ("x",), ["a"])
    assert (folded.value, folded.stopped) == (["c"], True)
    assert recorder.calls == [(1, "x", ["a"]), (2, "x", ["b"]), (3, "x", ["b"])]


def test_an_accumulator_of_another_length_is_a_failure_and_ignored() -> None:
    hooks, _, _, metrics = made()
    hooks.add(NAME, Recorder().function(1, ["a", "b"]))
    assert hooks.fold(NAME, (), ["a"]).value == ["a"]
    assert metrics.hook_failures == 1


# Failures.

def broken(*arguments: object) -> None:
    raise ZeroDivisionError("always")


def test_a_failure_is_counted_and_the_chain_goes_on() -> None:
    hooks, _, _, metrics = made()
    recorder = Recorder()
    hooks.add(NAME, broken)
    hooks.add(NAME, recorder.function(1))
    hooks.run(NAME, ())
    assert (metrics.hook_failures, recorder.calls) == (1, [(1,)])


def test_the_first_failure_of_a_row_is_told_and_the_tenth_is_an_alarm() -> None:
    hooks, alarms, witness, _ = made()
    hooks.add(NAME, broken, tag="t")
    for _ in range(FAILURES - 1):
        hooks.run(NAME, ())
    assert [(hook, function) for hook, function, _ in witness.told("hook_failed")] == [(NAME, f"{__name__}.broken:t")]
    assert not alarms.active
    hooks.run(NAME, ())
    [alarm] = alarms.active.values()
    assert (alarm.identifier, alarm.severity) == (f"hook_failing/{NAME}/{__name__}.broken:t", "error")
    assert "ZeroDivisionError('always')" in alarm.summary


def test_an_alarm_does_not_repeat_what_may_have_a_password() -> None:
    hooks, alarms, _, _ = made()
    hooks.add(CLIENT_AUTHENTICATE, broken)
    for _ in range(FAILURES):
        hooks.failed(hooks.at[CLIENT_AUTHENTICATE][0], ValueError("pencil"))
    [alarm] = alarms.active.values()
    assert alarm.summary.endswith("the last time with ValueError")


def test_a_success_ends_the_alarm_and_so_does_deletion() -> None:
    hooks, alarms, _, _ = made()
    failing = True

    def moody() -> None:
        if failing:
            broken()

    for end in ("success", "deletion"):
        failing = True
        hooks.add(NAME, moody)
        for _ in range(FAILURES):
            hooks.run(NAME, ())
        assert len(alarms.active) == 1
        failing = False
        if end == "success":
            hooks.run(NAME, ())
        else:
            hooks.delete(NAME, moody)
        assert not alarms.active


def failing() -> Callable[..., None]:
    """A function that is called as all others from here are."""
    def function() -> None:
        raise ZeroDivisionError("always")
    return function


def test_functions_of_one_name_have_an_alarm_each() -> None:
    hooks, alarms, _, _ = made()
    functions = [failing() for _ in range(3)]
    for function in functions:
        hooks.add(NAME, function)
    for _ in range(FAILURES):
        hooks.run(NAME, ())
    name = f"hook_failing/{NAME}/{__name__}.failing.<locals>.function"
    assert list(alarms.active) == [name, f"{name}(2)", f"{name}(3)"]
    hooks.delete(NAME, functions[1])
    assert list(alarms.active) == [name, f"{name}(3)"]
    hooks.add(NAME, failing())
    assert [hook.label for hook in hooks.at[NAME]] == [each.rpartition("/")[2] for each in (name, f"{name}(3)", f"{name}(2)")]


class Called:
    def __call__(self) -> None:
        pass


@pytest.mark.parametrize(("function", "label"), [
    (Called(), f"{__name__}.Called"), (Called().__call__, f"{__name__}.Called.__call__"), (print, "builtins.print"),
    ([].append, "list.append"), (partial(print), "functools.partial")])
def test_whatever_can_be_called_has_a_name(function: Callable[..., object], label: str) -> None:
    hooks, _, _, _ = made()
    hooks.add(NAME, function)
    assert [hook.label for hook in hooks.at[NAME]] == [label]


# Each hook.

def acknowledged(world: World, reason_code: int) -> None:
    """Bob gets a message at QoS 1, and answers."""
    bob = world.connect("bob")
    bob.subscribe("q", qos=1)
    bob.publish("q", qos=1)
    bob.send(Puback(1, reason_code))


SCENES: dict[str, tuple[Callable[[World], object], tuple[object, ...]]] = {
    "client.connect": (lambda world: world.connect("bob"), ("bob",)),
    "client.authenticate": (lambda world: world.connect("bob", password=b"x", user_name="rob"), ("bob", b"x", True)),
    "client.connack": (lambda world: world.connect("bob"), ("bob", 0)),
    "client.connected": (lambda world: world.connect("bob"), ("bob",)),
    "client.disconnected": (lambda world: world.connect("bob").disconnect(), ("bob", "normal")),
    "client.authorize": (lambda world: HERE[0].publish("x"), ("here", "publish", b"x", True)),
    "client.subscribe": (lambda world: world.connect("bob").subscribe("t", qos=1), ("bob", None, [(b"t", 1)])),
    "client.unsubscribe": (lambda world: world.connect("bob").unsubscribe("t"), ("bob", None, [b"t"])),
    "session.created": (lambda world: world.connect("bob", user_name="rob"), ("bob", "rob")),
    "session.resumed": (lambda world: world.connect("old", clean_start=False), ("old", None)),
    "session.takenover": (lambda world: world.connect("here"), ("here",)),
    "session.discarded": (lambda world: world.connect("old", version=5), ("old",)),
    "session.terminated": (lambda world: world.connect("bob").disconnect(), ("bob",)),
    "session.subscribed": (lambda world: world.connect("bob").subscribe("t", qos=1), ("bob", None, b"t", 1)),
    "session.unsubscribed": (lambda world: HERE[0].unsubscribe("t"), ("here", None, b"t")),
    "message.publish": (lambda world: HERE[0].publish("x"), ("x",)),
    "message.delivered": (lambda world: HERE[0].publish("t"), ("here", None, "t")),
    "message.acked": (lambda world: acknowledged(world, 0), ("bob", None, "q")),
    "message.dropped": (lambda world: HERE[0].publish("x"), ("x", "no_subscribers")),
    "delivery.dropped": (lambda world: acknowledged(world, c.NOT_AUTHORIZED), ("bob", "q", "refused_by_client")),
}
HERE: list[Peer] = []


def test_each_hook_has_a_scene() -> None:
    assert list(SCENES) == [row.name for row in ROWS]


@pytest.mark.parametrize("name", SCENES)
def test_each_hook_is_called_once_with_its_arguments(name: str) -> None:
    world = World()
    world.connect("old", version=4, clean_start=False).drop()
    here = world.connect("here")
    here.subscribe("t")
    HERE[:] = [here]
    heard = listen(world, name)
    scene, arguments = SCENES[name]
    scene(world)
    assert heard == [(name, *arguments)]


@pytest.mark.parametrize("name", [row.name for row in ROWS if not row.guards])
def test_a_function_that_fails_changes_nothing(name: str) -> None:
    world = World()
    world.connect("old", version=4, clean_start=False).drop()
    here = world.connect("here")
    here.subscribe("t")
    HERE[:] = [here]
    world.broker.hooks.add(name, broken)
    SCENES[name][0](world)
    assert world.broker.metrics.hook_failures == 1
    assert world.broker.metrics.counters()["hook_failures"] == 1


def test_events_of_a_takeover_come_in_order() -> None:
    world = World()
    world.connect("alice")
    heard = listen(world, *SCENES)
    world.connect("alice")
    assert [name for name, *_ in heard] == ["client.connect", "client.authenticate", "session.takenover", "session.terminated",
                                           "client.disconnected", "client.connack", "session.created", "client.connected"]


@pytest.mark.parametrize("version", [4, 5])
def test_who_is_refused_meets_no_hook_but_that_of_the_answer(version: int) -> None:
    world = World("mqtt.allow_anonymous = off")
    heard = listen(world, *[name for name in SCENES if name != "client.authenticate"])
    world.peer().connect("alice", version=version)
    assert heard == [("client.connack", "alice", c.NOT_AUTHORIZED)]


def test_subscriptions_can_be_rewritten() -> None:
    world = World()
    world.broker.hooks.add("client.subscribe", lambda client_id, user_name, filters: [
        (b"clients/" + client_id.encode() + b"/" + topic_filter, options) for topic_filter, options in filters])
    alice = world.connect("alice")
    assert alice.subscribe("t", qos=1) == [1]
    alice.publish("clients/alice/t", b"x")
    assert alice.one(Publish).payload == b"x"


@pytest.mark.parametrize(("version", "code"), [(4, 0x80), (5, c.NOT_AUTHORIZED)])
def test_subscriptions_can_be_refused(version: int, code: int) -> None:
    world = World()
    world.broker.hooks.add("client.subscribe", lambda *arguments: Stop())
    alice = world.connect("alice", version=version)
    assert alice.subscribe("a", "b") == [code, code]
    assert not world.session("alice").subscriptions


def test_the_end_of_subscriptions_can_be_rewritten_and_refused() -> None:
    world = World()
    alice = world.connect("alice", version=5)
    alice.subscribe("a", "b")
    world.broker.hooks.add("client.unsubscribe", lambda client_id, user_name, filters: [b"b"])
    assert alice.unsubscribe("x") == [c.SUCCESS]
    world.broker.hooks.add("client.unsubscribe", lambda *arguments: Stop(), -1)
    assert alice.unsubscribe("a") == [c.NOT_AUTHORIZED]
    assert list(world.session("alice").subscriptions) == [b"a"]
