"""The window of a session, where nothing is to be asked about the messages: many of them at a time."""
from emqtwist.core.backlog import Backlog
from emqtwist.core.circle import Circle
from emqtwist.core.inflight import Inflight
from emqtwist.core.ledger import Ledger
from emqtwist.core.link import Link
from emqtwist.core.message import QOS_1_BITS, QOS_BITS
from emqtwist.mqtt.constants import MAX_PACKET


def send_run(link: Link, backlog: Backlog, inflight: Inflight, shape: int, circle: Circle) -> None:
    """Send the messages of QoS 1 at the head of the queue, as far as they are plain and the window has room.

    None if one may differ from the other for the sake of the session or the connection. `shape` is MQTT_5_BIT for a client
    of 5.0.
    """
    if link.congested or link.aliases is not None or link.max_packet < MAX_PACKET or inflight.watched:
        return
    if backlog.ledger is not None and backlog.ledger.repeated:
        return
    run = backlog.take_run(inflight.room(), inflight.held)
    if run:
        circle.metrics.flights += len(run)
        out, add = link.out, inflight.add
        if not out:
            link.turn.add(link)
        for delivery in run:
            message = delivery[0]
            if message.shape != delivery[1] | shape:
                message.encode(delivery[1] | shape, (), circle.turn.now)
            out += (message.head, add(delivery).to_bytes(2, "big"), message.tail)


def end_flows(inflight: Inflight, ledger: Ledger | None, packet_ids: list[int]) -> int:
    """Forget what these PUBACKs are for, as far as no more is to be done; how many of them that was."""
    if inflight.resend or inflight.watched:
        return 0
    held = inflight.held
    rows: list[int] = []
    for packet_id in packet_ids:
        delivery = held.get(packet_id)
        if delivery is None or delivery[1] & QOS_BITS != QOS_1_BITS:
            break
        del held[packet_id]  # [MQTT-4.3.2-3]
        rows.append(delivery[3])
    if ledger is not None and rows:
        ledger.done_together(rows)
    return len(rows)
