"""What is looked up in the dictionaries of this process while other threads add to them.

Without the GIL that can happen at any moment, and with it in CPython 3.11 at each collection, which begins wherever an object
is made. So here something is added at each collection, and there are as many of them as possible.
"""

from __future__ import annotations

import contextvars
import gc
import itertools
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest

from tasker.process import sessions
from tasker.process.protocol import own_globals, pickling


@contextmanager
def added_to(dictionary: dict[str, Any], value: Any) -> Iterator[None]:
    """Adds to the dictionary at each collection."""
    names = (f"tasker_added_{number}" for number in itertools.count())
    added: list[str] = []

    def add(phase: str, info: object) -> None:
        if phase == "stop":
            added.append(next(names))
            dictionary[added[-1]] = value

    thresholds = gc.get_threshold()
    gc.callbacks.append(add)
    gc.set_threshold(1)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(add)
        for name in added:
            del dictionary[name]


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module with many variables, the last one of them."""
    module = ModuleType("tasker_home")
    vars(module).update({f"number_{number}": number for number in range(100)})
    vars(module).update(variable=contextvars.ContextVar("variable"), lock=threading.Lock())
    monkeypatch.setitem(sys.modules, "tasker_home", module)
    return module


@pytest.mark.parametrize("where", ["modules", "variables"])
def test_the_home_of_a_context_variable(home: ModuleType, where: str) -> None:
    """It is found, so the variable travels with the task."""
    with added_to(sys.modules if where == "modules" else vars(home), home):
        assert pickling.home_of(home.variable) == ("tasker_home", "variable")


def test_the_home_of_a_lock(home: ModuleType) -> None:
    """It is found, so a function that refers to it travels."""
    with added_to(vars(home), home):
        assert own_globals.reduced(home.lock)[1][:2] == ("tasker_home", "lock")


def test_the_levels_of_the_loggers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child gets those that were set."""
    logger = logging.getLogger("set")
    monkeypatch.setattr(logger, "level", logging.ERROR)
    loggers = {**dict.fromkeys(map(str, range(3000)), logging.root), "set": logger}
    monkeypatch.setattr(logging.root.manager, "loggerDict", loggers)
    with added_to(loggers, logging.root):
        levels = sessions._levels()
    assert levels["set"] == logging.ERROR


def test_variables_without_a_home_are_not_kept(home: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program may make one for each object: only some are remembered, and no further search looks at all names. One that is
    a global variable is found all the same."""
    monkeypatch.setattr(pickling, "_homeless", {})
    searches = []
    search = pickling._search
    monkeypatch.setattr(pickling, "_search", lambda variable: searches.append(variable) or search(variable))
    for number in range(3 * pickling._MOST_HOMELESS):
        assert pickling.home_of(contextvars.ContextVar(f"of object {number}")) is None
    assert len(pickling._homeless) == len(searches) == pickling._MOST_HOMELESS
    assert pickling.home_of(home.variable) == ("tasker_home", "variable")
    known = searches[0]
    assert pickling.home_of(known) is None
    assert len(searches) == pickling._MOST_HOMELESS, "no module was added"
