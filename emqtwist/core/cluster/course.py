"""What a store keeps of a session's way from node to node: a process that begins goes on where the last one was."""
from json import dumps, loads

from emqtwist.core.records import MOVED
from emqtwist.core.session import Session


class Course:
    """A session that is given goes to `other`, where it has the epoch `number`; of one that comes, its rows up to `number` are
    here, and `other` has the rest. `over`: no more rows go there; what comes of `nodes` is sent on.

    If it was here before, it had `gone_to` that node. It has `come` under this epoch, and `sources` still send on what comes for
    it there: all messages of the nodes `via` come by these, and those of the nodes `fading` from a mark on that is still to come
    from them. Sources are nodes with the epoch that it was given under. `filters` are what it subscribed to there, by node.
    """

    __slots__ = ("other", "number", "over", "nodes", "gone_to", "come", "sources", "via", "fading", "filters")

    def __init__(self) -> None:
        self.other = ""
        self.number = 0
        self.over = False
        self.nodes: set[str] = set()
        self.gone_to = ""
        self.come = 0
        self.sources: dict[str, int] = {}
        self.via: set[str] = set()
        self.fading: set[str] = set()
        self.filters: dict[str, list[bytes]] = {}

    def text(self) -> str:
        filters = {node: [each.decode() for each in filters] for node, filters in self.filters.items()}
        return dumps([self.other, self.number, self.over, sorted(self.nodes), self.gone_to, self.come, self.sources,
                      sorted(self.via), sorted(self.fading), filters])

    def note(self, session: Session) -> None:
        """Have it stored."""
        if session.ledger is not None:
            session.ledger.journal.add((MOVED, session.ledger.number, self.text()))


def course_of(text: str) -> Course:
    """As a store has it."""
    course = Course()
    (course.other, course.number, course.over, nodes, course.gone_to, course.come, course.sources, via, fading,
     filters) = loads(text)
    course.nodes, course.via, course.fading = set(nodes), set(via), set(fading)
    course.filters = {node: [each.encode() for each in filters[node]] for node in filters}
    return course


def note_here(session: Session) -> None:
    """It is here, wholly."""
    if session.ledger is not None:
        session.ledger.journal.add((MOVED, session.ledger.number, ""))
