"""Random groups of records as a broker could write them, and what two stores have to say of them."""
from marshal import dumps, loads
from math import inf
from random import Random
from typing import Any

from emqtwist.core import records as r
from emqtwist.storage.sqlite.group import ranges

Record = tuple[Any, ...]


class History:
    """Makes groups one after another; remembers what is there, so that records make sense."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.sessions: dict[int, int] = {}  # session -> next seq
        self.rows: dict[tuple[int, int, int], int] = {}  # key -> state
        self.subscriptions: set[tuple[int, bytes]] = set()
        self.received: set[tuple[int, int]] = set()
        self.bans: set[tuple[str, str]] = set()
        self.users: set[str] = set()
        self.delayed: list[int] = []
        self.members: set[str] = set()
        self.taken: set[tuple[str, str]] = set()
        self.later = 0  # the last number of a delayed message
        self.numbers = 0
        self.messages = 0

    def group(self) -> list[Record]:
        records: list[Record] = []
        for _ in range(self.random.randrange(1, 30)):
            records += self.random.choice([
                self.open, self.leave, self.end, self.subscribe, self.publish, self.publish, self.publish,
                self.move, self.move, self.finish, self.finish, self.receive, self.will, self.retain, self.ban, self.user,
                self.delay, self.take, self.member, self.go])()
        return [loads(dumps(record)) for record in records]

    def any_session(self) -> int:
        return self.random.choice(list(self.sessions))

    def open(self) -> list[Record]:
        if len(self.sessions) < 5:
            self.numbers += 1
            self.sessions[self.numbers] = 1
            session = self.numbers
        else:
            session = self.any_session()
        return [(r.OPENED, session, f"c{session}", self.random.choice([60.0, inf]), self.random.choice([0, 4, 5]),
                 self.random.randrange(3))]

    def go(self) -> list[Record]:
        return [(r.MOVED, self.any_session(), self.random.choice(["", "n2 3"]))] if self.sessions else []

    def leave(self) -> list[Record]:
        if not self.sessions:
            return []
        return [(r.LEFT, self.any_session(), self.random.choice([1e9, inf, None]))]

    def end(self) -> list[Record]:
        if not self.sessions or self.random.random() < 0.8:
            return []
        session = self.any_session()
        del self.sessions[session]
        self.rows = {key: state for key, state in self.rows.items() if key[0] != session}
        self.subscriptions = {key for key in self.subscriptions if key[0] != session}
        self.received = {key for key in self.received if key[0] != session}
        return [(r.ENDED, session)]

    def subscribe(self) -> list[Record]:
        if not self.sessions:
            return []
        session, topic_filter = self.any_session(), self.random.choice([b"a/#", b"+/b", b"c"])
        if (session, topic_filter) in self.subscriptions and self.random.random() < 0.5:
            self.subscriptions.discard((session, topic_filter))
            return [(r.UNSUBSCRIBED, session, topic_filter)]
        self.subscriptions.add((session, topic_filter))
        return [(r.SUBSCRIBED, session, topic_filter, self.random.randrange(3), self.random.choice([(), (7,), (1, 2)]))]

    def publish(self) -> list[Record]:
        targets = [session for session in self.sessions if self.random.random() < 0.4]
        self.messages += 1
        payload = self.random.randbytes(self.random.choice([0, 5, 3000]))
        records: list[Record] = [(r.MESSAGE, self.messages, b"t/%d" % self.random.randrange(3), payload,
                                  self.random.randrange(3), self.random.random() < 0.5, self.random.choice([b"", b"pp"]),
                                  self.random.choice([None, inf, 1e9]), "publisher", b"")]
        for session in targets:
            key = session, self.random.choice([0, 0, -5]), self.sessions[session]
            self.sessions[session] += self.random.choice([1, 1, 1, 3])
            self.rows[key] = 0
            records.append((r.QUEUED, *key, self.messages, 0x32, self.random.choice([(), (9,)]), 0))
        return records

    def move(self) -> list[Record]:
        waiting = [key for key, state in self.rows.items() if state < 2]
        if not waiting:
            return []
        key = self.random.choice(waiting)
        self.rows[key] += 1
        return [(r.SENT if self.rows[key] == 1 else r.RELEASED, *key)]

    def finish(self) -> list[Record]:
        keys = sorted(self.rows)[:self.random.randrange(4)]
        for key in keys:
            del self.rows[key]
        return [(r.DONE, *part) for part in ranges(keys)]

    def receive(self) -> list[Record]:
        if not self.sessions:
            return []
        key = self.any_session(), self.random.randrange(1, 5)
        if key in self.received:
            self.received.discard(key)
            return [(r.COMPLETED, *key)]
        self.received.add(key)
        return [(r.RECEIVED, *key)]

    def will(self) -> list[Record]:
        if not self.sessions:
            return []
        session = self.any_session()
        will: Record = (r.WILL, session, b"w", b"gone", 1, True, b"", f"c{session}", 5.0, inf)
        due: Record = (r.WILL_DUE, session, 1e9)
        gone: Record = (r.WILL_GONE, session)
        return self.random.choice([[will], [will, due], [will, gone]])

    def retain(self) -> list[Record]:
        topic = self.random.choice([b"r/1", b"r/2", b"r/3"])
        if self.random.random() < 0.3:
            return [(r.RETAINED_GONE, topic, *self.random.choice([(0, "", None), (1 << 57, "n1", 1e9), (3, "n2", inf)]))]
        expires_at, until = self.random.choice([None, inf, 1e9]), self.random.choice([None, inf, 2e9])
        return [(r.RETAINED, topic, self.random.randbytes(4), 1, b"", expires_at, "p", until,
                 *self.random.choice([(0, ""), (7, "n1")]))]

    def take(self) -> list[Record]:
        key = self.random.choice(["n1", "n2"]), self.random.choice(["x", "y"])
        if key in self.taken and self.random.random() < 0.3:
            self.taken.discard(key)
            return [(r.TAKEN, *key, 0)]
        self.taken.add(key)
        return [(r.TAKEN, *key, self.random.randrange(1, 1 << 40))]

    def member(self) -> list[Record]:
        name = self.random.choice(["n1", "n2"])
        if name in self.members and self.random.random() < 0.3:
            self.members.discard(name)
            return [(r.MEMBER_GONE, name)]
        self.members.add(name)
        return [(r.MEMBER, name, self.random.choice(["one:1", "two:2"]), self.random.choice([1, 1 << 57]), "up")]

    def delay(self) -> list[Record]:
        if self.delayed and self.random.random() < 0.4:
            return [(r.DELAYED_GONE, self.delayed.pop(self.random.randrange(len(self.delayed))))]
        self.later += 1
        self.delayed.append(self.later)
        return [(r.DELAYED, self.later, 2e9, b"t", self.random.randbytes(4), self.random.randrange(3), self.random.random() < 0.5,
                 b"pp", self.random.choice([None, inf, 1e9]), "p")]

    def ban(self) -> list[Record]:
        key = self.random.choice(["client", "user"]), self.random.choice(["a", "b"])
        if key in self.bans and self.random.random() < 0.5:
            self.bans.discard(key)
            return [(r.BAN_GONE, *key)]
        self.bans.add(key)
        return [(r.BAN, *key, self.random.choice(["", "because"]), "p", 1e9, self.random.choice([None, inf, 2e9]))]

    def user(self) -> list[Record]:
        name = self.random.choice(["al", "bo"])
        if name in self.users and self.random.random() < 0.5:
            self.users.discard(name)
            return [(r.USER_GONE, name)]
        self.users.add(name)
        return [(r.USER, name, self.random.choice(["one", "other"]), self.random.choice([0, 1]))]
