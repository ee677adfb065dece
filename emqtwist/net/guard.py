"""Who may connect to a broker, through whatever listener: what `Admission` asks beside the rules of its own."""
from emqtwist.core.broker import Broker
from emqtwist.core.causes import BANNED


class Guard:
    """Checks of one broker, as `Admission.checks` takes them."""

    def __init__(self, broker: Broker) -> None:
        self._bans = broker.bans

    def check(self, host: str) -> str:
        """A cause of REFUSALS, or "" when there is nothing against `host`."""
        return "" if self._bans.of_address(host) is None else BANNED
