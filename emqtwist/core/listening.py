"""Functions of this process that subscribe: jobs of the pubsub pool."""
from collections.abc import Callable

from emqtwist.core.callback import Callback
from emqtwist.core.subscriber import Subscription
from emqtwist.core.subscriptions import Subscriptions, Write


class Listening(Write):
    """A function of this process subscribes; it has one subscription, so that nobody else has to note it.

    `replay` hands over the retained messages for a subscription, and is told whether that is new.
    """

    __slots__ = ("_callback", "_made", "_replay")

    def __init__(self, tables: Subscriptions, callback: Callback, subscription: Subscription,
                 replay: Callable[[Subscription, bool], None]) -> None:
        super().__init__(tables, subscription, {}, True)
        self._callback = callback
        self._made = subscription
        self._replay = replay

    def run(self) -> None:
        super().run()
        if self.error is not None:
            self.failed()
        elif self._callback.subscription is self._made:
            self._replay(self._made, True)

    def failed(self) -> None:
        """Whoever subscribed is told, if not by an exception then by the observer."""
        self._callback.subscription = None
        if self.error is not None:
            self._callback.circle.observer.callback_failed(self._callback.topic_filter, self.error)


class Listened(Write):
    """A function of this process subscribes no more."""

    __slots__ = ("_callback",)

    def __init__(self, tables: Subscriptions, callback: Callback, subscription: Subscription) -> None:
        super().__init__(tables, subscription, {}, False)
        self._callback = callback

    def run(self) -> None:
        super().run()
        self._tables.groups.forget(self._callback)
