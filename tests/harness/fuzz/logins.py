"""Logins by SCRAM-SHA-256, the one thing for which a lying client has to listen: how it gets in, or half of the way."""
from random import Random

from scramp import ScramClient, ScramException

from emqtwist.access.scram import Scram
from emqtwist.access.verifiers import LEAST_ITERATIONS, METHOD, line_of, make
from emqtwist.core.access import Method
from emqtwist.mqtt.constants import CONTINUE_AUTHENTICATION, MQTT_5_0
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import Auth, Connect, Packet
from emqtwist.mqtt.properties import Properties

USER = "f"
PASSWORD = "secret"
VERIFIER = make(PASSWORD, b"salt of the liar", LEAST_ITERATIONS)
USERS_FILE = line_of(USER, VERIFIER) + "\n"
FIRST = f"n,,n={USER},r=nonce".encode()  # also for who says it without listening
ENDS = ("honest",) * 8 + ("mutated", "silent")


def methods() -> dict[str, Method]:
    """For a broker without a process."""
    return {METHOD: Scram({USER: VERIFIER}, LEAST_ITERATIONS, lambda: "broker")}


def with_method(properties: Properties | None, method: str, data: bytes | None) -> Properties:
    """Properties, these or new ones, that have an Authentication Method too."""
    properties = properties or Properties()
    properties.authentication_method = method
    properties.authentication_data = data
    return properties


class Login:
    """`opening` is CONNECT with the first message, `end` one of ENDS. Most logins end well, if the broker does what it should."""

    def __init__(self, random: Random, connect: Connect) -> None:
        connect.properties = with_method(connect.properties, METHOD, FIRST)
        self.opening = encode(connect, MQTT_5_0)
        self.end = random.choice(ENDS)
        self._at = random.randrange(200)

    def final(self, answer: Packet | None) -> bytes:
        """What follows the answer to the opening: AUTH with the last message, or nothing."""
        if not isinstance(answer, Auth) or self.end == "silent":
            return b""
        assert answer.properties is not None
        assert answer.properties.authentication_data is not None
        message = bytearray(_proof(answer.properties.authentication_data.decode()))
        if self.end == "mutated":
            message[self._at % len(message)] ^= 1 << self._at % 8
        return encode(Auth(CONTINUE_AUTHENTICATION, with_method(None, METHOD, bytes(message))), MQTT_5_0)


def _proof(server_first: str) -> bytes:
    client = ScramClient([METHOD], USER, PASSWORD, c_nonce="nonce")
    assert client.get_client_first().encode() == FIRST
    try:
        client.set_server_first(server_first)
    except ScramException as error:
        raise AssertionError(f"the broker's first message is none: {error}") from error
    return str(client.get_client_final()).encode()
