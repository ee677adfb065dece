"""What a store keeps of a session's way from node to node: a process that begins goes on where the last one was."""
from emqtwist.core.records import MOVED
from emqtwist.core.session import Session


class Course:
    """A session that is given goes to `other`, where it has the epoch `number`; of one that comes, its rows up to `number` are
    here, and `other` has the rest. `over`: no more rows go there; what comes of `nodes` is sent on.

    If it was here before, it had `gone_to` that node. It has `come` under this epoch, and `sources` still send on what comes for
    it there: all messages of the nodes `via` come by these, and those of the nodes `fading` from a mark on that is still to come
    from them. Sources are nodes with the epoch that it was given under.
    """

    __slots__ = ("other", "number", "over", "nodes", "gone_to", "come", "sources", "via", "fading")

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

    def text(self) -> str:
        sources = "\t".join([f"{name}\v{epoch}" for name, epoch in self.sources.items()])
        return "\n".join([self.other, str(self.number), "over" if self.over else "", self.gone_to, str(self.come), sources,
                          *["\t".join(sorted(names)) for names in (self.nodes, self.via, self.fading)]])

    def note(self, session: Session) -> None:
        """Have it stored."""
        if session.ledger is not None:
            session.ledger.journal.add((MOVED, session.ledger.number, self.text()))


def course_of(text: str) -> Course:
    """As a store has it; that of a session that is here when it has nothing."""
    course = Course()
    if text:
        course.other, number, over, course.gone_to, come, sources, *names = text.split("\n")
        course.number, course.over, course.come = int(number), bool(over), int(come)
        course.nodes, course.via, course.fading = [{name for name in each.split("\t") if name} for each in names]
        for source in sources.split("\t"):
            if source:
                name, _, epoch = source.partition("\v")
                course.sources[name] = int(epoch)
    return course


def note_here(session: Session) -> None:
    """It is here, wholly."""
    if session.ledger is not None:
        session.ledger.journal.add((MOVED, session.ledger.number, ""))
