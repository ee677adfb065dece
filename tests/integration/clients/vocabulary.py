"""What a test and a client say to each other, whatever library the client is made of."""
import json
from base64 import b64decode, b64encode
from dataclasses import dataclass, fields
from typing import Protocol

BINARY = ("payload", "correlation_data")


@dataclass(frozen=True, kw_only=True)
class Message:
    """An Application Message; the properties from `content_type` on are those of MQTT 5.0."""

    topic: str
    payload: bytes = b""
    qos: int = 0
    retain: bool = False
    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    message_expiry_interval: int | None = None
    user_properties: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> str:
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in BINARY:
            said[name] = None if said[name] is None else b64encode(said[name]).decode()
        return json.dumps(said)

    @classmethod
    def from_json(cls, text: str) -> "Message":
        said = json.loads(text)
        for name in BINARY:
            said[name] = None if said[name] is None else b64decode(said[name])
        said["user_properties"] = tuple((name, value) for name, value in said["user_properties"])
        return cls(**said)


@dataclass(frozen=True, kw_only=True)
class Opening:
    """How a client connects, over WebSocket or TCP. `version` is 3.1, 3.1.1 or 5.0; `expiry` in seconds holds for 5.0 clients
    that are not clean."""

    port: int
    version: str
    client_id: str
    clean: bool = True
    expiry: int = 3600
    will: Message | None = None
    websocket: bool = False

    def to_json(self) -> str:
        will = None if self.will is None else self.will.to_json()
        return json.dumps({**{field.name: getattr(self, field.name) for field in fields(self)}, "will": will})

    @classmethod
    def from_json(cls, text: str) -> "Opening":
        said = json.loads(text)
        will = None if said["will"] is None else Message.from_json(said["will"])
        return cls(**{**said, "will": will})


class Client(Protocol):
    """One client, as a test uses it. Each call returns when the broker has answered."""

    def open(self, opening: Opening) -> bool | None:
        """Connect; whether a session was present, None where the client does not tell."""

    def subscribe(self, topic_filter: str, qos: int) -> None:
        """Once in a connection."""

    def publish(self, message: Message) -> None:
        """Until it is acknowledged."""

    def receive(self) -> Message:
        """The next message."""

    def close(self) -> None:
        """DISCONNECT."""

    def kill(self) -> None:
        """End without DISCONNECT, as a crash does."""

    def rest(self) -> bool:
        """Leave the broker in peace; whether it may be opened again, by another test. Its process is gone otherwise."""
