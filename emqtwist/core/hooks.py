"""Hooks: functions of others that are called when something happens, in their order, and may change what follows.

A function gives None to leave all as it is. At a hook with an accumulator it may give another value in its place, which the
next function gets. `Stop()` ends the chain; what that means stands in the hook's row. What a function raises is caught,
counted and told, and the chain goes on as if it had given None, or where somebody is to be let in, as if it had said no;
after ten failures in a row there is an alarm.

At the hooks whose row says so a function may wait: `core.chain` runs these. All others are called at once, in the turn of
what happened.
"""
from collections.abc import Callable
from typing import Final, Generic, TypeVar, cast

from emqtwist.core.alarm import ERROR
from emqtwist.core.alarms import Alarms
from emqtwist.core.link import nobody
from emqtwist.core.message import Message
from emqtwist.core.metrics import Metrics
from emqtwist.core.observer import Observer
from emqtwist.core.pending import Pending
from emqtwist.mqtt.errors import MQTTError
from emqtwist.mqtt.topics import check_topic_name

A = TypeVar("A")
Function = Callable[..., object]
FAILURES: Final = 10  # in a row, before there is an alarm

CLIENT_CONNECT: Final = "client.connect"
CLIENT_AUTHENTICATE: Final = "client.authenticate"
CLIENT_AUTHORIZE: Final = "client.authorize"
CLIENT_CONNACK: Final = "client.connack"
CLIENT_CONNECTED: Final = "client.connected"
CLIENT_DISCONNECTED: Final = "client.disconnected"
CLIENT_SUBSCRIBE: Final = "client.subscribe"
CLIENT_UNSUBSCRIBE: Final = "client.unsubscribe"
SESSION_CREATED: Final = "session.created"
SESSION_RESUMED: Final = "session.resumed"
SESSION_TAKENOVER: Final = "session.takenover"
SESSION_DISCARDED: Final = "session.discarded"
SESSION_TERMINATED: Final = "session.terminated"
SESSION_SUBSCRIBED: Final = "session.subscribed"
SESSION_UNSUBSCRIBED: Final = "session.unsubscribed"
MESSAGE_PUBLISH: Final = "message.publish"
MESSAGE_DELIVERED: Final = "message.delivered"
MESSAGE_ACKED: Final = "message.acked"
MESSAGE_DROPPED: Final = "message.dropped"
DELIVERY_DROPPED: Final = "delivery.dropped"

PUBLISH: Final = "publish"  # the actions of client.authorize
SUBSCRIBE: Final = "subscribe"
SECRETIVE: Final = (CLIENT_AUTHENTICATE,)  # what functions there raise may have the password in its message


class Row:
    """One hook: what its functions get, the accumulator last if there is one, and what it means when one of them stops.

    Where one fails that `guards`, the answer is no.
    """

    __slots__ = ("name", "arguments", "accumulator", "when", "stop", "waits", "guards")

    def __init__(self, name: str, arguments: str, accumulator: str, when: str, stop: str, waits: bool = False,
                 guards: bool = False) -> None:
        self.name = name
        self.arguments = arguments
        self.accumulator = accumulator
        self.when = when
        self.stop = stop
        self.waits = waits
        self.guards = guards


ENDS_CHAIN: Final = "the later functions are not called"
ROWS: Final = (
    Row(CLIENT_CONNECT, "client", "", "a good CONNECT has come, before anybody asks who the client is",
        "the client is refused with 0x87, Not authorized", True),
    Row(CLIENT_AUTHENTICATE, "client, password", "accepted", "a client without Authentication Method wants to get in; "
        "`accepted` begins as those of `auth.order` say, or `mqtt.allow_anonymous` where they know nothing",
        ENDS_CHAIN, True, True),
    Row(CLIENT_CONNACK, "client, reason_code", "", "a CONNECT is answered, or the connection is closed in place of an answer",
        ENDS_CHAIN),
    Row(CLIENT_CONNECTED, "client", "", "a client was accepted, its CONNACK is on its way", ENDS_CHAIN),
    Row(CLIENT_DISCONNECTED, "client, cause", "", "the connection of a client that was accepted has ended", ENDS_CHAIN),
    Row(CLIENT_AUTHORIZE, "client, action, topic", "allowed", "a client publishes, or connects with a Will (`action` is "
        "`publish`), or asks for a subscription (`subscribe`, with its Topic Filter); `allowed` begins as True", ENDS_CHAIN, True,
        True),
    Row(CLIENT_SUBSCRIBE, "client_id, user_name", "filters", "a client asks for subscriptions, before they are checked",
        "none is made, and each is answered with 0x87, Not authorized", True),
    Row(CLIENT_UNSUBSCRIBE, "client_id, user_name", "filters", "a client gives up subscriptions",
        "none ends, and each is answered with 0x87, Not authorized, to 5.0 clients", True),
    Row(SESSION_CREATED, "client_id, user_name", "", "a session begins", ENDS_CHAIN),
    Row(SESSION_RESUMED, "client_id, user_name", "", "a client comes back to its session", ENDS_CHAIN),
    Row(SESSION_TAKENOVER, "client_id", "", "a client is connected that another connection claims to be; it is ended next",
        ENDS_CHAIN),
    Row(SESSION_DISCARDED, "client_id", "", "a client begins anew, its session ends", ENDS_CHAIN),
    Row(SESSION_TERMINATED, "client_id", "", "a session has ended, whatever the cause", ENDS_CHAIN),
    Row(SESSION_SUBSCRIBED, "client_id, user_name, topic_filter, options", "", "a subscription was made or replaced", ENDS_CHAIN),
    Row(SESSION_UNSUBSCRIBED, "client_id, user_name, topic_filter", "", "a client has given up a subscription", ENDS_CHAIN),
    Row(MESSAGE_PUBLISH, "", "message", "a client, a Will or the host publishes, before the message is retained or routed",
        "the message goes nowhere; its publisher is not told"),
    Row(MESSAGE_DELIVERED, "client_id, user_name, message", "", "a message is sent to a client, the first time", ENDS_CHAIN),
    Row(MESSAGE_ACKED, "client_id, user_name, message", "", "a client has acknowledged a message at QoS 1 or 2", ENDS_CHAIN),
    Row(MESSAGE_DROPPED, "message, cause", "", "a message is dropped before it was for anybody, or is not retained", ENDS_CHAIN),
    Row(DELIVERY_DROPPED, "client_id, message, cause", "", "a message for a client is dropped; not for each that is left when "
        "a session ends", ENDS_CHAIN),
)
ROW_OF: Final = {row.name: row for row in ROWS}


class Stop:
    """Call no further function. `value` takes the accumulator's place, unless it is None."""

    __slots__ = ("value",)

    def __init__(self, value: object = None) -> None:
        self.value = value


class Folded(Generic[A]):
    """What a chain has made of an accumulator, and whether a function stopped it."""

    __slots__ = ("value", "stopped")

    def __init__(self, value: A, stopped: bool) -> None:
        self.value = value
        self.stopped = stopped


class Answer:
    """What a function that waited gave: `value`, or the `error` that it raised."""

    __slots__ = ("value", "error")

    def __init__(self, value: object = None, error: Exception | None = None) -> None:
        self.value = value
        self.error = error


Ask = Callable[..., Pending[Answer]]


class Hook:
    """A function at a hook. It is known by `function` and `tag` together; `failures` are those in a row.

    `label` names it, and no other at this hook. One that waits is called by `ask`.
    """

    __slots__ = ("name", "function", "priority", "tag", "label", "ask", "failures")

    def __init__(self, name: str, function: Function, priority: int, tag: str, label: str, ask: Ask | None = None) -> None:
        self.name = name
        self.function = function
        self.priority = priority
        self.tag = tag
        self.label = label
        self.ask = ask
        self.failures = 0


class Hooks:
    """`at` maps the name of each hook to its Hooks in order: lower priorities first, of equals the one added first.

    What functions raise is counted in `metrics`. For those who must lose no time: `screens` says whether somebody looks at
    what clients publish, `taps` whether somebody looks at what is sent to them and acknowledged. `changed` is called when
    functions came or went.
    """

    __slots__ = ("at", "screens", "taps", "changed", "_metrics", "_alarms", "_observer")

    def __init__(self, metrics: Metrics, alarms: Alarms, observer: Observer) -> None:
        self.at: dict[str, tuple[Hook, ...]] = {row.name: () for row in ROWS}
        self.screens = False
        self.taps = False
        self.changed: Callable[[], None] = nobody
        self._metrics = metrics
        self._alarms = alarms
        self._observer = observer

    def add(self, name: str, function: Function, priority: int = 0, tag: str = "", ask: Ask | None = None) -> bool:
        """Whether it was not there yet; ValueError when there is no such hook, or none where a function may wait."""
        hooks = self._hooks(name)
        if ask is not None and not ROW_OF[name].waits:
            raise ValueError(f"nobody may wait at {name}")
        if self._find(hooks, function, tag) is not None:
            return False
        place = len([hook for hook in hooks if hook.priority <= priority])
        label = _label(function, tag, [hook.label for hook in hooks])
        self._put(name, (*hooks[:place], Hook(name, function, priority, tag, label, ask), *hooks[place:]))
        return True

    def delete(self, name: str, function: Function, tag: str = "") -> bool:
        """Whether it was there; ValueError when there is no such hook."""
        hooks = self._hooks(name)
        found = self._find(hooks, function, tag)
        if found is None:
            return False
        self._put(name, tuple([hook for hook in hooks if hook is not found]))
        self._alarms.clear(self._alarm(found))
        return True

    def run(self, name: str, arguments: tuple[object, ...]) -> None:
        """Call the functions at a hook without accumulator."""
        for hook in self.at[name]:
            if isinstance(self.call(hook, arguments).value, Stop):
                return

    def fold(self, name: str, arguments: tuple[object, ...], value: A) -> "Folded[A]":
        """Call the functions at a hook with an accumulator where none of them waits."""
        folded = Folded(value, False)
        for hook in self.at[name]:
            if self.take(hook, folded, self.call(hook, (*arguments, folded.value))):
                break
        return folded

    def take(self, hook: Hook, folded: "Folded[A]", answer: Answer) -> bool:
        """Take what a function gave as the accumulator; whether the chain is over."""
        result = answer.value
        if answer.error is not None and ROW_OF[hook.name].guards:
            result = Stop(False)
        if isinstance(result, Stop):
            folded.stopped = True
            result = result.value
        if result is not None and fits(folded.value, result):
            folded.value = cast(A, result)
        elif result is not None:
            self.failed(hook, TypeError(f"{hook.label} gave {result!r}, which cannot stand for {folded.value!r}"))
        return folded.stopped

    def call(self, hook: Hook, arguments: tuple[object, ...]) -> Answer:
        """What a function gives, or raises."""
        try:
            result = hook.function(*arguments)
        except Exception as error:
            self.failed(hook, error)
            return Answer(None, error)
        self.worked(hook)
        return Answer(result)

    def worked(self, hook: Hook) -> None:
        if hook.failures:
            hook.failures = 0
            self._alarms.clear(self._alarm(hook))

    def failed(self, hook: Hook, error: Exception) -> None:
        """The first of a row is told, the tenth is an alarm."""
        self._metrics.hook_failures += 1
        hook.failures += 1
        if hook.failures == 1:
            self._observer.hook_failed(hook.name, hook.label, error)
        elif hook.failures == FAILURES:
            told = type(error).__name__ if hook.name in SECRETIVE else repr(error)
            self._alarms.raise_(self._alarm(hook), ERROR, f"a function at {hook.name} keeps failing",
                                f"{hook.label} has failed {FAILURES} times in a row, the last time with {told}")

    def _put(self, name: str, hooks: tuple[Hook, ...]) -> None:
        self.at[name] = hooks
        self.screens = bool(self.at[CLIENT_AUTHORIZE] or self.at[MESSAGE_PUBLISH])
        self.taps = bool(self.at[MESSAGE_DELIVERED] or self.at[MESSAGE_ACKED])
        self.changed()

    def _hooks(self, name: str) -> tuple[Hook, ...]:
        if name not in self.at:
            raise ValueError(f"there is no hook {name!r}")
        return self.at[name]

    def _find(self, hooks: tuple[Hook, ...], function: Function, tag: str) -> Hook | None:
        found = [hook for hook in hooks if hook.function == function and hook.tag == tag]
        return found[0] if found else None

    def _alarm(self, hook: Hook) -> str:
        return f"hook_failing/{hook.name}/{hook.label}"


def _label(function: Function, tag: str, taken: list[str]) -> str:
    """The function's name with its module and its tag; with a number, if another at its hook is called so."""
    named: object = function if getattr(function, "__qualname__", None) else type(function)
    module, name = getattr(named, "__module__", None), getattr(named, "__qualname__", "")
    label = first = (f"{module}." if module else "") + name + (f":{tag}" if tag else "")
    number = 1
    while label in taken:
        number += 1
        label = f"{first}({number})"
    return label


def fits(old: object, new: object) -> bool:
    """Whether `new` may stand for an accumulator: a list for one of as many items, a bool, a message with a topic that is one."""
    if isinstance(old, list):
        return isinstance(new, list) and len(new) == len(old)
    if isinstance(old, bool):
        return isinstance(new, bool)
    if not isinstance(new, Message):
        return False
    try:
        check_topic_name(new.topic, 0)
    except MQTTError:
        return False
    return True
