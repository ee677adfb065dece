"""The clients that the tests use: what they are called, which versions they speak, how they start."""
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from shutil import which

from tests.integration.clients.mosquitto import MosquittoClient
from tests.integration.clients.programs import ProgramClient
from tests.integration.clients.vocabulary import Client
from tests.integration.program import CHECKOUT

MQTTJS = CHECKOUT / "tests" / "integration" / "mqttjs"
ALL = ("3.1", "3.1.1", "5.0")
INTERLEAVED = (("z", "1"), ("a", "ä"), ("z", "2"), ("", ""))


@dataclass(frozen=True)
class Kind:
    """One sort of client. `missing` says what it lacks here; the rest is what it can express of MQTT 5.0."""

    name: str
    versions: tuple[str, ...]
    make: Callable[[], Client]
    missing: Callable[[], str]
    correlation_data: bytes = bytes(range(256))
    user_properties: tuple[tuple[str, str], ...] = INTERLEAVED
    websocket: bool = False


def _python(package: str, versions: tuple[str, ...] = ALL) -> Kind:
    def make() -> Client:
        return ProgramClient(sys.executable, "-m", f"tests.integration.clients.{package}")

    def missing() -> str:
        return "" if find_spec(package) else f"the Python package {package} is not installed"

    return Kind(package, versions, make, missing)


def _no_command(*names: str) -> str:
    return ", ".join(f"the command {name} is not installed" for name in names if not which(name))


def _no_mosquitto() -> str:
    return _no_command("mosquitto_pub", "mosquitto_sub", "stdbuf")


def _no_mqttjs() -> str:
    installed = (MQTTJS / "node_modules" / "mqtt").exists()
    return _no_command("node") or ("" if installed else "the npm package mqtt is not installed")


def _mqttjs() -> Client:
    return ProgramClient("node", MQTTJS / "client.js")


KINDS = (
    # Arguments of commands are text, and mosquitto_sub separates user properties by blanks.
    Kind("mosquitto", ALL, MosquittoClient, _no_mosquitto, "text, ä".encode(), INTERLEAVED[:3]),
    _python("paho"),
    _python("aiomqtt"),
    _python("gmqtt", ("3.1.1", "5.0")),
    # Its user properties are an object: each name once, in one order.
    Kind("mqttjs", ALL, _mqttjs, _no_mqttjs, user_properties=(("z", "1"), ("z", "2"), ("a", "ä"))),
)
BY_NAME = {kind.name: kind for kind in KINDS}
OVER_WEBSOCKET = tuple(
    replace(BY_NAME[name], name=f"{name}-websocket", versions=versions, websocket=True)
    for name, versions in (("paho", ("3.1.1", "5.0")), ("aiomqtt", ("5.0",)), ("mqttjs", ALL)))
