"""The core under lying clients, without sockets: thousands of sessions in seconds."""
from random import Random

from emqtwist.mqtt.packets import Puback, Publish
from tests.harness.fuzz.logins import methods
from tests.harness.fuzz.sessions import Found, LyingSession
from tests.peers import Peer, World

SETTINGS = ("mqtt.mqueue.max_length = 100", "mqtt.mqueue.on_full = drop_oldest", "retainer.max_message_num = 50",
            "mqtt.pubsub.route_cache = 20", "mqtt.session.max_subscriptions = 30")
MANY = 10  # connections that stay open
YEAR = 366 * 24 * 3600.0


class CoreFuzz:
    """A broker, a canary of two well-behaved clients, and those lying clients that are still connected."""

    def __init__(self, seed: int, version: int) -> None:
        self.seed = seed
        self.version = version
        self.world = World(*SETTINGS)
        self.world.broker.methods = methods()
        self.closed = 0
        self._connected: list[Peer] = []
        self._exchanged = 0
        self._listener, self._speaker = self.world.connect("canary-listener"), self.world.connect("canary-speaker")
        self._listener.subscribe("canary", qos=1)

    def run(self, first: int, sessions: int) -> None:
        """Play sessions; Found when the core raises, sends what is no packet, disturbs the canary, or keeps what is gone."""
        session = LyingSession(self.seed, self.version, first)
        for number in range(first, first + sessions):
            session = LyingSession(self.seed, self.version, number)
            try:
                self._play(session)
                self._exchange()
            except Exception as error:
                raise Found(f"{type(error).__name__}: {error}", session, first, " --core") from error
        if left := self._leave():
            raise Found(f"after all is over there is still: {left}", session, first, " --core")

    def _play(self, session: LyingSession) -> None:
        random = Random(session.number)
        peer = self.world.peer()
        self._connected.append(peer)
        if session.login is not None:
            peer.write(session.login.opening)
            self.world.settle()
            peer.write(session.login.final(next(iter(peer.received()), None)))
        for chunk in session.chunks:
            peer.write(chunk)
            if random.random() < 0.5:
                self.world.settle()
        self.world.settle()
        self.closed += peer.closed
        assert peer.closed or not session.is_broken, "its bytes are no packets, and the connection stays"
        if session.farewell != "leave" or len(self._connected) > MANY:
            self._connected.pop(random.randrange(len(self._connected))).drop()
        self._disturb(random)
        assert not self.world.witness.told("delivery_failed"), self.world.witness.events
        self.world.witness.events.clear()

    def _disturb(self, random: Random) -> None:
        """Now and then somebody stops reading, reads again, or time passes."""
        for peer in [peer for peer in self._connected if not peer.closed and random.random() < 0.1]:
            if peer.connection.congested:
                peer.relieve()
            else:
                peer.stall()
        if random.random() < 0.05:
            self.world.advance(random.choice((1.0, 40.0, 100_000.0)))

    def _exchange(self) -> None:
        """The canary's QoS 1 message has to arrive, and nothing else."""
        self._exchanged += 1
        payload = b"%d" % self._exchanged
        self._speaker.publish("canary", payload, qos=1)
        assert self._speaker.one(Puback).reason_code == 0, "the canary was refused"
        publish = self._listener.one(Publish)
        assert publish.payload == payload, "the canary's message was lost"
        self._listener.acknowledge(publish)
        self._listener.raw = self._speaker.raw = b""

    def _leave(self) -> dict[str, object]:
        """Everybody leaves and all sessions expire: what the broker still holds of them."""
        for peer in [*self._connected, self._listener, self._speaker]:
            peer.drop()
        self.world.advance(YEAR)
        broker = self.world.broker
        held: dict[str, object] = {
            "sessions": broker.sessions.by_id, "links": broker.links, "filters": broker.router.filters(),
            "subscriptions": broker.router.subscriptions, "Wills": len(broker.wills), "crowded": broker.circle.crowded,
            "hungry": broker.circle.hungry, "groups": broker.subscriptions.groups.by_name,
            "owners": broker.subscriptions.owners, "to flush": broker.turn.links}
        return {name: value for name, value in held.items() if value}
