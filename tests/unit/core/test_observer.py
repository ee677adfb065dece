"""Observers: each event reaches each of them, in turn."""
import inspect

import pytest

from emqtwist.core.observer import Observer, Observers

EVENTS = [name for name in vars(Observer) if not name.startswith("_")]


@pytest.mark.parametrize("event", EVENTS)
def test_each_event_reaches_each_observer_as_it_is(event: str) -> None:
    told: list[tuple[object, ...]] = []
    listener: type[Observer] = type("Listener", (Observer,), {event: lambda *arguments: told.append(arguments)})
    first, second, third = listener(), listener(), listener()
    observers = Observers(Observer(), first)
    observers.add(second, third)
    observers.remove(third)
    count = len(inspect.signature(getattr(Observers, event)).parameters) - 1
    getattr(observers, event)(*range(count))
    assert told == [(first, *range(count)), (second, *range(count))]
    assert count > 0
