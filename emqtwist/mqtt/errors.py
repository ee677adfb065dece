"""What can go wrong between a client and the broker, each with its reason code.

Raise where the rule is broken; one method, `Connection.fail`, turns the error into CONNACK or DISCONNECT as the
protocol version allows, and closes.
"""
from emqtwist.mqtt import constants as c


class MQTTError(Exception):
    """A reason to end a connection: `reason_code` of table 2.4 and words for the log and the Reason String.

    `position` is where in the bytes being decoded the rule was broken, -1 where that has no meaning; the decoder turns
    it into words.
    """

    reason_code: int = c.UNSPECIFIED_ERROR

    def __init__(self, reason: str, reason_code: int = 0, position: int = -1) -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position
        if reason_code:
            self.reason_code = reason_code

    def __str__(self) -> str:
        return self.reason


class MalformedPacket(MQTTError):
    """The bytes cannot be parsed as the standard says [MQTT-4.13.1-1]."""

    reason_code = c.MALFORMED_PACKET


class ProtocolError(MQTTError):
    """Well-formed, but not allowed here, now, or at all."""

    reason_code = c.PROTOCOL_ERROR


class NotAuthorized(MQTTError):
    reason_code = c.NOT_AUTHORIZED


class ServerBusy(MQTTError):
    reason_code = c.SERVER_BUSY


class ServerShuttingDown(MQTTError):
    reason_code = c.SERVER_SHUTTING_DOWN


class KeepAliveTimeout(MQTTError):
    reason_code = c.KEEP_ALIVE_TIMEOUT


class SessionTakenOver(MQTTError):
    reason_code = c.SESSION_TAKEN_OVER


class TopicFilterInvalid(MQTTError):
    reason_code = c.TOPIC_FILTER_INVALID


class TopicNameInvalid(MQTTError):
    reason_code = c.TOPIC_NAME_INVALID


class ReceiveMaximumExceeded(MQTTError):
    reason_code = c.RECEIVE_MAXIMUM_EXCEEDED


class TopicAliasInvalid(MQTTError):
    reason_code = c.TOPIC_ALIAS_INVALID


class PacketTooLarge(MQTTError):
    reason_code = c.PACKET_TOO_LARGE


class QuotaExceeded(MQTTError):
    reason_code = c.QUOTA_EXCEEDED


class PayloadFormatInvalid(MQTTError):
    reason_code = c.PAYLOAD_FORMAT_INVALID
