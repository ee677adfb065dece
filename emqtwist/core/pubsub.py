"""From one message to all who receive it."""
from emqtwist.core.circle import Circle
from emqtwist.core.message import NEVER, NO_IDENTIFIERS, PUBLISH_BYTE, RETAIN_BIT, Message
from emqtwist.core.router import Route
from emqtwist.core.subscriber import Subscriber, Subscription, granted
from emqtwist.mqtt.constants import MAX_PACKET_ID, OPTION_NO_LOCAL, OPTION_QOS, OPTION_RETAIN_AS_PUBLISHED


def fan_out(route: Route, message: Message, circle: Circle) -> None:
    """Deliver to everybody on the route; a receiver that fails costs itself, not the publisher."""
    retain = message.retain
    plain = not retain and message.expires_at == NEVER
    if plain and message.qos and (len(route) > 1 or route[0].subscriber.flight is not None):
        route = _send_at_once(route, message, circle)
    plain = plain and message.qos == 0
    first_byte = for_options = -1  # the first byte of the PUBLISH under these Subscription Options, the last that were met
    for subscription in route:
        subscriber = subscription.subscriber
        link = subscriber.direct
        if plain and link is not None and not subscription.special:
            if subscriber.shape | PUBLISH_BYTE != message.shape:
                message.encode(subscriber.shape | PUBLISH_BYTE, NO_IDENTIFIERS, 0.0)
            if len(message.head) <= link.max_packet:
                if not link.out:
                    link.turn.add(link)
                link.out.append(message.head)  # [MQTT-4.3.1-1] [MQTT-4.6.0-5] [MQTT-4.6.0-6]
                continue
        options = subscription.options
        if retain or options & OPTION_NO_LOCAL:
            _deliver(subscription, subscriber, message)
            continue
        if options != for_options:
            first_byte, for_options = granted(message, options), options
        try:
            subscriber.deliver(message, first_byte, subscription.identifiers)  # [MQTT-4.5.0-1]
        except Exception as error:
            subscriber.broken(error)


def _send_at_once(route: Route, message: Message, circle: Circle) -> Route:
    """Put a message of QoS 1 or 2 on the links of those about whom nothing is to be asked; the others get it by `deliver`.

    At QoS 2 these are also all whom a store keeps.
    """
    qos = message.qos
    first_byte = PUBLISH_BYTE | qos << 1  # [MQTT-4.3.2-2] [MQTT-4.3.3-2]
    others: Route = []
    sent = 0
    delivery = message, first_byte, NO_IDENTIFIERS, 0  # the same for all but the Packet Identifier, where no store has it
    for subscription in route:
        subscriber = subscription.subscriber
        link, flight = subscriber.direct, subscriber.flight
        if link is None or flight is None or subscription.special or subscription.options & OPTION_QOS < qos:
            others.append(subscription)
            continue
        if subscriber.shape | first_byte != message.shape:
            message.encode(subscriber.shape | first_byte, NO_IDENTIFIERS, 0.0)
        if flight.window <= len(flight.held) or len(message.head) + 2 + len(message.tail) > link.max_packet:
            others.append(subscription)
            continue
        ledger = subscriber.ledger
        if ledger is None:
            packet_id = flight.add(delivery)
        elif qos == 2:
            others.append(subscription)
            continue
        else:
            packet_id = (ledger.next_seq - 1) % MAX_PACKET_ID + 1  # `flight.taken` and `flight.add`, for each message
            if packet_id in flight.held:
                others.append(subscription)
                continue
            flight.held[packet_id] = ledger.enter(ledger.front, message, first_byte, NO_IDENTIFIERS)
        if not link.out:
            link.turn.add(link)
        link.out += (message.head, packet_id.to_bytes(2, "big"), message.tail)  # [MQTT-4.5.0-1]
        sent += 1
    circle.metrics.flights += sent
    if qos == 2:
        circle.metrics.qos2_sent += sent
    return others


def _deliver(subscription: Subscription, subscriber: Subscriber, message: Message) -> None:
    options, identifiers = subscription.options, subscription.identifiers
    if options & OPTION_NO_LOCAL and message.publisher == subscriber.client_id:
        own = subscription.for_own()  # [MQTT-3.8.3-3]
        if own is None:
            return
        options, identifiers = own.options, own.identifiers
    first_byte = granted(message, options)
    if message.retain and options & OPTION_RETAIN_AS_PUBLISHED:  # [MQTT-3.3.1-12]
        first_byte |= RETAIN_BIT  # [MQTT-3.3.1-13]
    try:
        subscriber.deliver(message, first_byte, identifiers)
    except Exception as error:
        subscriber.broken(error)


def refused_by(route: Route, message: Message, circle: Circle) -> Subscriber | None:
    """A persistent session on the route that could not keep `message` if it were acknowledged."""
    if message.qos and (circle.crowded or circle.outgrows(message)):
        for subscription in route:
            if subscription.subscriber.client_id == message.publisher:
                own = subscription.for_own()
                if own is None:
                    continue
                subscription = own
            if granted(message, subscription.options) != PUBLISH_BYTE and subscription.subscriber.refuses(message):
                return subscription.subscriber
    return None


def feed(circle: Circle) -> None:
    """Hand every hungry subscriber its next few retained messages."""
    hungry, circle.hungry = circle.hungry, {}
    for subscriber in hungry:
        try:
            _feed_one(subscriber, circle)
        except Exception as error:
            subscriber.replays.clear()
            subscriber.broken(error)


def _feed_one(subscriber: Subscriber, circle: Circle) -> None:
    room = min(subscriber.room(), circle.settings.replay_batch)
    if not subscriber.replays or room <= 0:
        return
    topic_filter, (replay, subscription) = subscriber.replays.popitem()  # the newest: before the oldest are gaps
    subscriber.replays[topic_filter] = replay, subscription
    for message in replay.take(room, circle.turn.now):
        _replay_one(subscription, message, circle)
        if not subscriber.replays:
            return  # it has left meanwhile
    if replay.done:
        subscriber.replays.pop(topic_filter, None)
    if subscriber.replays and subscriber.room() > 0:
        circle.feed(subscriber)


def _replay_one(subscription: Subscription, message: Message, circle: Circle) -> None:
    if subscription.options & OPTION_NO_LOCAL and message.publisher == subscription.subscriber.client_id:
        return  # [MQTT-3.8.3-3]
    first_byte = granted(message, subscription.options) | RETAIN_BIT  # [MQTT3-3.3.1-8]
    try:
        subscription.subscriber.deliver(message, first_byte, subscription.identifiers)  # [MQTT-3.3.4-5]
    except Exception as error:
        subscription.subscriber.broken(error)
