"""What all subscribers of one broker share."""
from emqtwist.core.link import Turn
from emqtwist.core.message import Message
from emqtwist.core.metrics import Metrics
from emqtwist.core.mqueue import OVERHEAD
from emqtwist.core.observer import Observer
from emqtwist.core.settings import Settings
from emqtwist.core.subscriber import Subscriber


class Circle:
    """The turn, the counters, the observer and the settings of one broker.

    `crowded` are client ids whose queue is nearly or quite full; `hungry` are subscribers that can take retained messages now.
    """

    __slots__ = ("turn", "metrics", "observer", "settings", "crowded", "hungry")

    def __init__(self, settings: Settings, turn: Turn, metrics: Metrics, observer: Observer) -> None:
        self.settings = settings
        self.turn = turn
        self.metrics = metrics
        self.observer = observer
        self.crowded: set[str] = set()
        self.hungry: dict[Subscriber, None] = {}  # each once, or it would get more than its share of a turn

    def outgrows(self, message: Message) -> bool:
        """Whether `message` alone is more than a session's queue holds."""
        return 0 < self.settings.queue.max_bytes < message.size + OVERHEAD

    def feed(self, subscriber: Subscriber) -> None:
        """Hand over more of the retained messages that `subscriber` waits for, in this turn or the next."""
        self.hungry[subscriber] = None
        self.turn.wake()
