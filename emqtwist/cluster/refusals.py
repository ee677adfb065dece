"""Why a node does not get a link, or loses it: the closed list of causes, with what they mean."""
from typing import Final

WRONG_COOKIE: Final = "wrong_cookie"
WRONG_VERSION: Final = "wrong_version"
WRONG_CLUSTER: Final = "wrong_cluster"
SAME_NAME: Final = "same_name"
NOT_A_MEMBER: Final = "not_a_member"
CERTIFICATE: Final = "certificate"
FLOOD: Final = "flood"
BAD_FRAME: Final = "bad_frame"
DEFECT: Final = "defect"
SLOW: Final = "slow"
SILENT: Final = "silent"
NO_NODE: Final = "no_node"
UNREACHABLE: Final = "unreachable"
ITSELF: Final = "itself"
SECOND_LINK: Final = "second_link"
GOODBYE: Final = "goodbye"

REFUSALS: Final[dict[str, str]] = {
    WRONG_COOKIE: "the other does not know the cookie",
    WRONG_VERSION: "the two speak no common version",
    WRONG_CLUSTER: "the other belongs to another cluster",
    SAME_NAME: "two nodes have one name",
    NOT_A_MEMBER: "the other has left the cluster, or was made to",
    CERTIFICATE: "TLS did not come about, or a certificate is not one of the cluster's",
    FLOOD: "the other sent more than it was told to",
    BAD_FRAME: "the other sent what no node sends",
    DEFECT: "what the other said met a defect here; the log has it",
    SLOW: "the other takes less than it is to be told",
    SILENT: "nothing came from the other for too long",
    NO_NODE: "whoever connected is no node",
    UNREACHABLE: "nobody answers at the address",
    ITSELF: "the address is this node's own",
    SECOND_LINK: "there is a link already",
    GOODBYE: "the other stops",
}
# Of these somebody has to be told, with the severity of the alarm.
ALARMS: Final[dict[str, str]] = {
    WRONG_COOKIE: "error", WRONG_VERSION: "error", WRONG_CLUSTER: "error", SAME_NAME: "critical", CERTIFICATE: "error",
    FLOOD: "error", BAD_FRAME: "error", DEFECT: "error", SLOW: "warning",
}
# These are the course of things.
QUIET: Final = frozenset({ITSELF, SECOND_LINK, GOODBYE})


class Refused(Exception):
    """There is no link; `cause` is one of REFUSALS, `detail` says more. It crosses the wire as `cause: detail`."""

    def __init__(self, cause: str, detail: str = "") -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause = cause
        self.detail = detail

    @property
    def text(self) -> str:
        """In words."""
        meaning = REFUSALS.get(self.cause, self.cause)
        return f"{meaning}: {self.detail}" if self.detail else meaning


def told(text: str) -> Refused:
    """What the other has told: only causes that are known, and of the rest not too much."""
    cause, _, detail = text.partition(": ")
    return Refused(cause if cause in REFUSALS else NO_NODE, "".join(each for each in detail[:200] if each.isprintable()))
