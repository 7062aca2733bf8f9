"""Shared values of Ray, over references that are none: what is given back while it is on its way."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from tasker.ray import sharing
from tasker.ray.sharing import Values, _Object, referring
from tasker.remote.sharing import Key, Shared


@pytest.fixture
def told() -> set[Key]:
    """The keys that a session has told its actor of."""
    return set()


def test_a_value_that_is_given_back_while_it_is_pickled(told: set[Key]) -> None:
    """Either the session has noted it by then, and its actor is told to forget it; or the handle counts as closed."""
    disconnected: list[bool] = []
    place = _Object("reference", lambda: disconnected.append(True))
    shared: Shared[Any] = Shared("a value", place)
    with referring(told) as references:
        pickle.dumps(shared)
        assert references == [(shared._key, "reference")]
        assert told == {shared._key}
        place.release()  # as by another thread, which is between this and the end of the handle
        with pytest.raises(ValueError, match="was closed"):
            pickle.dumps(shared)
    assert disconnected == [True]
    assert len(references) == 1


def test_outside_of_a_call() -> None:
    """There, nothing would go beside the pickle."""
    shared: Shared[Any] = Shared("a value", _Object("reference", lambda: None))
    with pytest.raises(TypeError, match="RayBackend"):
        pickle.dumps(shared)


def test_an_actor_does_not_remember_all_that_were_closed() -> None:
    """A driver may share millions of values, one after the other."""
    values = Values()
    for number in range(sharing._MOST_GONE + 50):
        values.forget((1, number))
    assert len(values._gone) == sharing._MOST_GONE
    assert (1, sharing._MOST_GONE + 49) in values._gone
