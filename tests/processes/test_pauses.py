"""A child that has to wait for its parent's judgement begins nothing out of turn, whatever was on its way."""

from __future__ import annotations

import sys
import threading
from types import ModuleType
from typing import Any

import pytest

from support.files_between_processes import Notes
from tasker import TravelError
from tasker.remote.threads_window import ThreadsWindow
from tasker.remote.window import InFlightWindow

from . import work

TASKS = 1500


def fail_at_times(ctx: Any, thing: Any, number: int) -> int:
    """Every fiftieth raises."""
    work.note(ctx, thing, number)
    if number % 50 == 49:
        raise LookupError(number)
    return number


async def afail_at_times(ctx: Any, thing: Any, number: int) -> int:
    """`fail_at_times` as a coroutine function."""
    return fail_at_times(ctx, thing, number)


def unpicklable(ctx: Any, thing: Any) -> Any:
    """A result that cannot be pickled."""
    return threading.Lock()


def check(notes: Notes, outcomes: list[Any]) -> None:
    """Each task ran once, in order, and has its own outcome."""
    for number, outcome in enumerate(outcomes):
        if number % 50 == 49:
            assert isinstance(outcome, LookupError)
            assert outcome.args == (number,)
        else:
            assert outcome == number
    assert notes.numbers("start") == [*range(len(outcomes))]


def test_errors_after_results_that_cannot_be_pickled(make: Any, notes: Notes) -> None:
    """The child pauses for the error that takes the place of such a result, as its parent takes it to."""
    with make(check_health=lambda error: True) as m:
        for _ in range(3):
            assert isinstance(m.submit(unpicklable).exception(30), TravelError)
        futures = [m.submit(fail_at_times, n, once=True) for n in range(TASKS)]
        check(notes, [future.exception(30) or future.result(0) for future in futures])
    assert m.stats().lost_workers == 0


async def test_errors_after_results_that_cannot_be_pickled_in_asyncio(amake: Any, notes: Notes) -> None:
    """The same with an AsyncTaskManager."""
    async with amake(check_health=lambda error: True) as m:
        for _ in range(3):
            with pytest.raises(TravelError):
                await m.submit(unpicklable)
        outcomes = []
        for future in [m.submit(afail_at_times, n, once=True) for n in range(TASKS)]:
            try:
                outcomes.append(await future)
            except LookupError as error:
                outcomes.append(error)
        check(notes, outcomes)
    assert m.stats().lost_workers == 0


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function of a module that no child has."""
    module = ModuleType("module_of_the_parent_alone")
    exec("def missing(ctx, thing, number): return number", module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module.__dict__["missing"]


def test_messages_behind_one_that_cannot_be_read(
    make: Any, notes: Notes, missing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sent behind it begins only when its turn comes: each task ends, and none runs twice."""
    # Several small messages on their way, none of them answered before all are sent.
    monkeypatch.setattr(InFlightWindow, "room", lambda self: 8 if self.in_hand < 64 else 0)
    receive = ThreadsWindow.receive
    monkeypatch.setattr(ThreadsWindow, "receive", lambda self: receive(self) if self.room() == 0 else None)
    bad = (12, 19, 27, 38, 52)
    with make() as m:
        futures = [m.submit(missing if n % 64 in bad else work.note, n, once=True) for n in range(640)]
        # As many as keep the window full to the last.
        futures += [m.submit(work.note, n, once=True) for n in range(640, 720)]
        monkeypatch.setattr(ThreadsWindow, "receive", receive)
        for number, future in enumerate(futures):
            if number < 640 and number % 64 in bad:
                assert isinstance(future.exception(30), TravelError)
            else:
                assert future.result(30) == number
    starts = notes.numbers("start")
    assert len(starts) == len({*starts}) == 720 - 50
    assert m.stats().lost_workers == 0
