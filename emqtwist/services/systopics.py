"""$SYS: what the broker tells of itself in messages, under emqttd's topics.

Who comes, who goes and what is wrong is told once the call that brought it is over: in the midst of it, a client that
listens might be the very one that is leaving.
"""
import json
import time
from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from emqtwist._version import __version__
from emqtwist.config.sections.mqtt import BrokerSection
from emqtwist.core.alarm import Alarm
from emqtwist.core.link import nobody
from emqtwist.core.message import NEVER
from emqtwist.core.metrics import ALIASES
from emqtwist.core.observer import Observer
from emqtwist.mqtt.errors import MQTTError
from emqtwist.net.turns import Turns
from emqtwist.services.periodic import Periodic

DESCRIPTION = "emqtwist MQTT Broker"
INTERVAL = 1.0  # seconds between two heartbeats
NO_ONE = "undefined"  # the user name of who has none, as emqttd writes it
Told = tuple[str, dict[str, object]]  # a topic, and what is told there as JSON


def uptime(seconds: float) -> str:
    """In emqttd's words, the missing space after the days included."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    text = f"{rest} seconds"
    if minutes or hours or days:
        text = f"{minutes} minutes, {text}"
    if hours or days:
        text = f"{hours} hours, {text}"
    return f"{days} days,{text}" if days else text


class SysTopics(Observer):
    """Publishes below `$SYS/brokers/{node}/`. `heartbeat` is to be called once a second, `tell_events` soon after `wake`.

    What happened waits here while there is no part to tell it. `nodes` gives the names of all nodes that run.
    """

    def __init__(self, turns: Turns, section: BrokerSection, node: str, now: Callable[[], float],
                 wall: Callable[[], float] = time.time) -> None:
        self.section = section
        self._turns = turns
        self._broker = turns.broker
        self._root = f"$SYS/brokers/{node}/"
        self.nodes: Callable[[], list[str]] = lambda: [node]
        self.wake: Callable[[], object] = nobody
        self._now = now
        self.wall = wall
        self._started = self._last = now()
        self._events: deque[tuple[Callable[..., Told], tuple[object, ...], int]] = deque()

    def heartbeat(self) -> None:
        """The time every second, the rest when `sys_interval` has passed."""
        self._turns.begin()
        now = self._now()
        self._publish("uptime", uptime(now - self._started))
        self._publish("datetime", time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.wall())))
        if 0 < self.section.sys_interval <= now - self._last:
            self._last = now
            self._tell_all()

    def _tell_all(self) -> None:
        self._send("$SYS/brokers", ",".join(self.nodes()), retain=True)
        self._publish("version", __version__, retain=True)
        self._publish("sysdescr", DESCRIPTION, retain=True)
        metrics = self._broker.metrics
        for name, count in metrics.by_alias(len(self._broker.retained)).items():
            self._publish(f"metrics/{name}", str(count))
        for name, count in metrics.counters().items():
            if name not in ALIASES.values():
                self._publish(f"metrics/{name}", str(count))
        for name, count in self._broker.count().gauges().items():
            self._publish(f"stats/{name}", str(count))

    def tell(self, topic: str, text: str) -> None:
        """Publish below `$SYS/brokers/{node}/`; not to be called in the midst of a call of the broker."""
        self._turns.begin()
        self._publish(topic, text)

    # What the broker tells.

    def alarm_raised(self, alarm: Alarm) -> None:
        self.tell_soon(raised, (alarm, self.wall()))

    def alarm_cleared(self, alarm: Alarm) -> None:
        self.tell_soon(cleared, (alarm, self.wall()))

    def tell_soon(self, tell: Callable[..., Told], event: tuple[object, ...], qos: int = 0) -> None:
        """Tell what `tell` makes of an event in the reactor's next iteration, if somebody listens then."""
        self._events.append((tell, event, qos))
        if len(self._events) == 1:
            self.wake()

    def is_heard(self) -> bool:
        """Whether somebody listens to topics that begin with `$`: for nobody what happens often need not be put together."""
        return self._broker.router.dollars > 0

    def has_events(self) -> bool:
        """Whether something happened that is not told yet."""
        return bool(self._events)

    def tell_events(self) -> None:
        """What has happened so far. One that fails is told no more; those behind it are, by the next call."""
        if not self.is_heard():
            self._events.clear()  # nobody listens
            return
        self._turns.begin()
        for _ in range(len(self._events)):  # and not what these bring about
            tell, event, qos = self._events.popleft()
            topic, words = tell(*event)
            if self._broker.router.route(f"{self._root}{topic}".encode()):
                self._publish(topic, json.dumps(words), qos)
        if self._events:
            self.wake()

    # How it is published.

    def _publish(self, topic: str, text: str, qos: int = 0, retain: bool = False) -> None:
        self._send(self._root + topic, text, qos, retain)

    def _send(self, topic: str, text: str, qos: int = 0, retain: bool = False) -> None:
        """Nobody need listen: then nothing is counted as dropped. What cannot be a topic is not told."""
        broker = self._broker
        try:
            message = broker.local_message(topic, text.encode(), qos, retain, b"", NEVER)
        except MQTTError:
            return
        if retain and not broker.retained.closed:
            broker.retain(message)
        route = broker.router.route(message.topic)
        if route:
            broker.deliver(message, route)


class Telling(Periodic):
    """The part that tells it, each second and when something happened."""

    def __init__(self, systopics: SysTopics, clock: IReactorTime) -> None:
        super().__init__("systopics", INTERVAL, systopics.heartbeat, clock)
        self._systopics = systopics
        self._soon: IDelayedCall | None = None

    def startService(self) -> None:
        super().startService()
        self._systopics.wake = self._wake
        if self._systopics.has_events():
            self._wake()

    def _wake(self) -> None:
        self._soon = self._clock.callLater(0, self.guard, self._systopics.tell_events)

    def _cancel(self) -> None:
        super()._cancel()
        self._systopics.wake = nobody
        if self._soon is not None and self._soon.active():
            self._soon.cancel()


def quoted(name: str) -> str:
    """`name` without what a Topic Name must not have."""
    return name.replace("+", "%2B").replace("#", "%23")


# What is told, in emqttd's words; `at` is wall time.

def raised(alarm: Alarm, at: float) -> Told:
    return f"alarms/{quoted(alarm.identifier)}/alert", {
        "id": alarm.identifier, "severity": alarm.severity, "title": alarm.title, "summary": alarm.summary, "ts": int(at)}


def cleared(alarm: Alarm, at: float) -> Told:
    return f"alarms/{quoted(alarm.identifier)}/clear", {"id": alarm.identifier, "ts": int(at)}
