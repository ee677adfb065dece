"""Where messages leave a session for its client: after a change of who may have what, somebody stands there."""
from emqtwist.core.message import Delivery


class Gate:
    """Asked about each message that has waited, and each that would be sent again. What may not pass is taken out by it."""

    __slots__ = ()

    def passes(self, delivery: Delivery) -> bool:
        """Whether this one, the next of the queue, may go."""
        raise NotImplementedError

    def repeats(self, packet_id: int) -> bool:
        """Whether what is in flight under this identifier may go once more."""
        raise NotImplementedError

    def waits(self) -> bool:
        """Whether the one asked about last stays where it is, until that is known; the session is pumped then."""
        raise NotImplementedError

    def is_over(self) -> bool:
        """Whether nothing is left to be asked about."""
        raise NotImplementedError
