"""Pages of the queue of a session on its way: each goes to who asked for it, and to nobody when that has ended."""
from emqtwist.core.cluster import frames as f
from emqtwist.core.records import Fetch
from tests.clusters import Net, Node
from tests.unit.cluster.takeovers import History

SMALL = ("mqtt.mqueue.max_memory = 2KB",)


class Slow(Node):
    """Its store does not read while it is `late`; `wanted` is what it will then."""

    late = False

    def __init__(self, net: Net, name: str, *lines: str, stored: bool = True) -> None:
        self.wanted: list[Fetch] = []
        super().__init__(net, name, *lines, stored=stored)

    def read(self, fetch: Fetch) -> None:
        if self.late:
            self.wanted.append(fetch)
        else:
            super().read(fetch)

    def catch_up(self) -> None:
        """Read all that is wanted."""
        self.late = False
        for fetch in self.wanted:
            self.read(fetch)
        self.wanted.clear()
        self.settle()


def slow_history() -> tuple[History, Slow]:
    """Alice has a queue at `a` that is not in memory, and is away."""
    history = History(Net("a", "b", "c", lines=SMALL, kind=Slow))
    history.begin("a")
    node = history.net["a"]
    assert isinstance(node, Slow)
    return history, node


def test_a_page_for_another_node_that_has_given_up_is_not_for_the_client() -> None:
    history, node = slow_history()
    node.late = True
    history.net.halt_before(f.SESSION)
    history.arrive("b")
    assert history.net.halted
    assert node.wanted
    history.net.advance(11)  # alice is told to come again
    history.net.go_on()
    assert history.holders() == ["a"]
    history.arrive("a")
    node.catch_up()
    history.publish("a", "b", "c")
    history.check()


def test_a_page_for_the_client_that_comes_late_is_not_for_the_other_node() -> None:
    history, node = slow_history()
    node.late = True
    history.arrive("a")
    history.take()
    history.arrive("b")
    history.publish("a", "b", "c")
    assert len(node.wanted) > 1
    node.catch_up()
    history.check()
    assert history.holders() == ["b"]


def test_a_page_of_the_time_before_a_link_broke_is_for_nobody_after_it() -> None:
    history, node = slow_history()
    node.late = True
    history.net.halt_before(f.ROWS)
    history.arrive("b")
    history.net.cut("a", "b")
    history.net.join("a", "b")
    assert len(node.wanted) > 1
    node.wanted.reverse()
    node.catch_up()
    history.net.go_on()
    history.publish("a", "b", "c")
    history.check()
    assert history.holders() == ["b"]


def test_what_the_queue_wants_while_it_is_given_is_for_nobody() -> None:
    history, node = slow_history()
    publisher = node.connect("carol")
    sent = [b"%02d" % number + bytes(30_000) for number in range(40)]
    for payload in sent:
        publisher.publish("t/large", payload, qos=1)
    history.net.congest("a", "b")
    history.arrive("b")
    backlog = node.session("alice").backlog
    assert backlog is not None
    assert backlog.ledger is not None
    held = len(backlog.queue)
    backlog.ledger.want(1 << 20)
    assert node.journal.wanted
    node.settle()
    assert len(backlog.queue) == held
    history.net.congest("a", "b", False)
    history.check()
    assert [payload for payload in history.got if len(payload) > 1000] == sent
