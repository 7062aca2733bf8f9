"""What both engines tell the supervisor of the load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tasker import AsyncTaskManager, Config
from tasker.control.events import Load
from tasker.core.counters import Flow
from tasker.core.planning import load_of


@dataclass
class Waiting:
    """A task in the queue."""

    _queued_at: float
    attempts: int = 0


def waited(*levels: list[Any], queued: int = 1) -> float:
    """For how long the first task has waited, at 10 s."""
    return load_of(Flow(accepted=9, queued=queued, running=0, done=0), levels, 10.0).oldest_wait


def test_run_task_is_not_the_workers_load() -> None:
    """Tasks of run_task neither arrive at the queue, nor run on a worker, nor end there."""
    flow = Flow(accepted=20, queued=3, running=7, done=10, inline_running=5, inline_done=4)
    assert load_of(flow, (), 0.0) == Load(queued=3, running=2, arrived=11, ended=6)


@pytest.mark.parametrize(
    ("levels", "seconds"),
    [
        (([], [], []), 0.0),
        (([], [Waiting(8.0), Waiting(9.0)], []), 2.0),
        (([Waiting(9.0)], [Waiting(8.0)], [Waiting(3.0)]), 7.0),
        (([Waiting(11.0)],), 0.0),
        (([Waiting(1.0, attempts=1)], [Waiting(8.0)]), 2.0),
    ],
)
def test_the_oldest_wait(levels: Any, seconds: float) -> None:
    """The longest of the heads of the levels; a retry has waited since its failure, which is not known."""
    assert waited(*levels) == seconds


def test_nothing_waits() -> None:
    """A task that has ended and still lies in the queue does not wait."""
    assert waited([Waiting(1.0)], queued=0) == 0.0


def test_a_manager_that_was_not_started_explains_itself() -> None:
    """Outside of its loop, too: no workers, its bounds, no decision."""
    explained = AsyncTaskManager(Config(on_create=object, worker_count=2)).explain()
    assert (explained.target, explained.worker_count, explained.max_worker_count) == (0, 2, 4)
    assert str(explained).splitlines() == [
        "0 workers wanted (2 to 4 allowed): 0 ready, 0 starting",
        "now: the policy was not asked",
    ]
