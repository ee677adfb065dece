"""The port for nodes: who is not taken is not, with TLS or without."""
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactor, StringTransport

from emqtwist.cluster.endpoints import NodePort
from emqtwist.cluster.tls import LinkFiles, LinkTls
from emqtwist.config import Address
from emqtwist.net.tls.credentials import Credentials
from tests.authorities import Authority
from tests.linked import address_of


class Choosing(Factory):
    """Takes connections while it is told to."""

    takes = True

    def buildProtocol(self, address: Any) -> Protocol | None:
        return Protocol() if self.takes else None


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "TLS"])
def test_who_is_one_too_many_gets_no_protocol_and_the_end_of_the_port_is_noticed(secured: bool, tmp_path: Path) -> None:
    authority, reactor, factory, lost = Authority(tmp_path), MemoryReactor(), Choosing(), list[bool]()
    pair = authority.issue("one")
    tls = LinkTls(Credentials(LinkFiles(pair.certfile, pair.keyfile, authority.file))) if secured else None
    port = NodePort(Address("127.0.0.1", 4370), factory, reactor, tls)
    port.bind()
    port.watch = lambda: lost.append(True)
    answering: Any = reactor.tcpServers[0][1]
    answering.doStart()
    taken = answering.buildProtocol(address_of("10.0.0.1"))
    taken.makeConnection(StringTransport())
    factory.takes = False
    assert answering.buildProtocol(address_of("10.0.0.1")) is None
    answering.doStop()
    assert lost == [True]
