"""Bytes in: every packet of a chunk to the function that serves it."""
from collections.abc import Callable
from typing import Any, Final, cast

from emqtwist.core import causes, publishing
from emqtwist.core.authenticating import authenticate_again, authenticate_first
from emqtwist.core.connecting import connect
from emqtwist.core.connection import OPENING, Connection
from emqtwist.core.message import NEVER
from emqtwist.core.publishing import publish
from emqtwist.core.runs import serve_run
from emqtwist.core.screening import NOTHING, granted, screen
from emqtwist.core.session import Session
from emqtwist.core.subscribing import subscribe, unsubscribe
from emqtwist.core.window import end_flows
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.errors import MQTTError, ProtocolError, QuotaExceeded
from emqtwist.mqtt.packets import (
    AliasedPublish,
    Auth,
    Connect,
    Disconnect,
    Packet,
    Puback,
    Pubacks,
    Publish,
    Run,
    each,
)

PROGRESS: Final = 1000  # bytes of one read that show life within a large packet, which lets no PINGREQ pass
PINGRESP: Final = b"\xd0\x00"


def receive(connection: Connection, data: bytes, kept: list[Packet] | None = None) -> None:
    """Serve all packets in `data`, in order; `turn.now` is set. After a broken packet the connection is closed.

    What an exception that is no MQTTError leaves behind is a defect of the broker: the caller logs it and closes this
    connection alone. `kept` is for `proceed`: packets that were parsed before, in place of `data`.
    """
    if connection.halted:
        _keep(connection, data, kept)
        return
    broker = connection.broker
    metrics = broker.metrics
    if kept is None:
        packets = connection.decoder.feed(data)
        metrics.bytes_received += len(data)
        if connection.tap is not None:
            connection.tap.received(connection, each(packets))
        if packets or (len(data) >= PROGRESS and connection.state != OPENING):
            connection.last_seen = connection.turn.now
    else:
        packets = kept
    journal = broker.journal
    # whether somebody is to be asked before a PUBLISH takes its course
    screens = broker.hooks.screens or broker.acl is not None or broker.circle.overloaded or connection.mount != b""
    free = granted(connection) if screens else NOTHING
    metrics.packets_received += len(packets)
    pubacks = runs = 0
    try:
        for packet in packets:
            if journal is not None:
                connection.since = journal.count
            if connection.halted:  # [MQTT-3.1.4-6] [MQTT-3.14.4-1]
                rest = packets[packets.index(packet):]
                metrics.packets_received -= len(rest)  # they count when they are served
                if pubacks and connection.session is not None:
                    connection.session.proceed()
                _keep(connection, b"", rest)
                return
            session = connection.session
            if session is None:
                _open(connection, packet)
                screens = screens or connection.mount != b""
            elif type(packet) is Publish or type(packet) is AliasedPublish:  # costs a third of isinstance, a fifth of a cast
                if screens and packet.topic_name not in free:
                    screen(connection, session, packet)
                else:
                    publish(connection, session, packet)
            elif type(packet) is Puback:
                pubacks += 1
                session.puback(packet.packet_id, packet.reason_code)
            elif type(packet) is Pubacks:
                runs += 1
                done = end_flows(session.inflight, session.ledger, packet.packet_ids)
                pubacks += done
                for packet_id in packet.packet_ids[done:]:
                    if connection.halted:
                        break  # a function at a hook has ended it
                    pubacks += 1
                    session.puback(packet_id, 0)
            elif isinstance(packet, Run):
                serve_run(connection, session, packet)
            else:
                _serve(connection, session, packet)
        if pubacks and connection.session is not None:
            connection.session.proceed()  # once for all: what is sent next is the same
        if connection.decoder.error is not None and not connection.halted:
            _broken(connection, connection.decoder.error)
    except MQTTError as error:
        _leave_out(connection, packets, packet)
        connection.fail(error)  # [MQTT-4.13.1-1]
    except Exception:
        _leave_out(connection, packets, packet)
        raise
    finally:
        if pubacks or runs:
            metrics.packets_received += pubacks - runs if runs else 0
            metrics.pubacks_received += pubacks


def _leave_out(connection: Connection, packets: list[Packet], last: Packet) -> None:
    """What comes after the packet that ended the connection is not served, and does not count; it has no answer itself."""
    metrics = connection.broker.metrics
    metrics.packets_received -= len(packets) - 1 - packets.index(last)
    if last.type == c.PUBLISH and cast(Publish, last).qos == 1:
        metrics.qos1_unanswered += 1


def proceed(connection: Connection) -> None:
    """What the connection waited for is decided: do what follows from it, then serve what has been kept."""
    pending = connection.pending
    if pending is None:
        return  # the connection has ended
    connection.pending = None
    connection.halted = False
    connection.last_seen = connection.turn.now  # what came meanwhile was not read
    try:
        pending.proceed()
    except MQTTError as error:
        connection.fail(error)
    receive(connection, b"", pending.packets)
    for chunk in pending.chunks:
        receive(connection, chunk)


def _keep(connection: Connection, data: bytes, packets: list[Packet] | None) -> None:
    """Keep what is left of a chunk, or a later chunk, for `proceed`: a packet's worth at most of the latter.

    A closed connection keeps nothing: what follows a DISCONNECT or an error is not processed [MQTT-3.14.4-1].
    """
    pending = connection.pending
    if pending is None:
        return
    if packets is not None:
        pending.packets = packets
        return
    pending.chunks.append(data)
    pending.size += len(data)
    if pending.size > connection.broker.settings.max_packet_size:
        connection.fail(QuotaExceeded("too much was sent while the server was not reading"))


def _open(connection: Connection, packet: Packet) -> None:
    if packet.type != c.PUBLISH:
        connection.broker.metrics.received[packet.type] += 1
    if connection.exchange is None:
        connect(connection, cast(Connect, packet))  # the decoder lets nothing else come first
    else:
        authenticate_first(connection, connection.exchange, packet)


def _broken(connection: Connection, error: MQTTError) -> None:
    if connection.state == OPENING:
        connection.version = connection.decoder.version
        if error.reason_code == c.UNSUPPORTED_PROTOCOL_VERSION:
            connection.refuse(error)  # [MQTT-3.1.2-2]
            return
    elif error.reason_code == c.UNSUPPORTED_PROTOCOL_VERSION:
        error = ProtocolError(error.reason)  # a second CONNECT [MQTT-3.1.0-2]
    connection.fail(error)  # [MQTT-3.1.4-1] [MQTT-4.13.1-1] [MQTT3-3.1.4-1]


def _serve(connection: Connection, session: Session, packet: Packet) -> None:
    serve = SERVERS.get(packet.type)
    if serve is None:
        raise ProtocolError(f"{c.PACKET_NAMES[packet.type]} from a client")
    connection.broker.metrics.received[packet.type] += 1
    serve(connection, session, packet)


def _connect_again(connection: Connection, session: Session, packet: Packet) -> None:
    raise ProtocolError("a second CONNECT on one connection")  # [MQTT-3.1.0-2]


def _pingreq(connection: Connection, session: Session, packet: Packet) -> None:
    connection.broker.metrics.sent[c.PINGRESP] += 1
    connection.send(PINGRESP)  # [MQTT-3.12.4-1]


def _disconnect(connection: Connection, session: Session, disconnect: Disconnect) -> None:
    if disconnect.properties is not None and disconnect.properties.session_expiry_interval is not None:
        _change_expiry(connection, session, disconnect.properties.session_expiry_interval)
    if disconnect.reason_code == c.SUCCESS:
        connection.will = None  # [MQTT-3.14.4-3] [MQTT-3.1.2-10]
        connection.end(causes.NORMAL, "the client disconnected")
    else:
        name = c.REASON_NAMES[disconnect.reason_code]
        connection.end(causes.DISCONNECT_WITH_WILL, f"the client disconnected: {name}")


def _auth(connection: Connection, session: Session, packet: Auth) -> None:
    authenticate_again(connection, packet)


def _change_expiry(connection: Connection, session: Session, interval: int) -> None:
    if interval and not session.expiry_interval:
        raise ProtocolError("DISCONNECT sets a Session Expiry Interval that CONNECT left at 0")
    wanted = NEVER if interval == c.SESSION_NEVER_EXPIRES else float(interval)
    session.expiry_interval = min(wanted, connection.broker.settings.max_session_expiry)


# Each takes the class of its own packet type.
SERVERS: Final[dict[int, Callable[[Connection, Session, Any], None]]] = {
    c.CONNECT: _connect_again, c.SUBSCRIBE: subscribe, c.UNSUBSCRIBE: unsubscribe, c.PUBREC: publishing.pubrec,
    c.PUBREL: publishing.pubrel, c.PUBCOMP: publishing.pubcomp, c.PINGREQ: _pingreq, c.DISCONNECT: _disconnect, c.AUTH: _auth,
}
