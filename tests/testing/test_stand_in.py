"""A program cannot tell an InlineTaskManager from a TaskManager, as far as it needs no two things at a time."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from tasker import TaskManager
from tasker.testing import InlineTaskManager

from .scenarios import SCENARIOS
from .scenarios_of_ends import ENDS


@pytest.mark.parametrize("scenario", [*SCENARIOS, *ENDS], ids=lambda scenario: scenario.__name__)
def test_the_same_is_seen(scenario: Callable[[Any], Any]) -> None:
    """Results, errors and their texts, attempts, callbacks, statistics and reports are the same."""
    assert scenario(InlineTaskManager) == scenario(TaskManager)


def test_it_has_the_same_methods() -> None:
    """Each public method takes the same arguments, and is documented."""
    for name, method in inspect.getmembers(TaskManager, callable):
        if name.startswith("_"):
            continue
        own = getattr(InlineTaskManager, name)
        assert inspect.signature(own).parameters == inspect.signature(method).parameters, name
        assert own.__doc__, name
