"""Sessions against a naive reference: who gets what, when, how often and in which order, whatever clients do."""
from hypothesis import given, settings

from tests.properties.sessions.histories import histories
from tests.properties.sessions.operations import History


@settings(max_examples=10 * settings().max_examples)
@given(histories)
def test_every_session_gets_what_it_is_owed_and_nothing_else(history: History) -> None:
    history.play()
