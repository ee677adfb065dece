"""What a node says of itself, and what it asks of the others."""
from dataclasses import dataclass

from emqtwist.cluster.wire import NEWEST, OLDEST


@dataclass(frozen=True, kw_only=True)
class Terms:
    """`address` is where others reach this node; `role` is what it comes as, if not as a node of the cluster.

    `window` is in bytes, the rest in seconds. `heartbeat` is the longest that nothing is said, `timeout` the longest that nothing
    is heard.
    """

    cluster: str = "emqtwist"
    node: str
    incarnation: str
    address: str = ""
    cookie: str = ""
    window: int = 1 << 20
    heartbeat: float = 1.0
    timeout: float = 5.0
    role: str = ""
    oldest: int = OLDEST
    newest: int = NEWEST
