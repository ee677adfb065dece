"""cluster view, doctor: what each node knows of the cluster, and whether that is the same."""
from collections.abc import Iterator
from typing import Final

from twisted.internet.defer import Deferred

from emqtwist.core.cluster.nodes import Nodes
from emqtwist.core.cluster.tables import ROUTES, SESSIONS, Authored, Mirrored
from emqtwist.core.cluster.troubles import CLOCK, DOWN
from emqtwist.ctl import across
from emqtwist.ctl.across import Questions
from emqtwist.ctl.advice import MESH, ROLL, TABLE, UNREACHABLE, VERSION, advice
from emqtwist.ctl.commands.cluster import nodes_of
from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Registry, Step, Words

TABLES: Final = {ROUTES: "routes", SESSIONS: "sessions"}
PAUSE: Final = 1.0  # seconds that a change has to reach all nodes

Table = tuple[str, str]  # author, name
State = tuple[int, int]  # number of changes, digest


def view(context: Context, words: Words) -> Iterator[Step]:
    """Of this node: who belongs to the cluster, who is linked, how far it has come with the table of each author."""
    nodes = nodes_of(context)
    cluster = nodes.cluster
    for member in list(nodes.members.roll.members.values()):
        yield f"{cluster.node}: member {member.name}, state={member.state}, address={member.address}, stamp={member.stamp}", {
            "kind": "member", "name": member.name, "state": member.state, "address": member.address, "stamp": member.stamp}
    for name in nodes.members.running():
        if name != cluster.node:
            yield f"{cluster.node}: link {name}", {"kind": "link", "name": name}
    for number, table in cluster.authored.items():
        yield _table(cluster.node, cluster.node, number, table)
    for peer in list(cluster.peers.values()):
        for number, mirror in cluster.mirrors.items():
            yield _table(cluster.node, peer.name, number, mirror(peer))


def _table(node: str, author: str, number: int, table: Authored | Mirrored) -> Line:
    name = TABLES.get(number, str(number))
    return f"{node}: table {name} of {author}, number={table.number}, digest={table.digest}", {
        "kind": "table", "name": name, "author": author, "number": table.number, "digest": table.digest}


class View:
    """What one node knows: `members` with their rows, `links`, `tables`."""

    def __init__(self) -> None:
        self.members: dict[str, tuple[object, ...]] = {}
        self.links: set[str] = set()
        self.tables: dict[Table, State] = {}

    def add(self, row: dict[str, object]) -> None:
        name = str(row["name"])
        if row["kind"] == "member":
            self.members[name] = row["state"], row["address"], row["stamp"]
        elif row["kind"] == "link":
            self.links.add(name)
        else:
            self.tables[str(row["author"]), name] = int(str(row["number"])), int(str(row["digest"]))


Views = dict[str, View]


def _look(context: Context, views: Views, silent: list[Line]) -> Iterator[Step]:
    """Fill in what all nodes say."""
    questions = Questions(context, ("cluster", "view"))
    try:
        questions.ask()
        for step in view(context, ()):
            if isinstance(step, tuple):
                views.setdefault(context.node, View()).add(step[1])
        for asked in questions.asked:
            for step in questions.lines(asked):
                if isinstance(step, tuple):
                    views.setdefault(asked.node, View()).add(step[1])
                else:
                    yield step
        silent += questions.silent()
    finally:
        questions.stop()


def _said(check: str, node: str, text: str, cause: str) -> Line:
    what = advice(cause)
    return f"{check}: {node}: {text}; {what}", {"check": check, "node": node, "ok": False, "text": text, "advice": what}


def _right(check: str) -> Line:
    return f"{check}: ok", {"check": check, "node": "", "ok": True, "text": "", "advice": ""}


def doctor(context: Context, words: Words) -> Iterator[Step]:
    nodes, views, silent = nodes_of(context), Views(), list[Line]()
    yield from _look(context, views, silent)
    for check, found in (("nodes", _reached(nodes, silent)), ("links", _linked(context, nodes, views)),
                         ("versions", _versions(nodes)), ("clocks", _troubles(nodes)), ("members", _members(views))):
        lines = list(found)
        yield from lines or [_right(check)]
    later = Views()
    if any(_compare(views, views)):
        paused: Deferred[None] = Deferred()
        context.clock.callLater(PAUSE, paused.callback, None)
        while not paused.called:
            yield paused
        yield from _look(context, later, [])
    yield from list(_compare(views, later)) or [_right("tables")]


def _reached(nodes: Nodes, silent: list[Line]) -> Iterator[Line]:
    for _, columns in silent:
        yield _said("nodes", str(columns["node"]), str(columns["error"]), DOWN)
    for joining in nodes.members.joinings.known.values():
        yield _said("nodes", joining.address, f"it is to be joined: {joining.failure}", UNREACHABLE)


def _linked(context: Context, nodes: Nodes, views: Views) -> Iterator[Line]:
    for problem in context.service.problems():
        yield _said("links", problem.who, problem.text, problem.cause)
    for name, view in views.items():
        for other in views:
            if other != name and other not in view.links:
                yield _said("links", name, f"it has no link with {other}", MESH)


def _versions(nodes: Nodes) -> Iterator[Line]:
    for name, about in nodes.clocks.known.items():
        if about.version not in ("", nodes.clocks.version):
            yield _said("versions", name, f"it runs {about.version}, and this node {nodes.clocks.version}", VERSION)


def _troubles(nodes: Nodes) -> Iterator[Line]:
    for trouble in nodes.troubles.known.values():
        if trouble.kind != DOWN:
            yield _said("clocks" if trouble.kind == CLOCK else "members", trouble.where, trouble.text, trouble.kind)


def _members(views: Views) -> Iterator[Line]:
    first, *others = views
    for other in others:
        for name in sorted({*views[first].members, *views[other].members}):
            mine, theirs = views[first].members.get(name), views[other].members.get(name)
            if mine != theirs:
                yield _said("members", name, f"{first} knows {_row(mine)} of it, {other} {_row(theirs)}", ROLL)


def _row(row: tuple[object, ...] | None) -> str:
    return "nothing" if row is None else f"{row[0]} at {row[1]}, change {row[2]},"


def _compare(views: Views, later: Views) -> Iterator[Line]:
    """Copies that have not, `later`, what their author had before, or have another content after the same change."""
    for (author, table), (number, digest) in [(key, state) for name, view in views.items() for key, state in view.tables.items()
                                              if key[0] == name]:
        for name, view in later.items():
            found = view.tables.get((author, table))
            if name == author or found is None:
                continue
            if found[0] < number:
                yield _said("tables", name, f"{table} of {author}: it is {number - found[0]} changes behind", TABLE)
            elif found[0] == number and found[1] != digest:
                yield _said("tables", name, f"{table} of {author}: its copy differs", TABLE)


def add(registry: Registry) -> None:
    across.add(registry, "cluster view", "", "Show what each node knows of the others, for comparison", view,
               "`<node>: member <node>, state=<up|left>, address=<host:port>, stamp=<n>`, `<node>: link <node>`, and `<node>: "
               "table <routes|sessions> of <node>, number=<n>, digest=<n>`: how many changes of it the first one knows, and a "
               "digest of what it holds then")
    registry.add("cluster doctor", "", "Look whether all nodes are reached and know the same", doctor,
                 "for each of nodes, links, versions, clocks, members and tables `<check>: ok`, or `<check>: <node>: <what is "
                 "wrong>; <what to do>`")
