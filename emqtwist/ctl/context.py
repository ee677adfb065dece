"""What commands see of the broker that they are for."""
import time
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Final, Protocol

from twisted.internet.interfaces import IReactorTime

from emqtwist.access.authorization import Authorization
from emqtwist.access.control import AccessControl
from emqtwist.cluster.crossings import Crossings
from emqtwist.config import Config
from emqtwist.core.broker import Broker
from emqtwist.core.cluster.nodes import Nodes
from emqtwist.interfaces import IStore
from emqtwist.net.listeners import Listener
from emqtwist.net.turns import Turns
from emqtwist.services.certificates import Certificates
from emqtwist.services.decisions import Decisions
from emqtwist.services.modules import Modules
from emqtwist.services.pooler import Pool
from emqtwist.services.slowness import Slowness
from emqtwist.services.supervisor import Supervisor
from emqtwist.services.topicmetrics import TopicMetrics
from emqtwist.services.trace import Traces

SET: Final = 1.0  # seconds; by less two looks at both clocks may differ, although nobody has set one


class Plugins(Protocol):
    """What `app.plugins.Plugins` offers."""

    @property
    def loaded(self) -> Mapping[str, object]: ...
    def installed(self) -> Mapping[str, tuple[str, str]]: ...
    def load_installed(self, names: list[str]) -> None: ...
    def unload(self, name: str) -> None: ...


class Problem(Protocol):
    """What stands between this node and another, `who`: by name, or by address."""

    @property
    def cause(self) -> str: ...
    @property
    def who(self) -> str: ...
    @property
    def text(self) -> str: ...


class Served(Protocol):
    """What a BrokerService offers to commands."""

    @property
    def broker(self) -> Broker: ...
    @property
    def turns(self) -> Turns: ...
    @property
    def config(self) -> Config: ...
    @property
    def state(self) -> str: ...
    @property
    def listeners(self) -> Mapping[str, Listener]: ...
    @property
    def plugins(self) -> Plugins: ...
    @property
    def modules(self) -> Modules: ...
    @property
    def decisions(self) -> Decisions: ...
    @property
    def topic_metrics(self) -> TopicMetrics: ...
    @property
    def slowness(self) -> Slowness: ...
    @property
    def traces(self) -> Traces: ...
    @property
    def store(self) -> IStore | None: ...
    @property
    def pool(self) -> Pool: ...
    @property
    def hashing(self) -> Pool: ...
    @property
    def certificates(self) -> Certificates: ...
    @property
    def access(self) -> AccessControl: ...
    @property
    def authorization(self) -> Authorization: ...
    @property
    def nodes(self) -> Nodes | None: ...
    @property
    def bridges(self) -> Crossings: ...
    @property
    def problems(self) -> Callable[[], Sequence[Problem]]: ...
    def reload_acl(self) -> None: ...


class Context:
    """One broker: `service` with its `root` of supervisors, `apply` to use another configuration in what is live.

    `logs` says whether the broker writes its log itself, so that its levels count.
    """

    def __init__(self, service: Served, root: Supervisor, apply: Callable[[Config], None], clock: IReactorTime,
                 logs: Callable[[], bool], wall: Callable[[], float] = time.time) -> None:
        self.service = service
        self.root = root
        self.apply = apply
        self.clock = clock
        self.logs = logs
        self.wall = wall
        self._began = clock.seconds()
        self._shift = -inf  # from the broker's clock to Unix seconds

    @property
    def broker(self) -> Broker:
        return self.service.broker

    @property
    def node(self) -> str:
        return self.service.config.node.name

    @property
    def began(self) -> int:
        """When it began, in Unix seconds."""
        return self.unix(self.broker.turn.now - self.uptime)

    @property
    def uptime(self) -> float:
        return self.clock.seconds() - self._began

    def begin(self) -> None:
        """Before anything is asked of the broker: tell it the time."""
        self.service.turns.begin()

    def unix(self, at: float) -> int:
        """Unix seconds of a moment on the broker's clock: the same ones each time, unless the wall clock is set meanwhile."""
        shift = self.wall() - self.broker.turn.now
        if abs(shift - self._shift) >= SET:
            self._shift = shift
        return int(self._shift + at)
