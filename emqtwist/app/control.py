"""Commands for the broker of a process: what they see, and the part that takes them."""
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emqtwist.app.service import BrokerService
from emqtwist.config import Config
from emqtwist.ctl.across import Commands
from emqtwist.ctl.context import Context
from emqtwist.ctl.part import Ctl, socket_path, tls_options
from emqtwist.ctl.server import CtlFactory
from emqtwist.net.socketfile import clear
from emqtwist.services.supervisor import Child, Supervisor


class Control:
    """Keeps what outlives the part: the connections of those who ask, with their listings and what they wait for."""

    def __init__(self, broker: BrokerService, root: Supervisor, apply: Callable[[Config], None], logs: Callable[[], bool],
                 reactor: Any) -> None:
        self._config = broker.config
        self._reactor = reactor
        self._root = root
        self._tls: Any = None
        self._part: Ctl | None = None
        context = Context(broker, root, apply, reactor, logs)
        self.factory = CtlFactory(broker.commands, context)
        if broker.nodes is not None:
            broker.nodes.remote.runner = Commands(broker.commands, context)

    def prepare(self) -> None:
        """Before the start: see that the socket can be had, read certificate and key, take the port, join the tree.

        Raises Taken or CannotListenError.
        """
        path, section = socket_path(self._config), self._config.ctl
        if path is not None:
            clear(path)
        if section.certificate:
            self._tls = tls_options(Path(section.certificate), Path(section.private_key))
        first = self._make()
        first.bind()
        made = [first]
        self._root.add(Child("ctl", lambda: made.pop() if made else self._make()), first=True)  # to open a store may take long

    def _make(self) -> Ctl:
        number = 0 if self._part is None else self._part.number  # one that the system chose stays the same
        self._part = Ctl(socket_path(self._config), self._config.ctl, self.factory, self._reactor, self._tls, number)
        return self._part

    def close(self) -> None:
        """The broker stops: nobody is answered any more."""
        self.factory.close()
