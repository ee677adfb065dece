"""Who may connect to a listener at all: looked at for each network connection, before anything is read from it."""
from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from emqtwist.config import AnyListener
from emqtwist.core.causes import ADDRESS_DENIED, PROXY_DENIED, REFUSALS, TOO_MANY_CONNECTIONS
from emqtwist.core.metrics import Metrics
from emqtwist.net.address import host_of, peer_of
from emqtwist.net.sparing import Sparing

Check = Callable[[str], str]  # takes the peer's host; gives a cause of REFUSALS, or "" when it has nothing against it


class Admission:
    """The checks of one listener, asked in their order; `refused` is a dict cause -> how many.

    `section` may be replaced: who is connected stays. Where it bounds nobody, only the `standing` checks are asked, those of them
    that do not go by it. `connections` tells how many are open. Nobody can be answered yet: a
    client that is refused sees its connection close. Of many that are refused for one cause the log tells the first, and once
    a second, by `tell`, how many there were besides.
    """

    log: Final = Logger()

    def __init__(self, listener: str, section: AnyListener, connections: Callable[[], int], metrics: Metrics) -> None:
        self.section = section
        self.checks: list[Check] = [self._check_address, self._check_count]
        self.standing: list[Check] = []
        self.refused: dict[str, int] = {}
        self._sparing: Sparing[str] = Sparing()
        self._listener = listener
        self._connections = connections
        self._metrics = metrics

    def admits(self, address: IAddress) -> bool:
        """Whether who connects from `address` may come in; a refusal is counted and logged."""
        host = host_of(address)
        for check in self.checks if self.section.bounded else self.standing:
            cause = check(host)
            if cause:
                self.refuse(peer_of(address).text, cause)
                return False
        return True

    def admits_sender(self, address: IAddress) -> bool:
        """Whether who connects from `address` may say, by the PROXY protocol, for whom; about whom `admits` is asked then."""
        peer = peer_of(address)
        cause = "" if self.section.proxy_protocol_from.allows(peer.address) else PROXY_DENIED
        cause = cause or self._check_count(peer.address)
        if cause:
            self.refuse(peer.text, cause)
        return not cause

    def _check_address(self, host: str) -> str:
        return "" if self.section.access.allows(host) else ADDRESS_DENIED

    def _check_count(self, host: str) -> str:
        most = self.section.max_connections
        return TOO_MANY_CONNECTIONS if most and self._connections() >= most else ""

    def refuse(self, peer: str, cause: str, detail: str = "") -> None:
        """Count it, and tell it in the log, unless another was refused for this cause just now."""
        self.refused[cause] = self.refused.get(cause, 0) + 1
        self._metrics.refuse(cause)
        if not self._sparing.is_first(cause):
            return
        self.log.warn("{listener} refuses {peer}: {cause}: {reason}", listener=self._listener, peer=peer, cause=cause,
                      reason=f"{REFUSALS[cause]}: {detail}" if detail else REFUSALS[cause])

    def tell(self) -> None:
        """Once a second: how many were refused and not told."""
        for cause, count in self._sparing.take():
            self.log.warn("{listener} has refused {count} more: {cause}: {reason}", listener=self._listener, count=count,
                          cause=cause, reason=REFUSALS[cause])
