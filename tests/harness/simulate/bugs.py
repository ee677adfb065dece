"""Bugs of a cluster, each one line of the core."""
from typing import Final

from tests.harness.planting import Bug
from tests.harness.simulate.world import Loads

NO_BARRIER: Final = Bug("a message leaves before its row is stored", "core.ledger:Ledger.send", "if not number and", "if True or")
EARLY_TOOK: Final = Bug("a message is acknowledged to its node before it is stored", "core.cluster.inbox:Inbox.proceed",
                        "self._send_stored(", "self._send(")
NO_MARK: Final = Bug(
    "the receiver's mark is not stored", "core.cluster.inbox:Inbox.settle", "if mark.kept != mark.noted:", "if False:")
EARLY_PUBACK: Final = Bug(
    "PUBACK comes before the row is stored", "core.connection:Connection.promise", "if journal is None:", "if True:")
EARLY_SUBACK: Final = Bug("SUBACK does not wait for the other nodes", "core.cluster.tables:Authored.settled",
                          "if not self._behind(self.number):", "if True:")
NOT_SENT_AGAIN: Final = Bug("what was not acknowledged is not sent over the next link", "core.cluster.outbox:Outbox.begin",
                            "if link is not None:", "if False:")
STIRRED: Final = Bug(
    "what was noted for a lost link blocks the next", "core.cluster.peer:Peer.attach", "self.stirred = False", "pass")
OVERTAKES: Final = Bug("a message overtakes those that wait for a node", "core.cluster.outbox:Outbox.put",
                       "(backlog is not None and len(backlog))", "False")
LOST_ROUTES: Final = Bug("routes of persistent sessions are forgotten in a restart", "core.cluster.cluster:Cluster.recover",
                         "self.routes.recover(outboxes[number], name)", "pass")
NO_EPOCH: Final = Bug("a session is ended by a node that has an older one: the check of the epoch is dropped",
                      "core.cluster.discarding:Discarding.compare", "if (epoch, peer.name) < mine:", "if False:")
NOT_THE_LAST: Final = Bug("of two sessions that a client began the one of the node whose name comes last stays",
                          "core.cluster.takeover:Takeover.session_opened", "new_epoch(least, now,", "new_epoch(least, 0,")
NOT_NOTED: Final = Bug("where a session has gone to is forgotten in a restart", "core.cluster.takeover:Takeover.recover",
                       "for record in snapshot.sessions if record[9]", "for record in snapshot.sessions if False")
NO_CUT: Final = Bug("what comes directly is taken before its node has cut", "core.cluster.aftermath:Aftermath.wants",
                    "return False", "pass")

LOST: Final = "(G1|G7): .* lacks|G11: "
CLUSTER_BUGS: Final = [  # and what is found
    (NO_BARRIER, f"G2: .* twice, at QoS 2|{LOST}"),
    (EARLY_TOOK, LOST),
    (NO_MARK, "G2: .* twice, at QoS 2"),
    (EARLY_PUBACK, r"G1: .* lacks|stores messages that nobody waits for: \{\} \{\("),  # of what is not sent again
    (EARLY_SUBACK, LOST),
    (NOT_SENT_AGAIN, LOST),
    (STIRRED, LOST),
    (OVERTAKES, r"G1: .* lacks|G3: |^\(\d+, 0, \d+\)$"),  # the last is the KeyError of a row that was left out
    (LOST_ROUTES, LOST),
]
WAY_BUGS: Final = [  # while nodes are away
    (NOT_NOTED, f"{LOST}|is gone|G2: .* twice, at QoS 2"),
    (NO_CUT, "G2: .* twice, at QoS 2"),
]

PAUSE_BUGS: Final = [  # where nothing else goes wrong but that links break
    (NOT_SENT_AGAIN, LOST),
]
STOP_BUGS: Final = [
    (NO_MARK, "G2: .* twice, at QoS 2"),
    (LOST_ROUTES, LOST),
    (NOT_NOTED, f"{LOST}|is gone|G2: .* twice, at QoS 2"),
]

ANEW_BUGS: Final = [  # where clients give up their sessions, and begin others at any node
    (NO_EPOCH, f"the session of .* is gone|{LOST}"),
    (NOT_THE_LAST, "has not subscribed|is gone|G2: .* twice, at QoS 2"),
]

OLDER_WINS: Final = Bug("an older message takes the place of a newer one", "core.cluster.retained:Replicas._is_news",
                        "topic.startswith(OWN) or self.marks.holds(topic, mark)", "topic.startswith(OWN)")
FORGOTTEN: Final = Bug("that a message was deleted is not remembered", "core.cluster.retained:Replicas._bury",
                       "self._note(topic, mark)", "self.marks.remove(topic)")
NOT_COMPARED: Final = Bug("nodes that meet do not compare", "core.cluster.retained:Replicas.digests",
                          "comparing.begin(self.marks.differing(digests_of(frame)))", "pass")
NOT_AFTER: Final = Bug("a stamp need not be later than what it takes the place of", "core.cluster.clock:Clock.stamp",
                       "self.last if self.last > after else after + 1 + self._begin", "self.last")
EARLY_RETAINED: Final = Bug("that a message is deleted is not stored", "core.cluster.retained:Replicas._bury",
                            "if self._broker.journal is not None:", "if False:")
RETAINED_BUGS: Final = [
    (OLDER_WINS, "G6: .* goes back"),
    (FORGOTTEN, "G6: "),
    (NOT_COMPARED, "G6: .* not the same"),
    (NOT_AFTER, "G6: .* not the newest"),
    (EARLY_RETAINED, "G6: "),
]

TO_TWO: Final = Bug("what was sent at QoS 2 is given to another", "core.groups:Groups._give_away",
                    "delivery[1] & QOS_BITS == QOS_1_BITS and give(delivery)", "give(delivery)")
TWICE: Final = Bug("a message of a group stays with the node that it was handed on by", "core.cluster.groups:WideGroup._hand_on",
                   "return True", "return False")
DROPPED: Final = Bug("what a lost node had not acknowledged is given to nobody", "core.cluster.outbox:Outbox._give_away",
                     "== QOS_1_BITS and give(delivery)", "== QOS_1_BITS")
TO_ABSENT: Final = Bug("who is away is preferred", "core.group:Group.deliver", "self.here if self.here.order else self.away",
                       "self.away if self.away.order else self.here")
SHARED_BUGS: Final = [
    (TO_TWO, "G8: .* which .* got at 2"),
    (TWICE, "G8: .* which .* got"),
    (DROPPED, f"G8: nobody of |{LOST}"),
    (TO_ABSENT, "G8: nobody of "),
]

NOT_CONFIRMED: Final = Bug("what is taken of a stream is not confirmed", "cluster.protocol:LinkProtocol.confirm",
                           "self.stream.receiving.tell()", "pass")
DIALS_ONCE: Final = Bug("a node whose link is gone is not dialled again", "cluster.dialer:Dialer.ended",
                        "attempt.protocol = None", "pass")
LINK_BUGS: Final = [
    (NOT_CONFIRMED, LOST),
    (DIALS_ONCE, LOST),
]

FOR_EVER: Final = Bug("a message that crosses never expires", "core.cluster.peer:Sending.send",
                      "None if message.expires_at == NEVER", "None if True")
ANEW: Final = Bug("a message that crosses begins to live anew", "core.cluster.peer:Sending.send",
                  "message.expires_at - self._circle.turn.now", "4.0")
MOVED_FOR_EVER: Final = Bug("what moves with a session never expires", "core.cluster.moved:Moved.wire",
                            "None if message.expires_at == NEVER", "None if True")
EXPIRY_BUGS: Final = [
    (FOR_EVER, "with None seconds to live"),
    (ANEW, "seconds to live of|which has expired"),
    (MOVED_FOR_EVER, "with None seconds to live"),
]

ELSEWHERE: Final = Bug("a Will is published though the client came to another node in time", "core.cluster.handover:Leaving.run",
                       "broker.wills.cancel(client_id)", "pass")
RESUMED: Final = Bug("a Will is published though the client came back in time", "core.entry:Entry._open",
                     "broker.wills.cancel(session.client_id)", "pass")
NOT_OVER: Final = Bug("that a Will was published is not stored", "core.broker:Broker.end_will", "ledger.no_will()", "pass")
NO_WILL: Final = Bug("a Will is forgotten when its node crashes", "core.recovery:_recover_will",
                     "wills.hold(session.client_id, will, due_here)", "pass")
NOT_DUE: Final = Bug("when a Will is due is not stored", "core.broker:Broker.hold_will", "ledger.will_due(due)", "pass")
AT_ONCE: Final = Bug("a Will does not wait when its node was restarted", "core.recovery:_recover_will",
                     "circle.turn.now + min(delay, session.expiry_interval)", "circle.turn.now")
KEPT_WILL: Final = Bug("DISCONNECT does not revoke the Will", "core.receive:_disconnect", "connection.will = None", "pass")
STORED_WILL: Final = Bug("that DISCONNECT has revoked the Will is not stored", "core.connection:Connection._leave",
                         "session.ledger.no_will()", "pass")
WILL_BUGS: Final = [
    (ELSEWHERE, "G5: .* is published: .* was back in time"),
    (RESUMED, "G5: .* is published: .* was back in time"),
    (NOT_OVER, "G5: .* is published: .* twice, at QoS 2"),
    (NO_WILL, "G5: .* lacks the Will"),
    (NOT_DUE, "G5: .* lacks the Will"),
    (AT_ONCE, "G5: .* is published: its delay"),
    (KEPT_WILL, "G5: .* is published: .* has revoked it"),
    (STORED_WILL, "G5: .* is published: .* has revoked it"),
]

# What is played, from which seed on, and what is planted in it.
ALL: Final = [
    (Loads(), 0, [*CLUSTER_BUGS, *LINK_BUGS]),
    (Loads(takeover=True), 100, WAY_BUGS),
    (Loads(retained=True), 0, RETAINED_BUGS),
    (Loads(shared=True), 0, SHARED_BUGS),
    (Loads(takeover=True, anew=True), 260, ANEW_BUGS),
    (Loads(takeover=True, expiry=True), 0, EXPIRY_BUGS),
    (Loads(takeover=True, wills=True), 0, WILL_BUGS),
    (Loads(takeover=True, crashes=False, partitions=False, pauses=True), 0, PAUSE_BUGS),
    (Loads(takeover=True, crashes=False, partitions=False, stops=True), 0, STOP_BUGS),
]
