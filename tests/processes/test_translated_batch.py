"""The crash matrix of loky and CPython, where the fault strikes the manager's own process or the batch that a task is sent in."""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path
from typing import Any

import pytest

from tasker import TravelError, WorkerLost

from . import translated as tasks
from . import work
from .misbehaving import WhenPickled, WhenUnpickled, give, take


@pytest.mark.parametrize("way", ["exit", "interrupt", "cancelled"])
def test_an_argument_that_leaves_while_it_is_pickled(make: Any, way: str) -> None:
    """It is the outcome of its own task: its neighbours, which are sent with it, have their results."""
    with make() as m:
        assert [m.queue_task(work.echo, n) for n in range(20)] == [*range(20)]
        futures = [m.submit(work.echo, n, once=True) for n in range(40)]
        bad = m.submit(take, WhenPickled(way), once=True)
        futures += [m.submit(work.echo, n, once=True) for n in range(40, 80)]
        assert isinstance(bad.exception(30), TravelError)
        assert [future.result(30) for future in futures] == [*range(80)]


@pytest.mark.parametrize("way", ["exit", "interrupt", "cancelled"])
def test_a_result_that_leaves_while_it_is_unpickled(make: Any, way: str) -> None:
    """The same, in the thread that reads the results of its neighbours."""
    with make() as m:
        assert [m.queue_task(work.echo, n) for n in range(20)] == [*range(20)]
        futures = [m.submit(work.echo, n, once=True) for n in range(40)]
        bad = m.submit(give, WhenUnpickled, way, once=True)
        futures += [m.submit(work.echo, n, once=True) for n in range(40, 80)]
        assert isinstance(bad.exception(30), TravelError)
        assert [future.result(30) for future in futures] == [*range(80)]


def test_a_function_whose_module_ends_the_child(make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts as an attempt, and the tasks behind it are served."""
    home = tmp_path / "only_here.py"
    home.write_text(
        f"import os\nif os.getpid() != {multiprocessing.current_process().pid}: os._exit(3)\ndef task(*args): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import only_here  # type: ignore[import-not-found]

    with make() as m:
        bad = m.submit(only_here.task, once=True)
        good = m.submit(work.echo, 42)
        error = bad.exception(60)
        assert isinstance(error, WorkerLost)
        assert (error.exitcode, bad.attempts) == (3, 1)
        assert good.result(60) == 42
    del sys.modules["only_here"]


@pytest.mark.parametrize("times", range(3))
def test_a_task_with_a_pool_of_multiprocessing(make: Any, times: int) -> None:
    """It forks, closes and joins its pool, and returns."""
    with make() as m:
        assert [m.queue_task(tasks.use_pool) for _ in range(4)] == [1] * 4
