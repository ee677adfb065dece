"""Bytes to control packets: the framing, and the packets of the hot path, parsed in place.

`feed` takes what a read gave and walks over it once. It checks the limit as soon as a length is known, before anything
is kept; keeps only the bytes of an incomplete packet; and stops for good at the first broken packet.

The Topic Name of PUBLISH and the Topic Filters of SUBSCRIBE and UNSUBSCRIBE come out as they are on the wire, neither
checked to be UTF-8 nor to be a topic: whoever looks them up in a table keyed by these bytes has them checked by
`topics` when they are not yet there. All other strings are checked here.
"""
from typing import Final

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.bodies import PROTOCOLS, decode_body, decode_connect
from emqtwist.mqtt.errors import MalformedPacket, MQTTError, PacketTooLarge, ProtocolError
from emqtwist.mqtt.packets import (
    Acknowledgement,
    AliasedPublish,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubacks,
    Pubcomp,
    Pubcomps,
    Publish,
    Pubrec,
    Pubrecs,
    Pubrel,
    Pubrels,
    Run,
)
from emqtwist.mqtt.properties import Properties, decode_properties
from emqtwist.mqtt.wire import decode_binary, decode_byte, decode_variable

# First byte -> class, for acknowledgements that are nothing but a Packet Identifier.
SHORT_ACKNOWLEDGEMENTS: Final[dict[int, type[Acknowledgement]]] = {
    0x40: Puback, 0x50: Pubrec, 0x62: Pubrel, 0x70: Pubcomp,
}
# Packets that are nothing but their fixed header.
EMPTY: Final[dict[bytes, type[Pingreq] | type[Pingresp] | type[Disconnect]]] = {
    b"\xc0\0": Pingreq, b"\xd0\0": Pingresp, b"\xe0\0": Disconnect,
}
RUNS: Final[dict[int, type[Run]]] = {0x40: Pubacks, 0x50: Pubrecs, 0x62: Pubrels, 0x70: Pubcomps}
# The lower four bits of the first byte, by packet type: table 2-2.
FLAGS: Final = (0, 0, 0, 0, 0, 0, 2, 0, 2, 0, 2, 0, 0, 0, 0, 0)
NAME: Final = b"\0\4MQTT"
RUN_BYTES: Final = 1024  # that are looked at together: what follows a short run is not looked at again and again
SMALL_CHUNK: Final = 4096


class Decoder:
    """The packets of one connection in one direction.

    `version` is 0 until a CONNECT tells it, unless it is passed in. `max_packet_size` limits whole packets, fixed
    header included; until the version is known `max_connect_size` does, unless that is 0. `error` is what was wrong
    with the first broken packet, `buffered` the number of bytes kept of an incomplete one. With `runs`, acknowledgements of one
    kind that follow each other, and say no more than their Packet Identifiers, come as one Run.
    """

    __slots__ = ("max_packet_size", "max_connect_size", "version", "error", "buffered", "runs", "_chunks", "_needed", "_stream")

    def __init__(self, max_packet_size: int, version: int = 0, max_connect_size: int = 0) -> None:
        self.max_packet_size = max_packet_size
        self.max_connect_size = max_connect_size
        self.version = version
        self.error: MQTTError | None = None
        self.buffered = 0
        self.runs = False
        self._chunks: list[bytes] = []  # the bytes kept, joined when `_needed` of them are there
        self._needed = 0
        self._stream = 0  # bytes of the stream before the ones kept

    def feed(self, data: bytes) -> list[Packet]:
        """The packets that `data` completes; those before a broken one, which sets `error`."""
        if self.error is not None:
            return []
        if len(data) == 2 and data in EMPTY and self.version and not self._chunks and self.max_packet_size >= 2:
            self._stream += 2  # all that most clients say at a time
            return [EMPTY[data]()]
        if self._chunks:
            self._keep(data)
            if self.buffered < self._needed:
                return []
            data = b"".join(self._chunks)
            self._chunks = []
            self.buffered = 0
        packets: list[Packet] = []
        properties: Properties | None
        version = self.version
        publish = c.PUBLISH if version else -1  # nothing is parsed in place before the version is known
        limit = self.max_packet_size if version or not self.max_connect_size else self.max_connect_size
        short = 0x7F if limit > 0x80 else limit - 2  # the greatest Remaining Length of one byte within the limit
        end = len(data)
        last = end - 1
        start = 0  # of the packet
        needed = 2
        try:
            while start < last:
                first = data[start]
                length = data[start + 1]
                pos = start + 2
                if length > short:
                    if length > 0x7F and pos < end and 0 < data[pos] < 0x80:  # two bytes, as for most larger messages
                        length += (data[pos] << 7) - 0x80
                        pos += 1
                    else:
                        length, pos = decode_variable(data, start + 1, end, "Remaining Length")
                        if length < 0:
                            needed = end - start + 1
                            break
                    if pos + length - start > limit:
                        raise PacketTooLarge(f"{pos + length - start} bytes, {limit} allowed", position=start)
                stop = pos + length
                if stop > end:
                    needed = stop - start
                    break
                if first >> 4 == publish:
                    if length < 2:
                        raise MalformedPacket("no room for a Topic Name", position=stop)
                    topic_end = pos + 2 + (data[pos] << 8 | data[pos + 1])
                    if topic_end > stop:
                        raise MalformedPacket("the Topic Name passes the end of the packet", position=pos)
                    topic_name = data[pos + 2:topic_end]
                    pos = topic_end
                    packet_id = 0
                    properties = None
                    topic_alias = 0
                    if first & 0x0E:
                        if first & 0x06 == 0x06:
                            raise MalformedPacket("QoS 3 [MQTT-3.3.1-4]", position=start)
                        if not first & 0x06:
                            raise MalformedPacket("DUP at QoS 0 [MQTT-3.3.1-2]", position=start)
                        pos += 2
                        if pos > stop:
                            raise MalformedPacket("no room for a Packet Identifier", position=topic_end)
                        packet_id = data[topic_end] << 8 | data[topic_end + 1]
                        if not packet_id:
                            raise ProtocolError("Packet Identifier 0 [MQTT-2.2.1-3]", position=topic_end)
                    if version == 5:
                        if pos >= stop:
                            raise MalformedPacket("no Property Length [MQTT-2.2.2-1]", position=pos)
                        if data[pos] == 3 and pos + 4 <= stop and data[pos + 1] == 0x23:  # nothing but a Topic Alias
                            topic_alias = data[pos + 2] << 8 | data[pos + 3]
                        if topic_alias:
                            pos += 4
                        elif data[pos]:
                            properties, pos = decode_properties(data, pos, stop, c.PUBLISH)
                            if properties is not None and properties.topic_alias is not None:
                                topic_alias = properties.topic_alias
                        else:
                            pos += 1
                    if topic_alias:
                        packets.append(AliasedPublish(topic_name, data[pos:stop], first >> 1 & 3, first & 1 != 0,
                                                      first & 8 != 0, packet_id, properties, topic_alias))
                    elif first == 0x30 and properties is None:
                        packets.append(Publish(topic_name, data[pos:stop], 0, False, False, 0, None, data[start:stop]))
                    elif (first == 0x32 or first == 0x34) and properties is None:
                        packets.append(Publish(topic_name, data[pos:stop], first >> 1 & 3, False, False, packet_id, None,
                                               data[start:topic_end]))
                    else:
                        packets.append(Publish(topic_name, data[pos:stop], first >> 1 & 3, first & 1 != 0,
                                               first & 8 != 0, packet_id, properties))
                elif length == 2 and first in SHORT_ACKNOWLEDGEMENTS and version:
                    packet_id = data[pos] << 8 | data[pos + 1]
                    if not packet_id:
                        raise ProtocolError("Packet Identifier 0 [MQTT-2.2.1-3]", position=pos)
                    if stop + 4 <= end and data[stop] == first and self.runs:
                        run = [packet_id]
                        stop = take_run(data, stop, end, first, run)
                        packets.append(RUNS[first](run))
                    else:
                        packets.append(SHORT_ACKNOWLEDGEMENTS[first](packet_id))
                else:
                    packets.append(self._decode_other(first, data, pos, stop))
                    if not version:  # now it is known, and with it the rules for the rest
                        self._stream += stop
                        return packets + self.feed(data[stop:]) if stop < end else packets
                start = stop
            if start < end:
                self._check_tail(end - start, limit)
        except MQTTError as error:
            self._stop(error, data[start] >> 4, start)
            return packets
        self._stream += start
        if start < end:
            self._chunks = [data[start:]]
            self.buffered = end - start
            self._needed = needed
        return packets

    def _keep(self, data: bytes) -> None:
        """Add to the bytes kept. Large pieces wait as they are; small ones are joined, as each costs 40 bytes more."""
        chunks = self._chunks
        chunks.append(data)
        self.buffered += len(data)
        while len(chunks) > 1 and len(chunks[-1]) < SMALL_CHUNK and len(chunks[-2]) <= len(chunks[-1]):
            last = chunks.pop()
            chunks[-1] += last

    def _check_tail(self, kept: int, limit: int) -> None:
        """More bytes are to come, even where the length is not known yet, so what is kept stays below the limit."""
        if kept >= limit:
            raise PacketTooLarge(f"more than {kept} bytes, {limit} allowed")

    def _decode_other(self, first: int, data: bytes, pos: int, end: int) -> Packet:
        """Any packet but those that `feed` parses in place; `data[pos:end]` is what follows the fixed header."""
        packet_type = first >> 4
        version = self.version
        if packet_type == c.CONNECT:
            if first & 0x0F:
                raise MalformedPacket("reserved flags are set [MQTT-2.1.3-1]")
            return self._decode_connect(data, pos, end)
        if not version:
            raise ProtocolError("the first packet of a Client is CONNECT [MQTT-3.1.0-1]")
        # MQTT 3.1 sets DUP and QoS in these packets, and does not forbid it in the others.
        if first & 0x0F != FLAGS[packet_type] and version != c.MQTT_3_1:
            # [MQTT-3.6.1-1] [MQTT-3.8.1-1] [MQTT-3.10.1-1] [MQTT-3.14.1-1] [MQTT-3.15.1-1]
            raise MalformedPacket(f"the flags are {first & 0x0F}, not {FLAGS[packet_type]} [MQTT-2.1.3-1]")
        return decode_body(packet_type, data, pos, end, version)

    def _decode_connect(self, data: bytes, pos: int, end: int) -> Packet:
        """The CONNECT, whose level decides how all that comes after it is read."""
        start = pos
        if data[pos:pos + 6] == NAME and pos + 6 < end:  # as nearly all have
            name, level, pos = b"MQTT", data[pos + 6], pos + 7
        else:
            name, pos = decode_binary(data, pos, end, "Protocol Name")
            level, pos = decode_byte(data, pos, end, "Protocol Level")
        version = PROTOCOLS.get((name, level), 0)
        if not self.version:  # an unknown version is refused in the form nearest to it
            self.version = version or (c.MQTT_5_0 if level > c.MQTT_5_0 else c.MQTT_3_1_1)
        if not version:
            raise MQTTError(f"protocol {name[:16]!r} level {level} [MQTT-3.1.2-1] [MQTT-3.1.2-2]",
                            c.UNSUPPORTED_PROTOCOL_VERSION, position=start)
        return decode_connect(data, pos, end, version, level & c.BRIDGE_BIT != 0)

    def _stop(self, error: MQTTError, packet_type: int, start: int) -> None:
        """Remember `error`, in words that say where; free of the frames, and so the bytes, that it came through."""
        position = max(error.position, start)
        error.reason = (f"{c.PACKET_NAMES[packet_type]}: {error.reason} (byte {position - start} of the packet, "
                        f"{self._stream + position} of the stream)")
        error.__traceback__ = error.__context__ = None
        self.error = error


def take_run(data: bytes, pos: int, end: int, first: int, packet_ids: list[int]) -> int:
    """Add the Packet Identifiers of the plain acknowledgements from `pos` on that begin with `first`; where they end."""
    while pos + 4 <= end:
        stop = min(end, pos + RUN_BYTES)
        firsts, lengths = data[pos:stop - 3:4], data[pos + 1:stop - 2:4]
        count = len(firsts) - max(len(firsts.lstrip(bytes((first,)))), len(lengths.lstrip(b"\2")))
        highs, lows = data[pos + 2:pos + 4 * count:4], data[pos + 3:pos + 4 * count:4]
        found = [high << 8 | low for high, low in zip(highs, lows, strict=True)]
        if 0 in found:
            found = found[:found.index(0)]
        packet_ids += found
        pos += 4 * len(found)
        if len(found) < len(firsts):
            break
    return pos
