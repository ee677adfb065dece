"""Whether a decision comes at once or later, and wherever the bytes are cut: the client gets the same."""
from hypothesis import given
from hypothesis import strategies as st

from emqtwist.core.access import Step
from emqtwist.mqtt import constants as c
from emqtwist.mqtt.encoder import encode
from emqtwist.mqtt.packets import Packet, Pingreq, Publish, Subscribe
from tests.methods import NAME, Method, auth, more, no, opening, yes
from tests.peers import World

STEPS = st.lists(st.sampled_from([more(), more(b""), yes(), yes(), yes(data=b"end"), no()]), min_size=1, max_size=8)
PACKETS = st.lists(st.sampled_from([
    auth(b"x"), auth(b"x"), auth(b"x", c.RE_AUTHENTICATE), auth(b"x", c.RE_AUTHENTICATE), Pingreq(), Subscribe(7, [(b"a", 1)]),
    Publish(b"a", b"0"), Publish(b"a", b"1", 1, packet_id=1), Publish(b"a", b"2", 2, packet_id=2)]), max_size=12)


def run(chunks: list[bytes], steps: list[Step], late: list[bool]) -> tuple[list[bytes], bool]:
    """All that a client gets that sends these chunks, in order, and whether its connection is closed.

    Each step is decided at once, or where `late` says so at some later chunk, or after the last one.
    """
    world = World()
    world.broker.methods[NAME] = method = Method()
    waits = iter(late * 100)
    answers = iter([*steps, *[no()] * 100])
    peer = world.peer()
    peer.version = 5
    for chunk in chunks:
        peer.write(chunk)
        world.settle()
        while method.pending and not next(waits):
            method.decide(next(answers))
            world.settle()
    while method.pending:
        method.decide(next(answers))
        world.settle()
    return [encode(packet, 5) for packet in peer.received()], peer.closed


@given(PACKETS, STEPS, st.lists(st.booleans(), min_size=1, max_size=10), st.lists(st.integers(1, 60), max_size=8))
def test_a_late_decision_changes_nothing_but_the_time(packets: list[Packet], steps: list[Step], late: list[bool],
                                                      lengths: list[int]) -> None:
    each = [encode(packet, 5) for packet in [opening(data=b"x"), *packets]]
    chunks, rest = [], b"".join(each)
    for length in lengths:
        chunks.append(rest[:length])
        rest = rest[length:]
    assert run([*chunks, rest], steps, [*late, False]) == run(each, steps, [False])
