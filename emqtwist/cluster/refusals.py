"""Why a node does not get a link, or loses it: the closed list of causes, with what they mean."""
from typing import Final

from emqtwist.core.alarm import CRITICAL, ERROR, WARNING

WRONG_COOKIE: Final = "wrong_cookie"
WRONG_VERSION: Final = "wrong_version"
WRONG_CLUSTER: Final = "wrong_cluster"
SAME_NAME: Final = "same_name"
CERTIFICATE: Final = "certificate"
FLOOD: Final = "flood"
CROWD: Final = "crowd"
BAD_FRAME: Final = "bad_frame"
DEFECT: Final = "defect"
SLOW: Final = "slow"
SILENT: Final = "silent"
NO_NODE: Final = "no_node"
UNREACHABLE: Final = "unreachable"
ITSELF: Final = "itself"
SECOND_LINK: Final = "second_link"
CUT: Final = "cut"
LOST: Final = "lost"
GOODBYE: Final = "goodbye"

# Each is true on both sides, as the one tells it the other.
REFUSALS: Final[dict[str, str]] = {
    WRONG_COOKIE: "the cookies of the two differ",
    WRONG_VERSION: "the two speak no common version",
    WRONG_CLUSTER: "the two belong to clusters of different names",
    SAME_NAME: "two nodes have one name",
    CERTIFICATE: "TLS does not come about, or a certificate is not one of the cluster's",
    FLOOD: "more was sent than was asked for",
    CROWD: "more are at the port for nodes that have proved nothing yet than are taken",
    BAD_FRAME: "something was said that no node says",
    DEFECT: "something that was said met a defect; the log of the node that it was said to has it",
    SLOW: "less is taken than there is to tell",
    SILENT: "nothing was heard for too long",
    NO_NODE: "this is no node, or not one of ours",
    UNREACHABLE: "nobody answers",
    ITSELF: "a node has met itself",
    SECOND_LINK: "there is a link already",
    CUT: "one is to be told all anew, or is not of the cluster any more",
    LOST: "the connection was lost",
    GOODBYE: "one of the two stops",
}
# Of these somebody has to be told: the identifier of the alarm, and its severity.
ALARMS: Final[dict[str, tuple[str, str]]] = {
    WRONG_COOKIE: ("cluster_cookie", ERROR),
    WRONG_VERSION: ("cluster_version", ERROR),
    WRONG_CLUSTER: ("cluster_of_another_name", ERROR),
    SAME_NAME: ("cluster_name", CRITICAL),
    CERTIFICATE: ("cluster_certificate", ERROR),
    FLOOD: ("cluster_flood", ERROR),
    CROWD: ("cluster_crowd", ERROR),
    BAD_FRAME: ("cluster_bad_frame", ERROR),
    DEFECT: ("cluster_defect", ERROR),
    SLOW: ("cluster_slow", WARNING),
}
# These are the course of things.
QUIET: Final = frozenset({ITSELF, SECOND_LINK, CUT, LOST, GOODBYE})


LONGEST: Final = 200  # characters that are believed of what the other tells


class Refused(Exception):
    """There is no link, or no more; `cause` is one of REFUSALS, `detail` says more. It crosses the wire as `cause: detail`."""

    def __init__(self, cause: str, detail: str = "") -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause = cause
        self.detail = detail

    @property
    def text(self) -> str:
        """In words."""
        meaning = REFUSALS[self.cause]
        return f"{meaning}: {self.detail}" if self.detail else meaning


def told(text: str) -> Refused:
    """What the other says: only causes that are known, and of the rest not too much."""
    cause, _, detail = text.partition(": ")
    said = "".join([each for each in detail[:LONGEST] if each.isprintable()])
    return Refused(cause if cause in REFUSALS else NO_NODE, f"it says: {said}" if said else "it says so")
