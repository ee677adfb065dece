"""supervisor: the tree of parts, and ends and fresh starts of them by hand."""
from collections.abc import Iterator

from emqtwist.ctl.context import Context
from emqtwist.ctl.registry import Line, Refused, Registry, Words, plain
from emqtwist.services.part import Part
from emqtwist.services.supervisor import Row, Supervisor


def tree(context: Context, words: Words) -> Iterator[Line]:
    for path, row in list(context.root.walk()):
        failure = "" if row.failure is None else row.failure.getErrorMessage()
        uptime = int(context.clock.seconds() - row.since) if row.state == "running" else 0
        columns: dict[str, object] = {"path": path, "state": row.state, "restarts": row.restarts, "uptime": uptime,
                                      "failure": failure}
        last = f", last failure: {failure}" if failure else ""
        yield f"{path}: {row.state}, restarts={row.restarts}, uptime={uptime}{last}", columns


def _found(context: Context, path: str) -> Row:
    try:
        return context.root.find(path)
    except KeyError:
        raise Refused("Not Found.") from None


def kill(context: Context, words: Words) -> list[Line]:
    row = _found(context, words[0])
    service = row.service
    if row.state not in ("running", "starting"):
        raise Refused(f"{words[0]} does not run: it is {row.state}")
    if not isinstance(service, Part | Supervisor):
        raise Refused(f"{words[0]} cannot be killed, only restarted")
    service.kill()
    return [plain("ok")]


async def restart(context: Context, words: Words) -> list[Line]:
    _found(context, words[0])
    await context.root.restart(words[0])
    return [plain("ok")]


def add(registry: Registry) -> None:
    registry.add("supervisor tree", "", "Show every part of the broker", tree,
                 "`<path>: <state>, restarts=<n>, uptime=<seconds>`, and the last failure if there was one")
    registry.add("supervisor kill", "<Path>", "End a part as a defect would, so that it is started again", kill,
                 "`ok`, `Not Found.`, or that it does not run")
    registry.add_waiting("supervisor restart", "<Path>", "Stop a part, and start a fresh one in its place", restart,
                         "`ok` when it runs, or `Not Found.`")
