"""Deadlines against a plain dictionary."""
from hypothesis import given
from hypothesis import strategies as st

from emqtwist.core.deadlines import Deadlines

ACTIONS = st.sampled_from(["set", "set", "clear", "take"])
STEPS = st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0, 1, 2, 3, 5, 8]), ACTIONS), max_size=300)


@given(STEPS, st.integers(1, 20))
def test_what_is_due_is_what_a_dictionary_would_say(steps: list[tuple[int, int, str]], pace: int) -> None:
    deadlines: Deadlines[int] = Deadlines()
    model: dict[int, float] = {}
    for number, (key, ahead, action) in enumerate(steps):
        now = float(number // pace)
        if action == "set":
            model[key] = now + ahead
            deadlines.set(key, now + ahead)
        elif action == "clear":
            model.pop(key, None)
            deadlines.clear(key)
        else:
            due = sorted([(when, key) for key, when in model.items() if when <= now])
            assert deadlines.take(now) == [key for _, key in due]
            for _, taken in due:
                del model[taken]
        assert len(deadlines) == len(model)
