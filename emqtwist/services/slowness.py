"""Slow subscribers: whose messages take longest from being published to being delivered.

A message that is published while somebody wants to know this is a TimedMessage; of others nothing is said. It is delivered when
it is sent, at QoS 1 and 2 when the client has acknowledged it. What was published while the client was away counts from when it
came back.
"""
from typing import Final, cast

from emqtwist.config.sections.module import SlowSubsModule
from emqtwist.core.broker import Broker
from emqtwist.core.connection import Connection
from emqtwist.core.message import Message, TimedMessage
from emqtwist.core.session import Session

LAST: Final = 1_000_000  # the priority at message.publish: what others make of a message does not know its time


class Slow:
    """One subscriber: the longest `delay` (seconds) and the `topic` of that message.

    `messages` is how many were slow since it is in the ranking, `last` when it was seen to be slow last (monotonic).
    """

    __slots__ = ("client_id", "delay", "topic", "messages", "last")

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id
        self.delay = 0.0
        self.topic = b""
        self.messages = 0
        self.last = 0.0


class Slowness:
    """The slowest subscribers: `table` maps client ids to Slow, no more than the section `rules` says."""

    def __init__(self, broker: Broker, rules: SlowSubsModule) -> None:
        self.table: dict[str, Slow] = {}
        self._broker = broker
        self._rules = rules

    def configure(self, rules: SlowSubsModule) -> None:
        """Go by these rules from now on."""
        self._rules = rules
        while len(self.table) > rules.top_k_num:
            del self.table[self._least().client_id]

    # Functions at hooks.

    def published(self, message: Message) -> Message:
        return TimedMessage(message, self._broker.turn.now)

    def delivered(self, client_id: str, user_name: str | None, message: Message) -> None:
        """It is sent, or acknowledged."""
        if self._broker.turn.now - message.published_at() >= self._rules.threshold:
            session = self._broker.sessions.by_id.get(client_id)
            if session is not None:
                self._note(session, message, 1)

    def ended(self, client_id: str) -> None:
        self.table.pop(client_id, None)

    # Who asks.

    def look(self, session: Session) -> None:
        """Note what a client that is here has not got yet: of what it is to acknowledge, and of what waits, the first one."""
        if self._rules.stats_type == "whole":
            for delivery in session.inflight.held.values():
                if delivery is not None:
                    self._note(session, delivery[0], 0)
                    break
        if session.backlog is not None and session.backlog.queue:
            self._note(session, session.backlog.queue.peek()[0], 0)

    def ranking(self) -> list[Slow]:
        """The slowest first; of equals, the one that is in the table longer."""
        self._forget()
        return sorted(self.table.values(), key=lambda slow: -slow.delay)

    def _note(self, session: Session, message: Message, count: int) -> None:
        """`count` says whether it was delivered now."""
        if session.link is None:
            return
        now = self._broker.turn.now
        delay = now - max(message.published_at(), cast(Connection, session.link).connected_at)
        if delay < self._rules.threshold:
            return
        slow = self.table.get(session.client_id) or self._enter(session.client_id, delay)
        if slow is not None:
            slow.messages += count
            slow.last = now
            if delay > slow.delay:
                slow.delay, slow.topic = delay, message.topic

    def _enter(self, client_id: str, delay: float) -> Slow | None:
        """A new place in the table; None when all others are slower."""
        if len(self.table) >= self._rules.top_k_num:
            self._forget()
        if len(self.table) >= self._rules.top_k_num:
            least = self._least()
            if least.delay >= delay:
                return None
            del self.table[least.client_id]
        slow = self.table[client_id] = Slow(client_id)
        return slow

    def _least(self) -> Slow:
        return min(self.table.values(), key=lambda slow: slow.delay)

    def _forget(self) -> None:
        """Those that have not been slow for long."""
        before = self._broker.turn.now - self._rules.expire_interval
        for slow in [slow for slow in self.table.values() if slow.last <= before]:
            del self.table[slow.client_id]
