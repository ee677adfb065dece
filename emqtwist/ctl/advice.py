"""What to do about what is wrong with a cluster, by its cause."""
from typing import Final

from emqtwist.cluster import refusals as r
from emqtwist.core.cluster.troubles import CLEANED, CLOCK, DOWN, NAME, REMOVED

TABLE: Final = "table"
VERSION: Final = "version"
ROLL: Final = "roll"
MESH: Final = "mesh"
UNREACHABLE: Final = r.UNREACHABLE

ADVICE: Final[dict[str, str]] = {
    DOWN: "start it again; if it does not come back, `cluster force-leave` removes it with what waits for it",
    CLOCK: "have the clocks of both machines set by NTP",
    NAME: "give one of them another node.name, and start it again",
    REMOVED: "`cluster join` brings it back",
    CLEANED: "`cluster join` there brings it back",
    TABLE: "it is mended by itself; if it lasts, `supervisor restart cluster` there has all told anew",
    VERSION: "update the older one when you can",
    ROLL: "it is mended when the two are linked",
    MESH: "see that the two reach each other, and what `cluster status` says on either",
    r.WRONG_COOKIE: "give both nodes the same cluster.cookie",
    r.WRONG_VERSION: "update the older of both",
    r.WRONG_CLUSTER: "give both nodes the same cluster.name, or take the address out of cluster.seeds",
    r.SAME_NAME: "give one of them another node.name, and start it again",
    r.CERTIFICATE: "see that both have certificates of the same authority, and that they are not over",
    r.FLOOD: "see what the log of that node says, and which version it runs",
    r.CROWD: "see who connects to the port of the cluster, and keep them from it: meanwhile nodes are shut out as well",
    r.BAD_FRAME: "see what the log of that node says, and which version it runs",
    r.DEFECT: "see what the logs of both nodes say",
    r.SLOW: "see how busy that node and the network between are",
    r.SILENT: "see whether that node runs, and what is between",
    r.NO_NODE: "see who connects to the port of the cluster: it is for nodes only",
    r.UNREACHABLE: "see that the node runs, and that its address and port can be reached from here",
}


def advice(cause: str) -> str:
    return ADVICE[cause]
