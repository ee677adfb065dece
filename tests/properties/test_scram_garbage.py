"""SCRAM messages of any kind: a decision each time, never an exception, and nobody in without a proof."""
from hypothesis import given
from hypothesis import strategies as st

from emqtwist.access.scram import Scram
from emqtwist.access.verifiers import make
from emqtwist.core.access import Accept, Client, Continue, Refuse
from emqtwist.core.door import Door, Peer

METHOD = Scram({"user": make("pencil", bytes(16), 4096)}, 4096, lambda: "nonce")
PARTS = st.sampled_from([
    "n", "y", "p", "p=tls-unique", "a=x", "n=user", "n=", "n==2C", "n=\u0627", "r=x", "r=xnonce", "r=", "m=x", "c=biws", "c=eSws",
    "c=?", "p=AAAA", "p=", "p=" + "A" * 43 + "=", "s=x", "i=1", "v=x", "e=x", "x=\x00", "", "=", "\ud7ff"])
MESSAGES = st.one_of(st.none(), st.binary(max_size=40), st.text(max_size=40).map(str.encode),
                     st.lists(PARTS, max_size=6).map(lambda parts: ",".join(parts).encode()))
FIRST = st.sampled_from([b"n,,n=user,r=x", b"y,,n=user,r=x", b"n,,n=nobody,r=x"])


@given(st.one_of(FIRST, MESSAGES), st.lists(MESSAGES, max_size=3))
def test_any_messages_are_decided(first: bytes | None, later: list[bytes | None]) -> None:
    talk = METHOD.open(Client("", None, Door("tcp.default"), Peer("", "", True)))
    for data in [first, *later]:
        step = talk.take(data).decision
        assert isinstance(step, Continue | Refuse | Accept)
        assert not isinstance(step, Accept)
        if isinstance(step, Refuse):
            break
