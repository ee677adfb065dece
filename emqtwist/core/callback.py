"""A subscriber in this process: a function that is called with each message."""
from collections.abc import Callable
from typing import Final

from emqtwist.core.circle import Circle
from emqtwist.core.message import Message
from emqtwist.core.subscriber import Subscriber, Subscription

ALWAYS_ROOM: Final = 1000


class Callback(Subscriber):
    """Calls `function(message)` in the turn of the publisher; what it raises is told to the observer and goes no further.

    `topic_filter` may have a prefix; `subscription` is what it became, None when it has ended.
    """

    __slots__ = ("function", "topic_filter", "circle", "subscription")

    def __init__(self, topic_filter: bytes, function: Callable[[Message], object], circle: Circle) -> None:
        super().__init__("")
        self.topic_filter = topic_filter
        self.function = function
        self.circle = circle
        self.subscription: Subscription | None = None

    def deliver(self, message: Message, first_byte: int, identifiers: tuple[int, ...]) -> None:
        try:
            self.function(message)
        except Exception as error:
            self.circle.observer.callback_failed(self.topic_filter, error)

    def room(self) -> int:
        return ALWAYS_ROOM
