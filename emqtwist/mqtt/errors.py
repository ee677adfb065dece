"""What can go wrong between a client and the broker, each with its reason code.

Raise where the rule is broken; one method, `Connection.fail`, turns the error into CONNACK or DISCONNECT as the
protocol version allows, and closes.
"""
from typing import ClassVar

from emqtwist.mqtt import constants as c


class MQTTError(Exception):
    """A reason to end a connection: `reason_code` of table 2.4 and words for the log and the Reason String.

    `position` is where in the bytes being decoded the rule was broken, -1 where that has no meaning; the decoder turns
    it into words. Without a `reason_code` of its own an error has its class's `usual_code`.
    """

    usual_code: ClassVar[int] = c.UNSPECIFIED_ERROR

    def __init__(self, reason: str, reason_code: int = 0, position: int = -1) -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position
        self.reason_code = reason_code or self.usual_code

    def __str__(self) -> str:
        return self.reason


class MalformedPacket(MQTTError):
    """The bytes cannot be parsed as the standard says [MQTT-4.13.1-1]."""

    usual_code: ClassVar[int] = c.MALFORMED_PACKET


class ProtocolError(MQTTError):
    """Well-formed, but not allowed here, now, or at all."""

    usual_code: ClassVar[int] = c.PROTOCOL_ERROR


class NotAuthorized(MQTTError):
    usual_code: ClassVar[int] = c.NOT_AUTHORIZED


class ServerBusy(MQTTError):
    usual_code: ClassVar[int] = c.SERVER_BUSY


class ServerShuttingDown(MQTTError):
    usual_code: ClassVar[int] = c.SERVER_SHUTTING_DOWN


class Banned(MQTTError):
    usual_code: ClassVar[int] = c.BANNED


class KeepAliveTimeout(MQTTError):
    usual_code: ClassVar[int] = c.KEEP_ALIVE_TIMEOUT


class SessionTakenOver(MQTTError):
    usual_code: ClassVar[int] = c.SESSION_TAKEN_OVER


class TopicFilterInvalid(MQTTError):
    usual_code: ClassVar[int] = c.TOPIC_FILTER_INVALID


class TopicNameInvalid(MQTTError):
    usual_code: ClassVar[int] = c.TOPIC_NAME_INVALID


class ReceiveMaximumExceeded(MQTTError):
    usual_code: ClassVar[int] = c.RECEIVE_MAXIMUM_EXCEEDED


class TopicAliasInvalid(MQTTError):
    usual_code: ClassVar[int] = c.TOPIC_ALIAS_INVALID


class PacketTooLarge(MQTTError):
    usual_code: ClassVar[int] = c.PACKET_TOO_LARGE


class QuotaExceeded(MQTTError):
    usual_code: ClassVar[int] = c.QUOTA_EXCEEDED


class PayloadFormatInvalid(MQTTError):
    usual_code: ClassVar[int] = c.PAYLOAD_FORMAT_INVALID
