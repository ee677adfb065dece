"""One seed, from an empty cluster through load and faults to the peace in which all is checked; twice, and both logs compared."""
from hashlib import sha256
from typing import Any, Final

from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer

from tests.harness.simulate.account import Account
from tests.harness.simulate.clients import SimClient
from tests.harness.simulate.faults import Faults
from tests.harness.simulate.groups import Groups
from tests.harness.simulate.knowing import CALM
from tests.harness.simulate.network import Network
from tests.harness.simulate.node import Node
from tests.harness.simulate.reference import Reference
from tests.harness.simulate.retained import Retained
from tests.harness.simulate.wills import Wills
from tests.harness.simulate.world import Found, Loads, World, timeline

LINES: Final = ("mqtt.session.max_inflight = 5", "mqtt.mqueue.max_memory = 2KB")
NAMES: Final = ("a@x", "b@x", "c@x", "d@x")
PATIENCE: Final = 120.0  # seconds in which all has to settle
QUIET: Final = 3.0  # seconds that nothing may be under way
BEGINNING: Final = 4.0  # seconds before anything goes wrong
DEFAULT: Final = Loads()


@implementer(ILogObserver)
class Look:
    """Notes failures that are logged, and nowhere raised."""

    def __init__(self, defects: list[LogEvent]) -> None:
        self._defects = defects

    def __call__(self, event: LogEvent) -> None:
        if "log_failure" in event:
            self._defects.append(event)


class Simulation:
    """What the seed draws besides all that happens: how many nodes and clients, how fast links are, how often something fails."""

    def __init__(self, seed: int, loads: Loads = DEFAULT, seconds: float | None = None) -> None:
        self.seed = seed
        self.loads = loads
        self.world = World(seed)
        random = self.world.random
        self.seconds = seconds or random.choice((10.0, 20.0, 30.0))
        names = NAMES[:random.choice((2, 3, 3, 4))]
        window = random.choice((1024, 8000, 60_000))
        self.nodes = {name: Node(self.world, name, [other for other in names if other != name],
                                 random.choice((0.002, 0.02, 0.2)), window, *LINES) for name in names}
        self.network = Network(self.world, self.nodes, random.choice((0.001, 0.02, 0.3)), random.choice((50_000, 1_000_000)),
                               random.choice((8000, 65_000)))
        self.reference = Reference(self.world)
        self.accounts: list[Account] = [self.reference]
        if loads.retained:
            self.accounts.append(Retained(self.world))
        if loads.shared:
            self.accounts.append(Groups(self.world))
        if loads.wills:
            self.accounts.append(Wills(self.world))
        self.faults = Faults(self.world, self.network, self.accounts, loads, random.choice((0.0, 0.3, 1.0, 1.0)))
        self.clients: list[SimClient] = []
        self._defects: list[LogEvent] = []
        for account in self.accounts:
            account.network = self.network
            account.people(self)

    def client(self, account: Account, client_id: str, node: Node, version: int = 0, kind: type[SimClient] = SimClient,
               **does: Any) -> SimClient:
        """One more."""
        version = version or self.world.random.choice((4, 5))
        client = kind(self.world, self.nodes, account, client_id, node, version, **does, expires=self.loads.expiry)
        self.clients.append(client)
        return client

    def of(self, account: Account) -> list[SimClient]:
        """The clients of an account."""
        return [client for client in self.clients if client.account is account]

    def told(self) -> str:
        """What there was, in a line."""
        letters, starts = self.reference.letters, sum(node.starts - 1 for node in self.nodes.values())
        return f"{len(self.nodes)} nodes, {starts} crashes, {len(letters)} messages, {sum(len(one.sure) for one in letters)} owed"

    # Its course.

    def run(self) -> None:
        """Found, or whatever else was raised, when something does not hold."""
        look = Look(self._defects)
        globalLogPublisher.addObserver(look)
        try:
            self._run()
        finally:
            globalLogPublisher.removeObserver(look)

    def _run(self) -> None:
        self._meet()
        for client in self.clients:
            client.begin()
        self._pass(BEGINNING)
        self.faults.begin()
        self._pass(self.seconds)
        self.faults.heal()
        for client in self.clients:
            client.calm = True
        self.settle()
        self._epilogue()
        for account in self.accounts:
            account.epilogue(self)
        for account in self.accounts:
            account.check()
        self._check_nodes()

    def _meet(self) -> None:
        """All nodes find each other, before anybody comes."""
        while any(self.network.linked_since(one, two) is None for one, two in self.network.trouble):
            self._pass(0.5)
            if self.world.now > PATIENCE:
                raise Found("G11: the nodes do not find each other", "link")

    def _pass(self, seconds: float) -> None:
        end = self.world.now + seconds
        while self.world.now < end:
            self.world.run(0.5)
            for account in self.accounts:
                account.look()
            for node in self.nodes.values():
                if node.failure is not None:
                    node.failure.raiseException()
            if self._defects:
                self._defects[0]["log_failure"].raiseException()

    def calm(self) -> None:
        """Let all nodes come to know all."""
        self._pass(CALM + 1.0)

    def settle(self) -> None:
        """G11: all that waits goes, sooner or later."""
        end, quiet = self.world.now + PATIENCE, 0.0
        while quiet < QUIET:
            if self.world.now > end:
                for account in self.accounts:
                    account.check()
                raise Found("G11: it never settles: " + "; ".join(self._busy()), *self._words())
            self._pass(0.5)
            quiet = 0.0 if self._busy() else quiet + 0.5

    def _words(self) -> list[str]:
        return [words for busy in self._busy() for words in busy.split(" ")[:1]]

    def _busy(self) -> list[str]:
        """What is under way still."""
        found = [f"{client.client_id} is busy" for client in self.clients if not client.idle()]
        found += [words for account in self.accounts for words in account.busy()]
        for node in self.nodes.values():
            for peer in node.cluster.peers.values():
                if peer.link is None or len(peer.outbox):
                    found.append(f"{node.name} has {len(peer.outbox)} messages for {peer.name}")
            for session in node.broker.sessions.by_id.values():
                if session.backlog is not None and len(session.backlog) or session.inflight.held:
                    found.append(f"{node.name} has messages for {session.client_id}")
            if node.store.rows:
                found.append(f"{node.name} stores {len(node.store.rows)} rows")
            claims = node.cluster.takeover.claims
            found += [f"{client_id} is on its way at {node.name}" for client_id in (*claims.givings, *claims.takings)]
        return found

    def _epilogue(self) -> None:
        """In peace everybody gets all that is sent, also at QoS 0."""
        for client in self.clients:
            if client.subscribes and not client.subscribed:
                client.listen(self.world.random.choice(client.filters))
        self.calm()
        for qos in range(3):
            for client in self.clients:
                if client.publishes:
                    client.send_one(self.world.random.choice(client.account.topics), qos, calm=True)
            self._pass(0.5)
        self.settle()

    # What is left.

    def _check_nodes(self) -> None:
        for node in self.nodes.values():
            if node.blames:
                raise Found(f"{node.name} blames others: {node.blames}", "link")
            store = node.store
            received = () if self.loads.anew else store.received  # who begins anew forgets what it has not released
            if store.messages or received:
                raise Found(f"{node.name} stores messages that nobody waits for: {store.messages} {received}", node.name)
            for name, peer in node.cluster.peers.items():
                here, there = node.cluster.routes.mirror(peer).entries, self.nodes[name].cluster.routes.table.entries
                if here != there:
                    raise Found(f"{node.name} knows other routes of {name} than it has: {here}, {there}", node.name)
        for client in self.clients:
            at = [node.name for node in self.nodes.values()
                  if (session := node.broker.sessions.by_id.get(client.client_id)) is not None and session.link is not None]
            if len(at) > 1:
                raise Found(f"G4: {client.client_id} is connected to {at}", client.client_id)


def simulate(seed: int, loads: Loads = DEFAULT, seconds: float | None = None) -> Simulation:
    """Run a seed twice; Found, with the timeline, when it fails, or is not the same the second time."""
    first = _run(seed, loads, seconds)
    second = _run(seed, loads, seconds)
    if first.world.log != second.world.log:
        at = next(at for at, lines in enumerate(zip(first.world.log, second.world.log, strict=False)) if lines[0] != lines[1])
        raise Found(f"seed {seed} is not the same the second time: {first.world.log[at]} | {second.world.log[at]}")
    return first


def _run(seed: int, loads: Loads, seconds: float | None) -> Simulation:
    simulation = Simulation(seed, loads, seconds)
    try:
        simulation.run()
    except Exception as error:
        words = error.words if isinstance(error, Found) else ()
        lines = timeline(simulation.world.log, words)
        raise Found(f"{lines}\nseed {seed}: {type(error).__name__}: {error}\n"
                    f"again: make simulate SEED={seed} SEEDS=1{loads.told()}") from error
    return simulation


def fingerprint(log: list[str]) -> str:
    return sha256("\n".join(log).encode()).hexdigest()[:16]
