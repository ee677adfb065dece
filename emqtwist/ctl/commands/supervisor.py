"""supervisor: the tree of parts."""
from collections.abc import Iterator, Sequence

from emqtwist.ctl.registry import Context, Line, Refused, Registry


def tree(context: Context, words: Sequence[str]) -> Iterator[Line]:
    if context.root is None:
        raise Refused("This broker has no supervisor.")
    for path, row in list(context.root.walk()):
        failure = "" if row.failure is None else row.failure.getErrorMessage()
        columns: dict[str, object] = {"path": path, "state": row.state, "restarts": row.restarts, "failure": failure}
        yield f"{path}: {row.state}, restarts={row.restarts}" + (f", last failure: {failure}" if failure else ""), columns


def add(registry: Registry) -> None:
    registry.add("supervisor tree", "", "Show every part with its state", tree)
