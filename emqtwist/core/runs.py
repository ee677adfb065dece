"""PUBREC, PUBREL and PUBCOMP that come in a row: together as far as nothing is to be asked about them, then one by one."""
from collections.abc import Callable
from typing import Final

from emqtwist.core import publishing
from emqtwist.core.connection import SHORT, Connection
from emqtwist.core.message import QOS_2_BITS, QOS_BITS
from emqtwist.core.session import Session
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import ACKNOWLEDGEMENTS, Acknowledgement, Run


def serve_run(connection: Connection, session: Session, run: Run) -> None:
    """They count one by one, as far as they are served."""
    broker, packet_type = connection.broker, run.type
    metrics, journal = broker.metrics, broker.journal
    done = 0
    if session.ledger is None and not session.inflight.watched and not session.inflight.resend and not connection.held:
        done = TOGETHER[packet_type](connection, session, run.packet_ids)
    metrics.received[packet_type] += done
    metrics.packets_received += done - 1
    for packet_id in run.packet_ids[done:]:
        if connection.halted:
            break  # a function at a hook has ended it
        metrics.received[packet_type] += 1
        metrics.packets_received += 1
        if journal is not None:
            connection.since = journal.count
        ONE_BY_ONE[packet_type](connection, session, ACKNOWLEDGEMENTS[packet_type](packet_id))


def _answer(connection: Connection, packet_type: int, packet_ids: list[int]) -> None:
    """As `Connection.answer` for each, where nothing is held back."""
    if packet_ids:
        connection.broker.metrics.sent[packet_type] += len(packet_ids)
        if not connection.out:
            connection.turn.add(connection)
        begin = SHORT[packet_type]
        connection.out += [begin + packet_id.to_bytes(2, "big") for packet_id in packet_ids]  # [MQTT-2.2.1-5]


def _pubrecs(connection: Connection, session: Session, packet_ids: list[int]) -> int:
    """How many were answered."""
    held = session.inflight.held
    released: list[int] = []
    for packet_id in packet_ids:
        delivery = held.get(packet_id)
        if delivery is None or delivery[1] & QOS_BITS != QOS_2_BITS:
            break
        del held[packet_id]
        held[packet_id] = None  # as `Inflight.released` [MQTT-4.3.3-6] [MQTT-4.6.0-4]
        released.append(packet_id)
    _answer(connection, c.PUBREL, released)  # [MQTT-4.3.3-4]
    return len(released)


def _pubrels(connection: Connection, session: Session, packet_ids: list[int]) -> int:
    """How many were answered."""
    received = session.received
    completed: list[int] = []
    for packet_id in packet_ids:
        if packet_id not in received:
            break
        del received[packet_id]  # [MQTT-4.3.3-12]
        completed.append(packet_id)
    _answer(connection, c.PUBCOMP, completed)  # [MQTT-4.3.3-11] [MQTT-4.3.3-13]
    return len(completed)


def _pubcomps(connection: Connection, session: Session, packet_ids: list[int]) -> int:
    """How many ended their flow."""
    held = session.inflight.held
    done = 0
    for packet_id in packet_ids:
        if packet_id not in held or held[packet_id] is not None:
            break
        del held[packet_id]  # [MQTT-4.3.3-5]
        done += 1
    if done:
        session.proceed()  # once for all: what is sent next is the same
    return done


TOGETHER: Final[dict[int, Callable[[Connection, Session, list[int]], int]]] = {
    c.PUBREC: _pubrecs, c.PUBREL: _pubrels, c.PUBCOMP: _pubcomps,
}
ONE_BY_ONE: Final[dict[int, Callable[[Connection, Session, Acknowledgement], None]]] = {
    c.PUBREC: publishing.pubrec, c.PUBREL: publishing.pubrel, c.PUBCOMP: publishing.pubcomp,
}
