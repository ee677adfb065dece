"""cluster: which nodes belong to it, what is wrong with them, and changes of that by hand."""
from collections.abc import Iterator
from typing import Final

from emqtwist.core.cluster.clocks import About
from emqtwist.core.cluster.coming import ALREADY, BUSY, DONE, NODE_DOWN, NOT_IN, SELF
from emqtwist.core.cluster.nodes import Nodes
from emqtwist.core.cluster.roll import Member
from emqtwist.ctl.advice import advice
from emqtwist.ctl.awaiting import decided
from emqtwist.ctl.commands.clients import word
from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Refused, Registry, Words, plain
from emqtwist.services.systopics import NO_ONE

NONE: Final = "this node is none of a cluster: cluster.bind says where others find it"
STATUS: Final = (
    "`Cluster status: [{running_nodes,['<node>']},{stopped_nodes,['<node>']}]`; then for each node `Node(<node>, state=<up|down|"
    "leaving|left|joining>, address=<host:port>, since=<unix seconds>, version=<version>, incarnation=<text>, outbox=<n>, "
    "congested=<bool>, skew=<seconds>)`, where `outbox` is how many messages wait for it and `skew` by how much its clock is "
    "ahead; and for what is wrong `Problem(<node or address>, cause=<cause>, text=<text>, advice=<what to do>)`")


def nodes_of(context: Context) -> Nodes:
    nodes = context.service.nodes
    if nodes is None:
        raise Refused(NONE)
    return nodes


def _atoms(names: list[str]) -> str:
    """As emqttd prints them."""
    return "[" + ",".join(f"'{name}'" for name in names) + "]"


def _summary(context: Context) -> Line:
    nodes = context.service.nodes
    running = [context.node] if nodes is None else nodes.members.running()
    stopped = [] if nodes is None else nodes.members.stopped()
    stop = f",{{stopped_nodes,{_atoms(stopped)}}}" if stopped else ""
    return plain(f"Cluster status: [{{running_nodes,{_atoms(running)}}}{stop}]")[0], {}


def status(context: Context, words: Words) -> Iterator[Line]:
    yield _summary(context)
    nodes = context.service.nodes
    if nodes is None:
        return
    for name in sorted({nodes.cluster.node, *nodes.cluster.peers, *(member.name for member in nodes.members.roll.up())}):
        yield _node(context, nodes, name)
    for joining in list(nodes.members.joinings.known.values()):
        yield _line("Node", {"node": joining.name or joining.address, "state": "joining", "address": joining.address,
                             "since": context.unix(joining.since), "failure": joining.failure})
    yield from problems(context, nodes)


def problems(context: Context, nodes: Nodes) -> Iterator[Line]:
    """What is wrong, and what to do about it."""
    for trouble in list(nodes.troubles.known.values()):
        yield _problem(trouble.where, trouble.kind, trouble.text)
    for problem in context.service.problems():
        yield _problem(problem.who, problem.cause, problem.text)


def _problem(who: str, cause: str, text: str) -> Line:
    return _line("Problem", {"who": who, "cause": cause, "text": text, "advice": advice(cause)})


def _node(context: Context, nodes: Nodes, name: str) -> Line:
    members, peer = nodes.members, nodes.cluster.peers.get(name)
    member = members.roll.members.get(name, Member(name, "", 0, ""))
    if peer is None:
        return _line("Node", {"node": name, "state": _own_state(nodes), "address": members.address, "since": context.began,
                              "version": nodes.clocks.version, "incarnation": nodes.cluster.incarnation})
    about = nodes.clocks.known.get(name, About())
    state = "down" if peer.link is None else "leaving" if members.is_going(name) else "up"
    return _line("Node", {
        "node": name, "state": state, "address": member.address, "since": context.unix(peer.since), "version": about.version,
        "incarnation": peer.incarnation, "outbox": len(peer.outbox),
        "congested": peer.link is not None and peer.link.congested,
        "skew": None if about.skew is None or peer.link is None else round(about.skew, 3)})


def _own_state(nodes: Nodes) -> str:
    if nodes.members.leaving is not None:
        return "leaving"
    return "up" if nodes.members.is_in() else "left"


def _line(kind: str, columns: dict[str, object]) -> Line:
    first, *rest = columns.items()
    shown = [f"{key}={NO_ONE if value is None else word(value) if isinstance(value, bool) else value}" for key, value in rest]
    return f"{kind}({', '.join([str(first[1]), *shown])})", columns


def address_of(nodes: Nodes, node: str) -> str:
    """Where a node is that is named as `host:port`, `name@host:port`, or `name@host` with the port of this one."""
    host = node.rpartition("@")[2]
    port = host.rpartition(":")[2]
    if ":" in host and port.isdecimal() and not host.endswith("]"):
        return host
    return f"{host}:{nodes.members.address.rpartition(':')[2]}"


async def join(context: Context, words: Words) -> list[Line]:
    nodes = nodes_of(context)
    address = address_of(nodes, words[0])
    decision = await decided(context.broker.turn, nodes.members.join(address))
    if decision == SELF:
        return [plain("Ignore.")]
    if decision == DONE:
        return [plain("Join the cluster successfully."), _summary(context)]
    kind, _, why = decision.partition(": ")
    told = f"{{{kind},'{words[0]}'}}" if kind in (ALREADY, NODE_DOWN) else kind
    raise Refused(f"Failed to join the cluster: {told}" + (f": {why}" if why else ""))


async def leave(context: Context, words: Words) -> list[Line]:
    decision = await decided(context.broker.turn, nodes_of(context).members.leave())
    if decision == NOT_IN:
        raise Refused(f"Failed to leave the cluster: {decision}")
    lost = [plain(decision)] if decision else []
    return [plain("Leave the cluster successfully."), *lost, _summary(context)]


def force_leave(context: Context, words: Words) -> list[Line]:
    decision = nodes_of(context).members.force_leave(words[0])
    if decision == SELF:
        return [plain("Ignore.")]
    if decision != DONE:
        raise Refused(f"Failed to remove the node from cluster: {{{decision},'{words[0]}'}}")
    return [plain("Remove the node from cluster successfully."), _summary(context)]


def add(registry: Registry) -> None:
    registry.add("cluster status", "", "Show which nodes there are, their links, and what is wrong", status, STATUS)
    registry.add_waiting("cluster join", "<Node>", "Be of one cluster with a node, as host:port or name@host", join,
                         "`Join the cluster successfully.` and the first line of `cluster status`; `Ignore.`, if that is this "
                         f"node; or `Failed to join the cluster: `, and `{{{ALREADY},'<node>'}}`, `{{{NODE_DOWN},'<node>'}}: "
                         f"<why>` or `{BUSY}`")
    registry.add_waiting("cluster leave", "", "Be alone from now on; no client is dropped", leave,
                         "`Leave the cluster successfully.`, then how many messages for others are lost, if any are, and the "
                         f"first line of `cluster status`; or `Failed to leave the cluster: {NOT_IN}`")
    registry.add("cluster force-leave", "<Node>", "Remove a node, with what waits for it here", force_leave,
                 "`Remove the node from cluster successfully.` and the first line of `cluster status`; `Ignore.`, if that is "
                 f"this node; or `Failed to remove the node from cluster: {{{NOT_IN},'<node>'}}`")
