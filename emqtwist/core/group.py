"""A group: those who share a subscription. Each message goes to one of them.

In the route it stands as one subscriber, so that a route without groups costs nothing more. It chooses among the members
who are here; when all are away, one of them keeps the message.
"""
from typing import Final

from emqtwist.core import causes
from emqtwist.core.circle import Circle
from emqtwist.core.members import Members
from emqtwist.core.message import PUBLISH_BYTE, QOS_BITS, RETAIN_BIT, Message
from emqtwist.core.prefixes import Prefixed
from emqtwist.core.strategies import STRATEGIES, Dice, Memory
from emqtwist.core.subscriber import Subscriber, granted
from emqtwist.mqtt.constants import OPTION_RETAIN_AS_PUBLISHED

ANY_QOS: Final = 2  # each member has its own


class SharedMessage(Message):
    """A message that a group gave to one member, who may lose it to another."""

    __slots__ = ("_group",)

    def __init__(self, message: Message, group: bytes) -> None:
        super().__init__(message.topic, message.payload, message.qos, message.retain, message.properties,
                         message.expires_at, message.publisher)
        self._group = group

    def group(self) -> bytes:
        return self._group


class TimedSharedMessage(SharedMessage):
    """One that knows when it was published, if what it was made of does."""

    __slots__ = ("_published_at",)

    def __init__(self, message: Message, group: bytes) -> None:
        super().__init__(message, group)
        self._published_at = message.published_at()

    def published_at(self) -> float:
        return self._published_at


class Group(Subscriber):
    """Members `here` and `away`; `name` is the Topic Filter with its prefix."""

    __slots__ = ("name", "here", "away", "_circle", "_memory")

    def __init__(self, name: bytes, circle: Circle, dice: Dice) -> None:
        super().__init__("")
        self.name = name
        self.here = Members()
        self.away = Members()
        self._circle = circle
        self._memory = Memory(dice)

    def join(self, subscription: Prefixed) -> None:
        """A new member, or other options of one."""
        (self.away if subscription.subscriber.absent() else self.here).put(subscription)

    def leave(self, subscriber: Subscriber) -> bool:
        """Whether the group is empty now."""
        if self._memory.favourite is subscriber:
            self._memory.favourite = None
        if self.here.drop(subscriber) is None:
            self.away.drop(subscriber)
        return not self.here.order and not self.away.order

    def arrived(self, subscriber: Subscriber) -> None:
        self._move(subscriber, self.away, self.here)

    def departed(self, subscriber: Subscriber) -> None:
        self._move(subscriber, self.here, self.away)

    def _move(self, subscriber: Subscriber, source: Members, target: Members) -> None:
        subscription = source.drop(subscriber)
        if subscription is not None:
            target.put(subscription)

    def deliver(self, message: Message, first_byte: int, identifiers: tuple[int, ...]) -> None:
        """Give `message` to one member, as that one subscribed."""
        members = self.here if self.here.order else self.away
        choice = members
        circle = self._circle
        if circle.settings.no_own_messages or (message.qos and (circle.crowded or circle.outgrows(message))):
            choice = self._not_own(members, message)
            choice = self._with_room(choice, message) or self._willing(choice, message) or choice
        if not choice.order:
            circle.lose(message, causes.NO_SUBSCRIBERS)
            return
        if len(choice.order) == 1:
            chosen = choice.order[0]
        else:
            chosen = STRATEGIES[circle.settings.shared_strategy](choice, self._memory, message)
        self._give(members.serve(chosen), message)

    def refuses(self, message: Message) -> bool:
        """Whether nobody whose turn it could be would keep `message`; one who has room is enough."""
        members = self._not_own(self.here if self.here.order else self.away, message)
        return self._willing(members, message) is None

    def lives_here(self) -> bool:
        return False

    def keeps(self) -> bool:
        for members in (self.here, self.away):
            for subscriber in members.order:
                if subscriber.keeps():
                    return True
        return False

    def takes(self, message: Message) -> bool:
        """Whether somebody would get `message`, and nothing be dropped for it."""
        members = self._not_own(self.here if self.here.order else self.away, message)
        return bool(members.order) and self._with_room(members, message) is not None

    def broken(self, error: Exception) -> None:
        self._circle.observer.delivery_failed(self.name.decode(), error)

    def _give(self, subscription: Prefixed, message: Message) -> None:
        subscriber, options = subscription.subscriber, subscription.options
        first_byte = granted(message, options)  # [MQTT-4.8.2-3]
        if message.retain and options & OPTION_RETAIN_AS_PUBLISHED:  # [MQTT-3.3.1-12]
            first_byte |= RETAIN_BIT  # [MQTT-3.3.1-13]
        if (first_byte & QOS_BITS or subscriber.direct is None) and not isinstance(message, SharedMessage):
            message = (TimedSharedMessage if self._circle.taps else SharedMessage)(message, self.name)
        try:
            subscriber.deliver(message, first_byte, subscription.identifiers)
        except Exception as error:
            subscriber.broken(error)

    def _not_own(self, members: Members, message: Message) -> Members:
        """Without the publisher, if clients are not to get their own messages."""
        if not self._circle.settings.no_own_messages:
            return members
        return members.only({each for each in members.order if not each.client_id or each.client_id != message.publisher})

    def _with_room(self, members: Members, message: Message) -> Members | None:
        """Those who need drop nothing for `message`; None when there are none."""
        return self._narrowed(members, {each for each in members.order if not each.full(message)})

    def _willing(self, members: Members, message: Message) -> Members | None:
        """Those who do not refuse `message`; None when all do."""
        return self._narrowed(members, {
            each for each in members.order
            if granted(message, members.queue[each].options) == PUBLISH_BYTE or not each.refuses(message)})

    def _narrowed(self, members: Members, kept: set[Subscriber]) -> Members | None:
        if len(kept) == len(members.order):
            return members
        return members.only(kept) if kept else None
