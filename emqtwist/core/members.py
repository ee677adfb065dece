"""The members of a group who are here, or those who are away."""
from emqtwist.core.prefixes import Prefixed
from emqtwist.core.subscriber import Subscriber


class Members:
    """`queue` maps each member to its subscription, the one served longest ago first; `order` has them as they joined.

    Who joins comes last in both.
    """

    __slots__ = ("queue", "order")

    def __init__(self) -> None:
        self.queue: dict[Subscriber, Prefixed] = {}
        self.order: list[Subscriber] = []

    def put(self, subscription: Prefixed) -> None:
        """Add a member, or replace its subscription."""
        subscriber = subscription.subscriber
        if subscriber not in self.queue:
            self.order.append(subscriber)
        self.queue[subscriber] = subscription

    def drop(self, subscriber: Subscriber) -> Prefixed | None:
        """Remove a member; the subscription it had."""
        subscription = self.queue.pop(subscriber, None)
        if subscription is not None:
            self.order.remove(subscriber)
        return subscription

    def serve(self, subscriber: Subscriber) -> Prefixed:
        """It is this member's turn, and then the others'; its subscription."""
        subscription = self.queue.pop(subscriber)
        self.queue[subscriber] = subscription
        return subscription

    def only(self, kept: set[Subscriber]) -> "Members":
        """Some of them, in the same orders."""
        chosen = Members()
        chosen.order = [subscriber for subscriber in self.order if subscriber in kept]
        chosen.queue = {subscriber: self.queue[subscriber] for subscriber in self.queue if subscriber in kept}
        return chosen
