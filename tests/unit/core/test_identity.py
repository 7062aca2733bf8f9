"""What a worker knows of itself, and what on_create gets."""

from __future__ import annotations

from typing import Any

import pytest

from tasker import Config, Context, WorkerInfo
from tasker.context import RootContext
from tasker.control.events import Seat
from tasker.core.identity import WorkerContext, WorkerName, arguments_for, info_of


def config(**more: Any) -> Config[Any]:
    """With two workers at most, and an on_create that takes the worker."""
    return Config(**{"on_create": lambda worker: worker, "worker_count": 1, "name": "crew", **more})


def test_by_its_seat() -> None:
    """Slot and generation are those of the seat, the value that of the slot."""
    assert info_of(config(), Seat(2, 7)) == WorkerInfo(2, "crew-2", 7)
    assert info_of(config(per_worker=["a", "b"]), Seat(2, 7)) == WorkerInfo(2, "crew-2", 7, "b")


def test_a_name_knows_its_seat() -> None:
    """It is a string like any other, with the slot and the generation."""
    name = WorkerName.of("crew", Seat(2, 7))
    assert (name, name.slot, name.generation) == ("crew-2", 2, 7)
    assert f"{name}" == "crew-2"


def test_no_value_is_left() -> None:
    """A slot beyond the values, which stuck workers keep, is an error of this creation."""
    with pytest.raises(LookupError, match="has 2 values and none for crew-3: stuck workers keep theirs"):
        info_of(config(per_worker=["a", "b"]), Seat(3, 9))


def test_arguments() -> None:
    """on_create gets the worker if it takes one; for run_task there is a stand-in, unless values are to be handed out."""
    info = WorkerInfo(1, "crew-1", 1)
    assert arguments_for(config(on_create=object), info) == ()
    assert arguments_for(config(), info) == (info,)
    assert arguments_for(config(), None) == (WorkerInfo(0, "crew-run_task", 0),)
    with pytest.raises(LookupError, match="no value for run_task"):
        arguments_for(config(per_worker=["a", "b"]), None)


def test_the_context_of_a_worker() -> None:
    """Its tasks find the worker, other values go on to the root, and it is asked once, when that is needed."""
    asked: list[int] = []
    info = WorkerInfo(1, "crew-1", 1)
    root = RootContext(Context().with_value("key", "value"))
    worker = WorkerContext(root, lambda: asked.append(1) or info)  # type: ignore[func-returns-value]
    assert not asked
    task = worker.child()
    assert task.worker is info
    assert task.worker is info
    assert asked == [1]
    assert task.value("key") == "value"
    assert root.worker is None


def test_it_takes_the_progress_of_its_tasks() -> None:
    """From whatever their contexts are derived; where nobody wants it, it goes nowhere."""
    noted: list[tuple[float, float | None]] = []
    root = RootContext(None)
    worker = WorkerContext(root, lambda: WorkerInfo(1, "crew-1", 1), lambda done, total: noted.append((done, total)))
    worker.child().progress(1)
    worker.child().with_value("key", 1).with_timeout(60).progress(2.5, 10)
    assert noted == [(1, None), (2.5, 10)]
    WorkerContext(worker, lambda: WorkerInfo(2, "crew-2", 2)).child().progress(3)
    root.child().progress(4)
    assert len(noted) == 2


def test_callbacks_of_tasks_stay_out_of_it() -> None:
    """A worker lives longer than its tasks: nothing is registered with it, and a callback that comes after a kill is called."""
    root = RootContext(None)
    worker = WorkerContext(root, lambda: WorkerInfo(1, "crew-1", 1))
    called: list[str] = []
    worker.child().on_cancel(lambda: called.append("before"))
    assert not worker._watchers
    assert not root._watchers
    root.cancel("kill")
    worker.child().on_cancel(lambda: called.append("after"))
    assert called == ["after"]
    assert worker.child().cancelled
