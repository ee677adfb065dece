"""Who may connect to a broker, through whatever listener: what `Admission` asks beside the rules of its own."""
from emqtwist.core.broker import Broker
from emqtwist.core.causes import BANNED, LOGIN_BACKOFF


class Guard:
    """Checks of one broker, as `Admission.checks` takes them. They go by the broker's time, no older than a second."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def check(self, host: str) -> str:
        """A cause of REFUSALS, or "" when there is nothing against `host`."""
        broker = self._broker
        if broker.bans.table and broker.bans.of_address(host) is not None:
            return BANNED
        return LOGIN_BACKOFF if broker.logins.refuses(host, broker.turn.now) else ""
