"""Where a history is played: a broker and the reference, side by side."""
from typing import TypeVar

from emqtwist.mqtt import packets as p
from emqtwist.mqtt.encoder import encode
from tests.peers import World
from tests.properties.sessions.judge import Wrong, quiet, saw, settled
from tests.properties.sessions.owed import Connection, Owed
from tests.properties.sessions.reference import Reference, Rules

LARGE = b"." * 200  # more than a Maximum Packet Size of `SMALL_PACKETS` takes
SMALL_PACKETS = 120
T = TypeVar("T")


class Stage:
    """Where a history is played: a broker, the reference, and the connections that are open or being closed."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.world = World(*rules.lines())
        self.reference = Reference(rules, self.world.turn.now)
        self.connections: list[Connection] = []
        self.published = 0
        self._corked = 0

    def cork(self, operations: int) -> None:
        """Let the next operations happen in one turn."""
        self._corked = operations + 1 if not self.rules.max_length else 0

    def uncork(self) -> None:
        self._corked = 0
        self.settle()

    def settle(self) -> None:
        """Unless corked: let the broker do all it can, and judge it."""
        self._corked = max(0, self._corked - 1)
        if self._corked:
            return
        self.world.settle()
        for connection in self.connections:
            for packet in connection.peer.received():
                saw(self.reference, connection, packet)
        settled(self.reference)
        for connection in self.connections:
            quiet(connection)
        self.connections = [connection for connection in self.connections if connection.open]
        if failed := self.world.witness.told("delivery_failed"):
            raise Wrong(f"a defect of the broker: {failed}")

    def pick(self, client: int) -> Connection | None:
        return choose([connection for connection in self.connections if connection.open], client)

    def send(self, connection: Connection, *packets: p.Packet) -> None:
        connection.last_seen = self.reference.now
        data = b"".join([encode(packet, connection.version) for packet in packets])
        for at in range(0, len(data), self.rules.chunk):
            connection.peer.write(data[at:at + self.rules.chunk])

    def advance(self, seconds: float) -> None:
        """Let time pass, a second at a time at most."""
        self.uncork()
        while seconds > 0:
            step = min(seconds, 1.0)
            seconds -= step
            self.reference.tick(self.reference.now + step)
            self.world.advance(step)
            self.settle()

    def fresh_id(self, connection: Connection) -> int:
        return next(number for number in range(1, 100) if number not in connection.session.received)

    def payload(self, kind: str) -> bytes:
        self.published += 1
        return {"empty": b"", "small": b"%d" % self.published, "large": b"%d" % self.published + LARGE}[kind]


def acknowledge(stage: Stage, connection: Connection, due: list[Owed], reason_code: int) -> None:
    """The client sends what is due: PUBACK, PUBREC or PUBCOMP."""
    packets: list[p.Packet] = []
    for owed in due:
        code = 0 if owed.released else reason_code
        kind = p.Puback if owed.qos == 1 else p.Pubcomp if owed.released else p.Pubrec
        packets.append(kind(owed.packet_id, code))
        stage.reference.acknowledge(connection, owed, code)
    if packets:
        stage.send(connection, *packets)


def relieve(connection: Connection) -> None:
    """The client reads again."""
    connection.stalled = False
    connection.peer.relieve()


def choose(among: list[T], number: int) -> T | None:
    return among[number % len(among)] if among else None
