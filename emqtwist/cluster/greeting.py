"""What two nodes say of themselves before there is a link, and what follows from it."""
import re
from typing import Any, Final

from emqtwist.cluster import proving
from emqtwist.cluster.refusals import NO_NODE, WRONG_CLUSTER, WRONG_VERSION, Refused
from emqtwist.cluster.terms import Terms

NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}@[A-Za-z0-9_.:-]{1,255}")
INCARNATION: Final = re.compile(r"[!-~]{1,64}")
ADDRESS: Final = re.compile(r"[!-~]{0,300}")
SMALLEST_WINDOW: Final = 1024


class Greeting:
    """The other, as it says it is: `node`, `incarnation`, `address`; `version` is what the two speak.

    `window` is how many bytes may be under way to either, `said` all that both have said, for the proofs.
    """

    def __init__(self, terms: Terms, version: int, said: bytes, node: str, incarnation: str, address: str, window: int,
                 nonce: bytes) -> None:
        if not NAME.fullmatch(node) or not INCARNATION.fullmatch(incarnation) or not ADDRESS.fullmatch(address):
            raise Refused(NO_NODE, "its name, incarnation or address is none")
        if window < SMALLEST_WINDOW or len(nonce) != proving.SIZE:
            raise Refused(NO_NODE, "its window or its random number is none")
        self.version = version
        self.said = said
        self.node = node
        self.incarnation = incarnation
        self.address = address
        self.window = min(window, terms.window)  # the smaller of both


def hello(terms: Terms, nonce: bytes) -> dict[str, Any]:
    """What who dials says."""
    said = {"oldest": terms.oldest, "newest": terms.newest, "cluster": terms.cluster, "node": terms.node,
            "incarnation": terms.incarnation, "address": terms.address, "window": terms.window, "nonce": nonce}
    return {**said, "role": terms.role} if terms.role else said


def answer(terms: Terms, version: int, nonce: bytes) -> dict[str, Any]:
    """What who was dialled says."""
    return {"version": version, "node": terms.node, "incarnation": terms.incarnation, "address": terms.address,
            "window": terms.window, "nonce": nonce}


def version_for(terms: Terms, oldest: int, newest: int) -> int:
    """The newest that both speak; Refused when there is none."""
    version = min(terms.newest, newest)
    if version < max(terms.oldest, oldest):
        raise Refused(WRONG_VERSION, f"{terms.node} speaks {terms.oldest} to {terms.newest}, the other {oldest} to {newest}")
    return version


def asked(terms: Terms, said: dict[str, Any], nonce: bytes) -> tuple[Greeting, dict[str, Any]]:
    """Who has dialled, and what to answer; Refused when it is not for us. `nonce` is ours."""
    version = version_for(terms, said["oldest"], said["newest"])
    if said["cluster"] != terms.cluster and "role" not in said:
        raise Refused(WRONG_CLUSTER, f"{terms.node} is of {terms.cluster}")
    reply = answer(terms, version, nonce)
    return _greeting(terms, version, said, reply, said), reply


def answered(terms: Terms, said: dict[str, Any], reply: dict[str, Any]) -> Greeting:
    """Who was dialled; Refused when it answers what it cannot. `said` is what we said."""
    if not terms.oldest <= reply["version"] <= terms.newest:
        raise Refused(WRONG_VERSION, f"it chose {reply['version']}, which was not offered")
    return _greeting(terms, reply["version"], said, reply, reply)


def _greeting(terms: Terms, version: int, said: dict[str, Any], reply: dict[str, Any], other: dict[str, Any]) -> Greeting:
    both = proving.transcript(*[part[key] for part in (said, reply) for key in sorted(part)])
    return Greeting(terms, version, both, other["node"], other["incarnation"], other["address"], other["window"], other["nonce"])
