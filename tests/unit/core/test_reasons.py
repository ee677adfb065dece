"""Reason Strings: with every refusal, where the client wants them and they fit."""
import pytest

from emqtwist.mqtt import constants as c
from emqtwist.mqtt.packets import (
    Connack,
    Connect,
    Disconnect,
    Explained,
    Packet,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
)
from tests.peers import World, properties

# What a client sends, the packet that refuses it, its reason code, and the size that this packet has without words.
REFUSED: list[tuple[Packet, type[Explained], int, int]] = [
    (Publish(b"$SYS/x", b"", 1, packet_id=1), Puback, c.NOT_AUTHORIZED, 5),
    (Publish(b"$SYS/x", b"", 2, packet_id=1), Pubrec, c.NOT_AUTHORIZED, 5),
    (Pubrec(1), Pubrel, c.PACKET_IDENTIFIER_NOT_FOUND, 5),
    (Pubrel(1), Pubcomp, c.PACKET_IDENTIFIER_NOT_FOUND, 5),
    (Subscribe(1, [(b"a#", 0)]), Suback, c.TOPIC_FILTER_INVALID, 6),
    (Unsubscribe(1, [b"a#"]), Unsuback, c.TOPIC_FILTER_INVALID, 6),
]
ENDING: list[tuple[Packet, type[Explained], int, int]] = [
    (Publish(b"a#", b""), Disconnect, c.TOPIC_NAME_INVALID, 3),
]
SMALLEST_CONNACK = 19  # that of these tests; a client that takes less gets no answer at all
each_refusal = pytest.mark.parametrize("scene", REFUSED, ids=lambda scene: scene[1].__name__)
each_answer = pytest.mark.parametrize("scene", REFUSED + ENDING, ids=lambda scene: scene[1].__name__)
Scene = tuple[Packet, type[Explained], int, int]


def answer(scene: Scene, **options: int) -> Explained:
    packet, kind, code, _ = scene
    alice = World().connect("alice", **options)
    alice.send(packet)
    refusal = alice.one(kind)
    codes = refusal.reason_codes if isinstance(refusal, Suback | Unsuback) else [getattr(refusal, "reason_code", 0)]
    assert codes == [code]
    return refusal


def words(refusal: Explained) -> str | None:
    return refusal.properties.reason_string if refusal.properties is not None else None


@each_answer
def test_a_refusal_has_words(scene: Scene) -> None:
    assert words(answer(scene))
    assert words(answer(scene, request_problem_information=1))


@each_refusal
@pytest.mark.mqtt5("3.1.2-29")
def test_who_wants_no_problem_information_gets_none(scene: Scene) -> None:
    assert answer(scene, request_problem_information=0).properties is None


def test_disconnect_has_words_in_any_case() -> None:
    assert words(answer(ENDING[0], request_problem_information=0))


@each_answer
def test_words_that_do_not_fit_are_left_out(scene: Scene) -> None:
    text = words(answer(scene))
    assert text is not None
    whole = SMALLEST_CONNACK + len(text)
    assert words(answer(scene, maximum_packet_size=whole + 10)) == text
    assert words(answer(scene, maximum_packet_size=SMALLEST_CONNACK)) is None


@pytest.mark.parametrize("wants", [0, 1, None])
def test_connack_has_words_in_any_case(wants: int | None) -> None:
    world = World("mqtt.allow_anonymous = off")
    assert words(world.peer().connect("alice", request_problem_information=wants))


@pytest.mark.mqtt5("3.2.2-19")
def test_words_that_do_not_fit_are_left_out_of_connack() -> None:
    peer = World("mqtt.allow_anonymous = off").peer()
    peer.send(Connect(5, "alice", properties=properties(maximum_packet_size=5)))
    refusal = peer.one(Connack)
    assert (refusal.reason_code, refusal.properties) == (c.NOT_AUTHORIZED, None)


def test_what_went_well_has_no_words() -> None:
    alice = World().connect("alice")
    alice.send(Subscribe(1, [(b"a", 0)]))
    assert alice.one(Suback).properties is None
    alice.send(Unsubscribe(2, [b"a", b"a"]))
    unsuback = alice.one(Unsuback)
    assert (unsuback.reason_codes, unsuback.properties) == ([c.SUCCESS, c.NO_SUBSCRIPTION_EXISTED], None)
