"""One connection of a lying client: what it sends, in which pieces, and how to do it again."""
from random import Random

from emqtwist.mqtt.constants import MAX_PACKET
from emqtwist.mqtt.decoder import Decoder
from emqtwist.mqtt.encoder import encode
from tests.harness.fuzz.logins import Login
from tests.harness.fuzz.mutation import mutate, split
from tests.harness.fuzz.packets import Packets

FAREWELLS = ("leave", "leave", "close", "reset")  # stay connected for a while, close, or close with an error


class LyingSession:
    """Session `number` of a seed; it depends on nothing else. One with a `login` sends its chunks after that."""

    def __init__(self, seed: int, version: int, number: int) -> None:
        random = Random(f"{seed}/{version}/{number}")
        packets = Packets(random, version)
        self.login = Login(random, packets.connect()) if packets.method and random.random() < 0.6 else None
        encoded = [encode(packet, version) for packet in (packets.rest() if self.login else packets.session())]
        self.seed = seed
        self.version = version
        self.number = number
        self.chunks = split(random, mutate(random, encoded))
        self.farewell = random.choice(FAREWELLS)
        self.is_broken, self.is_silent = self._classify()

    @property
    def data(self) -> bytes:
        """All that is sent, the last message of a login aside, which depends on the broker."""
        return (self.login.opening if self.login else b"") + b"".join(self.chunks)

    def _classify(self) -> tuple[bool, bool]:
        """Whether its bytes are no packets, so that it has to be closed; whether they are not even one packet."""
        decoder = Decoder(MAX_PACKET)
        try:
            packets = decoder.feed(self.data)
        except Exception:  # a defect of the decoder: it comes to light in the broker
            return True, False
        return decoder.error is not None, decoder.error is None and not packets


class Found(AssertionError):
    """The broker did not bear `session`; `first` is that of the run, `more` what else repeats it."""

    def __init__(self, what: str, session: LyingSession, first: int, more: str = "") -> None:
        again = f"python -m tests.harness.fuzz{more} --seed {session.seed} --version {session.version}"
        super().__init__(f"{what}\nagain: {again} --first {first} --sessions {session.number - first + 1}\n"
                         f"alone: {again} --first {session.number} --sessions 1\n"
                         f"bytes: {session.data.hex()}")
