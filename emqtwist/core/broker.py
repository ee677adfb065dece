"""The Broker: wires the parts of the core; publish and subscribe from inside the process."""
from collections.abc import Callable

from emqtwist.core import causes, moving
from emqtwist.core.access import Client, Gatekeeper, Method
from emqtwist.core.acl import PUBLISH, Acl, Rule, Ruling
from emqtwist.core.alarms import Alarms
from emqtwist.core.bans import Bans
from emqtwist.core.callback import Callback
from emqtwist.core.circle import Circle
from emqtwist.core.delayed import Delayed
from emqtwist.core.hooks import MESSAGE_PUBLISH, SESSION_DISCARDED, Hooks
from emqtwist.core.journal import Journal
from emqtwist.core.ledger import Ledger
from emqtwist.core.link import Link, Turn
from emqtwist.core.listening import Listened, Listening
from emqtwist.core.logins import Logins
from emqtwist.core.message import NO_IDENTIFIERS, Message
from emqtwist.core.metrics import Metrics
from emqtwist.core.neighbours import Neighbours
from emqtwist.core.observer import Observer
from emqtwist.core.pool import Job, Pools, Worker
from emqtwist.core.prefixes import Prefixed, check_filter, subscription_to
from emqtwist.core.pubsub import fan_out, feed
from emqtwist.core.records import BRIDGE, OUTBOX, Fetch, Record, Snapshot
from emqtwist.core.recovery import bring_back, bury, give_up, recover, rows_of
from emqtwist.core.retained import Retained
from emqtwist.core.router import Route, Router
from emqtwist.core.session import Session
from emqtwist.core.sessions import End, Sessions
from emqtwist.core.settings import Settings
from emqtwist.core.stats import Stats
from emqtwist.core.subscriber import Subscription
from emqtwist.core.subscriptions import Subscriptions
from emqtwist.core.tap import Tap
from emqtwist.core.users import Users
from emqtwist.core.wills import WillMessage, Wills, obeys, still_allowed
from emqtwist.core.windows import Windows
from emqtwist.mqtt.constants import OPTION_RETAIN_HANDLING
from emqtwist.mqtt.errors import MQTTError
from emqtwist.mqtt.topics import check_topic_name


class Broker:
    """All state of one broker, without socket, clock or randomness.

    `token` gives a fresh random string for client identifiers that the broker assigns. Whoever drives the broker sets
    `turn.now` before each call, flushes `turn.take()` after it and calls `tick` once a second. `methods` are those of
    enhanced authentication by name, `gatekeeper` knows other clients. With a `journal` sessions and retained messages outlive
    the process: call `recover` before anything else. `plain_qos` is the highest QoS at which a PUBLISH is passed on unseen:
    none while functions look at what is published. While somebody looks at connections, `tapper` is asked about each new one.
    `cluster` is there where this is a node among others, `bridges` where some may lead to other nodes.
    """

    __slots__ = ("circle", "turn", "metrics", "stats", "alarms", "hooks", "delayed", "tapper",
                 "observer", "pools", "router", "retained", "wills", "subscriptions", "sessions", "links",
                 "token", "methods", "gatekeeper", "journal", "plain_qos", "acl", "bans", "users", "arrivals", "logins",
                 "settings", "cluster", "bridges")

    def __init__(self, settings: Settings, token: Callable[[], str], turn: Turn, observer: Observer,
                 journal: Journal | None = None) -> None:
        self.settings = settings
        self.turn = turn
        self.observer = observer
        self.metrics = Metrics(turn)
        self.stats = Stats()
        self.alarms = Alarms(turn, observer)
        self.hooks = Hooks(self.metrics, self.alarms, observer)
        self.journal = journal
        self.circle = Circle(settings, turn, self.metrics, observer, self.hooks, journal)
        self.router = Router(settings.route_cache)
        self.retained = Retained(settings.max_retained, settings.max_retained_payload)
        self.retained.bound_clients(settings.max_retained_per_client)
        self.wills = Wills()
        self.delayed = Delayed(self.circle)
        self.pools = Pools(turn, self._job_failed)
        self.subscriptions = Subscriptions(self.circle, self.router, token, self.pools.pubsub)
        self.sessions = Sessions(self.circle, self.subscriptions, self.pools, self.alarms)
        self.plain_qos = settings.max_qos
        self.hooks.changed = self._hooks_changed
        self.links: dict[Link, None] = {}
        self.token = token
        self.methods: dict[str, Method] = {}
        self.gatekeeper: Gatekeeper | None = None
        self.acl: Acl | None = None  # everybody may do everything
        self.bans = Bans(turn, journal)
        self.users = Users(journal)
        self.arrivals = Windows()  # of clients, by Client Identifier
        self.logins = Logins()
        self.tapper: Callable[[Link], Tap | None] | None = None
        self.cluster: Neighbours | None = None
        self.bridges: Neighbours | None = None

    def join(self, cluster: Neighbours) -> None:
        """Be a node among others, from before the first subscription on."""
        self.cluster = self.subscriptions.cluster = self.sessions.cluster = cluster

    def configure(self, settings: Settings) -> None:
        """Use other settings from now on; what is already open keeps what it was promised, unless clients are to go."""
        self.settings = settings
        self.circle.configure(settings)
        self._hooks_changed()
        gone = moving.gone(settings)
        if gone is not None:
            for link in list(self.links):
                if link.version:  # the others are told when they send CONNECT
                    link.fail(gone)
        self.retained.max_messages = settings.max_retained
        self.retained.max_payload = settings.max_retained_payload
        self.retained.bound_clients(settings.max_retained_per_client)
        self.router.cache_size = settings.route_cache

    def publish(self, message: Message) -> int:
        """Retain if asked to and deliver to all subscribers; how many they are. The topic must be valid."""
        if self.delayed.takes(message.topic):
            return self.delayed.accept(message)
        return self._publish_now(message)

    def _publish_now(self, message: Message) -> int:
        if self.hooks.at[MESSAGE_PUBLISH]:
            screened = self.screen(message)
            if screened is None:
                return 0
            message = screened
        if message.retain:  # [MQTT-3.1.2-14] [MQTT-3.1.2-15]
            self.retain(message)
        return self.deliver(message, self.router.route(message.topic))

    def screen(self, message: Message) -> Message | None:
        """What the functions at message.publish have made of it; None when it is to go nowhere."""
        screened = self.hooks.fold(MESSAGE_PUBLISH, (), message)
        if screened.stopped:
            self.circle.lose(message, causes.STOPPED_BY_HOOK)
            return None
        return screened.value

    def deliver(self, message: Message, route: Route) -> int:
        """Fan out to a route; how many subscribers it has."""
        if not route:
            self.circle.lose(message, causes.NO_SUBSCRIBERS)
        else:
            fan_out(route, message, self.circle)
        return len(route)

    def retain(self, message: Message) -> None:
        """Store in place of the retained message of its topic; an empty payload only deletes [MQTT-3.3.1-5], [MQTT-3.3.1-6]."""
        if self.retained.closed:
            self.circle.lose(message, causes.RETAINER_UNLOADED)
            return
        until = self.turn.now + self.settings.retained_expiry
        known = self.retained.get(message.topic) is not None
        cause = self.retained.store(message.copy(), until)
        if cause:
            self.circle.lose(message, cause)
        elif self.cluster is not None:
            if message.payload:
                self.cluster.retained(message.topic, until)
            else:
                self.cluster.erased(message.topic)
        elif self.journal is not None and message.payload:
            self.journal.retain(message, until)
        elif self.journal is not None and (known or self.journal.barrier()):  # gone here, it may be in the store still
            self.journal.retain_no_more(message.topic)

    def retains(self) -> bool:
        """Whether messages may be retained."""
        return self.settings.retain_available and not self.retained.closed

    def forget(self, topic: bytes) -> bool:
        """Whether there was a retained message, which there is no more."""
        known = self.retained.delete(topic)
        if known and self.cluster is not None:
            self.cluster.erased(topic)
        elif known and self.journal is not None:
            self.journal.retain_no_more(topic)
        return known

    def local_message(self, topic: str, payload: bytes, qos: int, retain: bool, properties: bytes, expiry: float) -> Message:
        """A Message that this process publishes; `expiry` in seconds. TopicNameInvalid when `topic` is no Topic Name."""
        name = topic.encode()
        check_topic_name(name, self.settings.max_topic_levels)
        return Message(name, payload, qos, retain, properties, self.turn.now + expiry)

    def subscribe(self, topic_filter: str, function: Callable[[Message], object], qos: int) -> Callback:
        """Call `function` with each message that matches; TopicFilterInvalid when `topic_filter` is none.

        A shared or a local subscription has its prefix; QuotaExceeded when another has an exclusive one. While a worker of the
        tables is down, the subscription begins when it is back.
        """
        name = topic_filter.encode()
        prefix = check_filter(name, self.settings.max_topic_levels)
        callback = Callback(name, function, self.circle)
        if prefix is not None:
            self.subscriptions.check_owner(prefix, callback)
        callback.subscription = subscription_to(callback, name, qos, NO_IDENTIFIERS)
        listening = Listening(self.subscriptions, callback, callback.subscription, self.replay_retained)
        self.pools.pubsub.submit(listening)
        if listening.error is not None:
            raise listening.error
        return callback

    def unsubscribe(self, callback: Callback) -> bool:
        """Whether the callback was still subscribed."""
        callback.replays.clear()
        subscription, callback.subscription = callback.subscription, None
        if subscription is None:
            return False
        self.pools.pubsub.submit(Listened(self.subscriptions, callback, subscription))
        return True

    def replay_retained(self, subscription: Subscription, new: bool) -> None:
        """Queue the retained messages for a subscription as its Retain Handling says [MQTT-3.3.1-9] to [MQTT-3.3.1-11].

        There are none for a shared one, nor while they are closed.
        """
        if self.retained.closed or (isinstance(subscription, Prefixed) and subscription.prefix.group):
            return
        handling = subscription.options & OPTION_RETAIN_HANDLING
        if (handling == 0 or (handling == 0x10 and new)) and len(self.retained):  # [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]
            replays, name = subscription.subscriber.replays, subscription.name()
            replays.pop(name, None)
            replays[name] = self.retained.replay(subscription.topic_filter), subscription
            self.circle.feed(subscription.subscriber)

    def hold_will(self, client_id: str, will: WillMessage, delay: float) -> None:
        """Publish a Will when `delay` has passed, at once if there is none [MQTT-3.1.2-8]."""
        if delay <= 0:
            self._publish_will(will)  # [MQTT-3.1.2-8]
        else:
            due = self.turn.now + delay
            self.wills.hold(client_id, will, due)  # [MQTT-3.1.2-8]
            ledger = self._ledger(client_id)
            if ledger is not None:
                ledger.will_due(due)

    def discard_session(self, session: Session) -> End:
        """End a session; its Will is due now at the latest [MQTT-3.1.2-8]."""
        self.hooks.run(SESSION_DISCARDED, (session.client_id,))
        end = self.sessions.discard(session)
        self._release_will(session.client_id)  # [MQTT-3.1.2-8]
        return end

    def feed(self) -> None:
        """Continue to hand over retained messages, a bounded number to each subscriber, and to publish delayed ones."""
        feed(self.circle)
        if self.delayed.behind:
            self.delayed.give(self._publish_now)

    def tick(self) -> None:
        """All that fell due by `turn.now`: Keep Alive, Wills, sessions, retained messages, retries, delayed messages."""
        self._tidy()
        self.delayed.give(self._publish_now)

    def _tidy(self) -> None:
        """All that falls due, but delayed messages."""
        now = self.turn.now
        self.count()
        for link in list(self.links):
            link.check(now)
        for will in self.wills.take_due(now):  # [MQTT-3.1.2-8]
            self._publish_will(will)
        self.sessions.take_expired(now)  # their Wills were due by then too
        self.bans.take_expired(now)
        for topic in self.retained.take_expired(now):
            if self.cluster is not None:
                self.cluster.expired(topic)
            elif self.journal is not None:
                self.journal.retain_no_more(topic)
        if self.settings.retry_interval > 0:
            for session in list(self.sessions.by_id.values()):
                session.retry(now - self.settings.retry_interval)

    def count(self) -> Stats:
        """The gauges as they are now."""
        router, delayed = self.router, self.delayed
        self.stats.note(len(self.sessions.by_id), router.topics(), router.subscriptions, len(self.retained), len(delayed.held))
        return self.stats

    def _hooks_changed(self) -> None:
        """Who looks at messages decides on the way that they take, so that without anybody there is nothing to ask on it."""
        self.plain_qos = -1 if self.hooks.at[MESSAGE_PUBLISH] else self.settings.max_qos
        if self.circle.taps != self.hooks.taps:
            self.circle.taps = self.hooks.taps
            for session in list(self.sessions.by_id.values()):
                session.inflight.watched = session.inflight.retries or self.circle.taps
                session.pump()

    def shut_down(self) -> None:
        """End every connection; 5.0 clients are told, Wills are published as for any other end."""
        self.end_links(moving.farewell(self.settings))

    def end_links(self, error: MQTTError) -> None:
        for link in list(self.links):
            link.fail(error)

    def _job_failed(self, worker: Worker, error: Exception) -> None:
        """Nobody supervises the worker, so it goes on at once."""
        self.observer.job_failed(worker.name, error)
        worker.start()

    def _release_will(self, client_id: str) -> None:
        will = self.wills.take(client_id)
        if will is not None:
            self._publish_will(will)

    def _publish_will(self, will: WillMessage) -> None:
        if self.delayed.takes(will.topic):
            will.said = self.delayed.meant(will.said)
        acl = self.acl
        if acl is None or acl.authority is None or will.client is None:
            self.end_will(will, still_allowed(acl, will))
        else:
            self.pools.sm.submit(Testament(self, acl, will, will.client))

    def end_will(self, will: WillMessage, allowed: bool) -> None:
        """Publish it if that is allowed; then there is none any more."""
        will.expires_at = self.turn.now + will.lifetime
        if allowed:
            self.publish(will)
        else:
            self.metrics.deny(causes.WILL_OVER)
            self.circle.lose(will, causes.ACL_DENIED)
        ledger = self._ledger(will.publisher)
        if ledger is not None:
            ledger.no_will()

    def _ledger(self, client_id: str) -> Ledger | None:
        session = self.sessions.by_id.get(client_id)
        return None if session is None else session.ledger

    # What a store has, and has brought back.

    def recover(self, snapshot: Snapshot, now: float) -> None:
        """Be as the store says that the broker was; before anybody connects. `journal.offset` is set.

        What fell due meanwhile does so now: the client of an expired session, or of a Will, could be faster than the next tick.
        """
        self.turn.now = now
        if self.journal is not None:
            outboxes = recover(self.journal, snapshot, self.sessions, self.wills, self.retained, self.bans, self.users,
                               self.delayed, self.circle)
            for version, others in ((OUTBOX, self.cluster), (BRIDGE, self.bridges)):
                if others is None:
                    give_up(self.journal, outboxes, version)
                else:
                    others.recover(snapshot)
            if self.cluster is None:
                bury(self.journal, snapshot, now)
            self._tidy()  # delayed messages wait for a tick: no module is loaded yet

    def page(self, fetch: Fetch, rows: list[Record], more: bool) -> None:
        """Rows of a queue, as `journal.wanted` asked for; `more`: there are rows behind them."""
        session = self.sessions.by_number.get(fetch.session)
        if session is not None and self.journal is not None:
            bring_back(session, fetch, rows_of(rows, self.journal.offset), more)
        else:
            for others in (self.cluster, self.bridges):
                if others is not None:
                    others.page(fetch, rows, more)


class Testament(Job):
    """A Will that the authority is asked about again, a job of the sm pool: its client does not come back meanwhile."""

    __slots__ = ("_broker", "_acl", "_will", "_client")

    def __init__(self, broker: Broker, acl: Acl, will: WillMessage, client: Client) -> None:
        Job.__init__(self, will.publisher)
        self._broker = broker
        self._acl = acl
        self._will = will
        self._client = client

    def run(self) -> None:
        pending = self._acl.judge(self._client, PUBLISH, self._will.said)
        if pending.decision is None:
            self.wait(pending, self._judged)
        else:
            self._end(pending.decision.rule)

    def _judged(self, link: Link, ruling: Ruling) -> None:
        self._end(ruling.rule)

    def _end(self, rule: Rule) -> None:
        self._broker.end_will(self._will, obeys(rule, self._will))
