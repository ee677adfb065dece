"""What all subscribers of one broker share."""
from emqtwist.core.drops import Drops
from emqtwist.core.hooks import DELIVERY_DROPPED, MESSAGE_DROPPED, Hooks
from emqtwist.core.journal import Journal
from emqtwist.core.link import Turn
from emqtwist.core.message import Message
from emqtwist.core.metrics import Metrics
from emqtwist.core.mqueue import OVERHEAD
from emqtwist.core.observer import Observer
from emqtwist.core.settings import Settings
from emqtwist.core.subscriber import Subscriber
from emqtwist.mqtt.constants import MAX_STRING


class Circle:
    """The turn, the counters, the observer, the settings and the journal of one broker; no journal where nothing is stored.

    `drops` are the last messages that were dropped. `crowded` are client ids whose queue is nearly or quite full; `hungry` are
    subscribers that can take retained messages now. While the broker is `overloaded`, or where clients have a rate, it is
    `gauged` what they send. Where queues are `tight`, a PUBLISH, its topic mounted, may be more than one holds.
    """

    __slots__ = ("turn", "metrics", "observer", "settings", "hooks", "taps", "journal", "drops", "crowded", "hungry",
                 "overloaded", "gauged", "tight")

    def __init__(self, settings: Settings, turn: Turn, metrics: Metrics, observer: Observer, hooks: Hooks,
                 journal: Journal | None) -> None:
        self.overloaded = False
        self.configure(settings)
        self.turn = turn
        self.metrics = metrics
        self.observer = observer
        self.journal = journal
        self.hooks = hooks
        self.taps = False  # as in hooks, where no time is to be lost
        self.drops = Drops()
        self.crowded: set[str] = set()
        self.hungry: dict[Subscriber, None] = {}  # each once, or it would get more than its share of a turn

    def configure(self, settings: Settings) -> None:
        """Go by `settings` from now on."""
        self.settings = settings
        self.gauged = self.overloaded or settings.rated
        self.tight = 0 < settings.queue.largest < settings.max_packet_size + MAX_STRING + OVERHEAD

    def set_overloaded(self, overloaded: bool) -> None:
        self.overloaded = overloaded
        self.gauged = overloaded or self.settings.rated

    def outgrows(self, message: Message) -> bool:
        """Whether `message` alone is more than a session's queue holds."""
        largest = self.settings.queue.largest
        return 0 < largest < len(message.topic) + len(message.payload) + len(message.properties) + OVERHEAD

    def lose(self, message: Message, cause: str) -> None:
        """Count a message that was dropped before it was for anybody, or is not retained."""
        self.metrics.drop(cause)
        self.drops.note(cause, self.turn.now, message.topic, message.publisher, "")
        if self.hooks.at[MESSAGE_DROPPED]:
            self.hooks.run(MESSAGE_DROPPED, (message, cause))

    def drop(self, client_id: str, message: Message | None, cause: str) -> None:
        """Count a message that a client does not get; None when it is not known any more."""
        self.metrics.drop(cause)
        if message is None:
            return
        self.drops.note(cause, self.turn.now, message.topic, message.publisher, client_id)
        if self.hooks.at[DELIVERY_DROPPED]:
            self.hooks.run(DELIVERY_DROPPED, (client_id, message, cause))

    def feed(self, subscriber: Subscriber) -> None:
        """Hand over more of the retained messages that `subscriber` waits for, in this turn or the next."""
        self.hungry[subscriber] = None
        self.turn.wake()
