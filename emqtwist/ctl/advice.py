"""What to do about what is wrong with a cluster, by its cause."""
from typing import Final

from emqtwist.core.cluster.troubles import CLOCK, DOWN, NAME, REMOVED

TABLE: Final = "table"
VERSION: Final = "version"
ROLL: Final = "roll"
MESH: Final = "mesh"

ADVICE: Final[dict[str, str]] = {
    DOWN: "start it again; if it does not come back, `cluster force-leave` removes it with what waits for it",
    CLOCK: "have the clocks of both machines set by NTP",
    NAME: "give one of them another node.name, and start it again",
    REMOVED: "`cluster join` brings it back",
    TABLE: "it is mended by itself; if it lasts, cut the link: `supervisor restart cluster`",
    VERSION: "update the older one when you can",
    ROLL: "it is mended when the two are linked",
    MESH: "see that the two reach each other, and what `cluster status` says on either",
    # why there is no link
    "wrong_cookie": "give both nodes the same cluster.cookie",
    "wrong_version": "update the older of both",
    "wrong_cluster": "give both nodes the same cluster.name, or take the address out of cluster.seeds",
    "same_name": "give one of them another node.name, and start it again",
    "not_a_member": "`cluster join` brings it back, if it should be one",
    "certificate": "see that both have certificates of the same authority, and that they are not over",
    "flood": "see what the log of that node says, and which version it runs",
    "bad_frame": "see what the log of that node says, and which version it runs",
    "defect": "see what the log of this node says",
    "slow": "see how busy that node and the network between are",
    "silent": "see whether that node runs, and what is between",
    "no_node": "see who connects to the port of the cluster: it is for nodes only",
    "unreachable": "see that the node runs, and that its address and port can be reached from here",
}
UNKNOWN: Final = "see what the logs of both nodes say"


def advice(cause: str) -> str:
    return ADVICE.get(cause, UNKNOWN)
