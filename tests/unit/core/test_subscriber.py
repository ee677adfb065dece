"""What a subscription grants, and how overlapping ones become one."""
import pytest

from emqtwist.core.message import Message
from emqtwist.core.subscriber import OPTION_UPGRADE_QOS, Overlap, Subscriber, Subscription, granted
from emqtwist.mqtt.constants import OPTION_NO_LOCAL, OPTION_RETAIN_AS_PUBLISHED

ALICE = Subscriber("alice")


def subscription(options: int, *identifiers: int) -> Subscription:
    return Subscription(ALICE, b"a", options, identifiers)


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("most", [0, 1, 2])
@pytest.mark.mqtt5("3.8.4-8")
def test_the_lower_qos_is_granted_or_the_higher_where_it_is_upgraded(qos: int, most: int) -> None:
    message = Message(b"a", b"", qos, True)
    assert granted(message, most) == 0x30 | min(qos, most) << 1
    assert granted(message, most | OPTION_UPGRADE_QOS) == 0x30 | max(qos, most) << 1
    assert granted(message, most | OPTION_NO_LOCAL | OPTION_RETAIN_AS_PUBLISHED) == 0x30 | min(qos, most) << 1


@pytest.mark.mqtt5("3.8.3-3")
def test_a_single_subscription_without_no_local_holds_for_own_messages() -> None:
    plain = subscription(1)
    assert plain.for_own() is plain
    assert subscription(1 | OPTION_NO_LOCAL).for_own() is None


@pytest.mark.mqtt5("3.3.4-2", "3.3.4-4")
def test_an_overlap_has_the_highest_qos_all_options_and_all_identifiers() -> None:
    both = Overlap(Overlap(subscription(1, 1), subscription(2 | OPTION_NO_LOCAL, 2)), subscription(OPTION_RETAIN_AS_PUBLISHED, 3))
    assert both.options == 2 | OPTION_NO_LOCAL | OPTION_RETAIN_AS_PUBLISHED
    assert both.identifiers == (1, 2, 3)
    assert both.subscriber is ALICE


def test_for_own_messages_an_overlap_is_what_has_no_no_local() -> None:
    overlap = Overlap(Overlap(subscription(1, 1), subscription(2 | OPTION_NO_LOCAL, 2)), subscription(0, 3))
    own = overlap.for_own()
    assert own is not None
    assert (own.options, own.identifiers) == (1, (1, 3))


def test_an_overlap_of_no_local_alone_leaves_nothing_for_own_messages() -> None:
    overlap = Overlap(subscription(OPTION_NO_LOCAL), Overlap(subscription(OPTION_NO_LOCAL), subscription(OPTION_NO_LOCAL)))
    assert overlap.for_own() is None


def test_a_subscriber_by_itself_takes_nothing_and_refuses_nothing() -> None:
    message = Message(b"a", b"")
    ALICE.deliver(message, 0x30, ())
    ALICE.broken(ValueError())
    assert (ALICE.room(), ALICE.refuses(message), ALICE.direct, len(ALICE.replays)) == (0, False, None, 0)
