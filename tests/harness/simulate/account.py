"""What is asked of those who keep account of what clients do, so as to say in the end what does not hold."""
from typing import TYPE_CHECKING

from emqtwist.mqtt.packets import Publish
from tests.harness.simulate.world import World
from tests.properties.journal.clients import Arrival, Letter

if TYPE_CHECKING:
    from tests.harness.simulate.clients import SimClient
    from tests.harness.simulate.network import Network
    from tests.harness.simulate.node import Node
    from tests.harness.simulate.run import Simulation

FILL = b"." * 60  # behind the number of a message
LONG = 400_000  # seconds that outlast every step of a clock


class Mail(Letter):
    """A message with its number. `calm`: it is sent when nothing goes wrong any more. `first` and `last`: when it was sent."""

    def __init__(self, number: int, sender: str, topic: str, payload: bytes, qos: int, retain: bool, calm: bool) -> None:
        super().__init__(topic, payload, qos, retain)
        self.number = number
        self.sender = sender
        self.calm = calm
        self.is_accepted = False
        self.first = self.last = 0.0

    @property
    def name(self) -> str:
        return f"{self.number:06}"

    def lasts(self) -> bool:
        """Whether it is still of use when all is over."""
        return not 0 < self.expiry < LONG


class Account:
    """Of the clients that it knows; `topics` are what they publish to, `filters` what they subscribe to.

    `network` is there before anything happens.
    """

    topics: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    network: "Network"

    def __init__(self, world: World) -> None:
        self.world = world

    def people(self, play: "Simulation") -> None:
        """Have clients made."""

    def joins(self, client: "SimClient") -> None:
        """There is such a client."""

    # Who publishes.

    def mail(self, sender: str, topic: str, qos: int, calm: bool) -> Mail:
        """What it sends next."""
        raise NotImplementedError

    def sends(self, client: "SimClient", mail: Mail) -> None:
        """It is about to send this, perhaps once more."""

    def sent(self, client: "SimClient", mail: Mail) -> None:
        """Its node has it."""

    def accepts(self, mail: Mail) -> None:
        """It was acknowledged."""

    # Who subscribes.

    def asks(self, client: "SimClient", topic_filter: str) -> None:
        """It is about to send SUBSCRIBE."""

    def subscribed(self, client: "SimClient", topic_filter: str, code: int) -> None:
        """SUBACK has come."""

    def ends(self, client: "SimClient", topic_filter: str) -> None:
        """It is about to send UNSUBSCRIBE."""

    def unsubscribed(self, client: "SimClient", topic_filter: str) -> None:
        """UNSUBACK has come."""

    def arrives(self, client: "SimClient", arrival: Arrival) -> None:
        """It gets a message."""

    def retained(self, client: "SimClient", packet: Publish) -> None:
        """It gets a message that was there before it subscribed."""

    # Who comes and goes.

    def enters(self, client: "SimClient", node: "Node") -> None:
        """It asks for its session at this node."""

    def connected(self, client: "SimClient", present: bool) -> None:
        """CONNACK has come."""

    def leaves(self, client: "SimClient") -> None:
        """It is not connected any more."""

    def ends_session(self, client: "SimClient") -> None:
        """A clean session is over."""

    def crashed(self, node: "Node") -> None:
        """The process of a node is gone."""

    # What holds.

    def epilogue(self, play: "Simulation") -> None:
        """What is done in peace, besides what all do."""

    def look(self) -> None:
        """Now and then."""

    def busy(self) -> list[str]:
        """What is under way, and has to end when all is well; each begins with what the log is to be searched for."""
        return []

    def check(self) -> None:
        """When all has settled."""
