"""Hooks: functions of others that are called when something happens, in their order, and may change what follows.

A function gives None to leave all as it is. At a hook with an accumulator it may give another value in its place, which the
next function gets. `Stop()` ends the chain; what that means stands in the hook's row. What a function raises is caught,
counted and told, and the chain goes on as if it had given None; after ten failures in a row there is an alarm.

All are called at once, in the turn of what happened, and must not wait.
"""
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from emqtwist.core.alarm import ERROR
from emqtwist.core.alarms import Alarms
from emqtwist.core.metrics import Metrics
from emqtwist.core.observer import Observer

A = TypeVar("A")
Function = Callable[..., object]
FAILURES: Final = 10  # in a row, before there is an alarm

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


class Row:
    """One hook: what its functions get, the accumulator last if there is one, and what it means when one of them stops."""

    __slots__ = ("name", "arguments", "accumulator", "when", "stop")

    def __init__(self, name: str, arguments: str, accumulator: str, when: str, stop: str) -> None:
        self.name = name
        self.arguments = arguments
        self.accumulator = accumulator
        self.when = when
        self.stop = stop


ENDS_CHAIN: Final = "the later functions are not called"
ROWS: Final = (
    Row(CLIENT_CONNECTED, "client", "", "a client was accepted, its CONNACK is on its way", ENDS_CHAIN),
    Row(CLIENT_DISCONNECTED, "client, cause", "", "the connection of a client that was accepted has ended", ENDS_CHAIN),
    Row(CLIENT_SUBSCRIBE, "client_id, user_name", "filters", "a client asks for subscriptions, before they are checked",
        "none is made, and each is answered with 0x87, Not authorized"),
    Row(CLIENT_UNSUBSCRIBE, "client_id, user_name", "filters", "a client gives up subscriptions",
        "none ends, and each is answered with 0x87, Not authorized, to 5.0 clients"),
    Row(SESSION_CREATED, "client_id, user_name", "", "a session begins", ENDS_CHAIN),
    Row(SESSION_RESUMED, "client_id, user_name", "", "a client comes back to its session", ENDS_CHAIN),
    Row(SESSION_TAKENOVER, "client_id", "", "a client is connected that another connection claims to be; it is ended next",
        ENDS_CHAIN),
    Row(SESSION_DISCARDED, "client_id", "", "a client begins anew, its session ends", ENDS_CHAIN),
    Row(SESSION_TERMINATED, "client_id", "", "a session has ended, whatever the cause", ENDS_CHAIN),
    Row(SESSION_SUBSCRIBED, "client_id, user_name, topic_filter, options", "", "a subscription was made or replaced", ENDS_CHAIN),
    Row(SESSION_UNSUBSCRIBED, "client_id, user_name, topic_filter", "", "a client has given up a subscription", ENDS_CHAIN),
)


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


class Hook:
    """A function at a hook. It is known by `function` and `tag` together; `failures` are those in a row."""

    __slots__ = ("name", "function", "priority", "tag", "failures")

    def __init__(self, name: str, function: Function, priority: int, tag: str) -> None:
        self.name = name
        self.function = function
        self.priority = priority
        self.tag = tag
        self.failures = 0

    def label(self) -> str:
        """The function's name, with its tag."""
        name = str(getattr(self.function, "__qualname__", None) or type(self.function).__name__)
        return f"{name}:{self.tag}" if self.tag else name


class Hooks:
    """`at` maps the name of each hook to its Hooks in order: lower priorities first, of equals the one added first.

    What functions raise is counted in `metrics`.
    """

    __slots__ = ("at", "_metrics", "_alarms", "_observer")

    def __init__(self, metrics: Metrics, alarms: Alarms, observer: Observer) -> None:
        self.at: dict[str, tuple[Hook, ...]] = {row.name: () for row in ROWS}
        self._metrics = metrics
        self._alarms = alarms
        self._observer = observer

    def add(self, name: str, function: Function, priority: int = 0, tag: str = "") -> bool:
        """Whether it was not there yet; ValueError when there is no such hook."""
        hooks = self._hooks(name)
        if self._find(hooks, function, tag) is not None:
            return False
        place = len([hook for hook in hooks if hook.priority <= priority])
        self.at[name] = (*hooks[:place], Hook(name, function, priority, tag), *hooks[place:])
        return True

    def delete(self, name: str, function: Function, tag: str = "") -> bool:
        """Whether it was there; ValueError when there is no such hook."""
        hooks = self._hooks(name)
        found = self._find(hooks, function, tag)
        if found is None:
            return False
        self.at[name] = tuple([hook for hook in hooks if hook is not found])
        self._alarms.clear(self._alarm(found))
        return True

    def run(self, name: str, arguments: tuple[object, ...]) -> None:
        """Call the functions at a hook without accumulator."""
        for hook in self.at[name]:
            if isinstance(self._call(hook, arguments), Stop):
                return

    def fold(self, name: str, arguments: tuple[object, ...], value: list[A]) -> "Folded[list[A]]":
        """Call the functions at a hook whose accumulator is a list; another one must have as many items."""
        for hook in self.at[name]:
            result = self._call(hook, (*arguments, value))
            stopped = isinstance(result, Stop)
            if isinstance(result, Stop):
                result = result.value
            if isinstance(result, list) and len(result) == len(value):
                value = result
            elif result is not None:
                self._failed(hook, TypeError(f"{hook.label()} gave {result!r}, not a list of {len(value)} items"))
            if stopped:
                return Folded(value, True)
        return Folded(value, False)

    def _hooks(self, name: str) -> tuple[Hook, ...]:
        if name not in self.at:
            raise ValueError(f"there is no hook {name!r}")
        return self.at[name]

    def _find(self, hooks: tuple[Hook, ...], function: Function, tag: str) -> Hook | None:
        found = [hook for hook in hooks if hook.function == function and hook.tag == tag]
        return found[0] if found else None

    def _call(self, hook: Hook, arguments: tuple[object, ...]) -> object:
        try:
            result = hook.function(*arguments)
        except Exception as error:
            self._failed(hook, error)
            return None
        if hook.failures:
            hook.failures = 0
            self._alarms.clear(self._alarm(hook))
        return result

    def _failed(self, hook: Hook, error: Exception) -> None:
        """The first of a row is told, the tenth is an alarm."""
        self._metrics.hook_failures += 1
        hook.failures += 1
        if hook.failures == 1:
            self._observer.hook_failed(hook.name, hook.label(), error)
        elif hook.failures == FAILURES:
            self._alarms.raise_(self._alarm(hook), ERROR, f"a function at {hook.name} keeps failing",
                                f"{hook.label()} has failed {FAILURES} times in a row, the last time with {error!r}")

    def _alarm(self, hook: Hook) -> str:
        return f"hook_failing/{hook.name}/{hook.label()}"
