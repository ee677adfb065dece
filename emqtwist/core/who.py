"""Whom access rules are about."""
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from emqtwist.core.access import Client


class Asker:
    """Whom the rules are about, in the form in which they compare. No rule concerns a `superuser`.

    `certificate` is the Common Name of that which it has shown, empty without.
    """

    __slots__ = ("client_id", "user_name", "address", "superuser", "certificate")

    def __init__(self, client_id: str, user_name: str | None, host: str, superuser: bool = False, certificate: str = "") -> None:
        self.client_id = client_id
        self.user_name = user_name
        self.address = address_of(host)
        self.superuser = superuser
        self.certificate = certificate

    def value(self, mark: bytes) -> bytes | None:
        """What stands for `%c`, `%u`, `%a` or `%C`; None when it is not known, or empty."""
        value: str | None = self.client_id
        if mark == b"u":
            value = self.user_name
        elif mark == b"a":
            value = None if self.address is None else str(self.address)
        elif mark == b"C":
            value = self.certificate
        return value.encode() if value else None


def asker(client: Client) -> Asker:
    certificate = client.certificate
    return Asker(client.client_id, client.user_name, client.address, client.superuser,
                 "" if certificate is None else certificate.cn)


def address_of(host: str) -> IPv4Address | IPv6Address | None:
    """None for what is no address; IPv4 in the clothes of IPv6 is IPv4."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


class Who:
    """Everybody."""

    __slots__ = ()

    def includes(self, asker: Asker) -> bool:
        return True


class ClientIs(Who):
    __slots__ = ("_client_id",)

    def __init__(self, client_id: str) -> None:
        self._client_id = client_id

    def includes(self, asker: Asker) -> bool:
        return asker.client_id == self._client_id


class UserIs(Who):
    __slots__ = ("_user_name",)

    def __init__(self, user_name: str) -> None:
        self._user_name = user_name

    def includes(self, asker: Asker) -> bool:
        return asker.user_name == self._user_name


class CertificateIs(Who):
    """Who has shown a certificate with this Common Name."""

    __slots__ = ("_common_name",)

    def __init__(self, common_name: str) -> None:
        self._common_name = common_name

    def includes(self, asker: Asker) -> bool:
        return bool(asker.certificate) and asker.certificate == self._common_name


class AddressIn(Who):
    """An address of the network; nobody whose address is not known."""

    __slots__ = ("_network",)

    def __init__(self, network: IPv4Network | IPv6Network) -> None:
        self._network = network

    def includes(self, asker: Asker) -> bool:
        return asker.address is not None and asker.address in self._network


class Every(Who):
    """Whoever is included in each of `parts`."""

    __slots__ = ("_parts",)

    def __init__(self, parts: list[Who]) -> None:
        self._parts = parts

    def includes(self, asker: Asker) -> bool:
        for part in self._parts:
            if not part.includes(asker):
                return False
        return True


class Either(Who):
    """Whoever is included in one of `parts`."""

    __slots__ = ("_parts",)

    def __init__(self, parts: list[Who]) -> None:
        self._parts = parts

    def includes(self, asker: Asker) -> bool:
        for part in self._parts:
            if part.includes(asker):
                return True
        return False
