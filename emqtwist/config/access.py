"""Rules that say from which addresses clients may connect."""
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from emqtwist.config.values import Unit
from emqtwist.core.who import address_of

ALL: Final = "all"
VERBS: Final = {"allow": True, "deny": False}


@dataclass(frozen=True)
class Access:
    """Rules (allow or deny, network) in their order; the first whose network has an address decides, `otherwise` when none."""

    rules: tuple[tuple[bool, IPv4Network | IPv6Network], ...] = ()
    otherwise: bool = True

    def allows(self, host: str) -> bool:
        """Whether a client may connect from `host`. Who has no address is in no network; a scope does not count."""
        address = address_of(host) if self.rules else None
        if address is None:
            return self.otherwise
        return next((allowed for allowed, network in self.rules if address in network), self.otherwise)

    def __str__(self) -> str:
        words = {allowed: verb for verb, allowed in VERBS.items()}
        rules = [f"{words[allowed]} {network}" for allowed, network in self.rules]
        return ", ".join([*rules, f"{words[self.otherwise]} {ALL}"])


class AccessRules(Unit[Access]):
    """As `access.N` of emq.conf in one line. The end has to be written: who matches no rule is no accident."""

    name = "rules"
    form = "rules as allow 10.0.0.0/8, allow ::1, deny all; the last one, and no other, is for all"

    def read(self, text: str) -> Access:
        *rules, (otherwise, network) = [self._rule(part.split()) for part in text.split(",")]
        if network is not None or any(network is None for _, network in rules):
            raise ValueError("not one rule for all at the end")
        return Access(tuple((allowed, network) for allowed, network in rules if network is not None), otherwise)

    def _rule(self, words: list[str]) -> tuple[bool, IPv4Network | IPv6Network | None]:
        if len(words) != 2 or words[0] not in VERBS:
            raise ValueError("not a list of rules")
        try:
            return VERBS[words[0]], None if words[1] == ALL else ip_network(words[1])
        except ValueError:
            raise ValueError("not an IP network; the bits behind its prefix are 0") from None

    def holds(self, value: object) -> bool:
        return isinstance(value, Access)


ACCESS: Final = AccessRules()
