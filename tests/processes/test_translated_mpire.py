"""mpire's scenarios: initialisers and exits of workers, their lifespan, defunct processes, nested pools, pinned processors."""

from __future__ import annotations

import os
import signal
import threading
from functools import partial
from typing import Any

import pytest

from support.files_between_processes import FileGate, Notes
from support.processes import is_running
from support.waiting import Call, wait_until
from tasker import MaxRetriesExceeded, ResourceError, TaskTimeout, WorkerLost

from . import translated as tasks
from . import work

VALUES = [1, 2, 3, 5, 6, 9, 37, 42, 1337, 0, 3, 5, 0]
methods = pytest.mark.parametrize("method", ["forkserver", "spawn"])


@methods
@pytest.mark.parametrize("ordered", [True, False])
def test_maps(make: Any, method: str, ordered: bool) -> None:
    """Of lists and of generators, twice with the same children."""
    with make(worker_count=2, process={"start_method": method}) as m:
        for _ in range(2):
            for inputs in (VALUES, (value for value in VALUES)):
                found = list(m.map(tasks.square, inputs, ordered=ordered))
                expected = [value * value for value in VALUES]
                assert found == expected if ordered else sorted(found) == sorted(expected)


def test_numpy(make: Any) -> None:
    """Rows of an array as inputs."""
    numpy = pytest.importorskip("numpy")
    rows = numpy.random.default_rng(1).random((20, 5))
    with make(worker_count=2) as m:
        results = list(m.map(tasks.square, rows))
    assert numpy.array_equal(numpy.array(results), rows * rows)


def test_several_managers_at_once(make: Any) -> None:
    """Each from a thread of its own."""
    outcomes: list[Any] = []

    def use(m: Any) -> None:
        outcomes.append(list(m.map(tasks.square, VALUES)))

    managers = [make(worker_count=2) for _ in range(3)]
    threads = [threading.Thread(target=use, args=[m]) for m in managers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert outcomes == [[value * value for value in VALUES]] * 3


def test_state_and_exit_of_workers(make: Any, notes: Notes) -> None:
    """Each keeps its own, which its exit sees."""
    with make(worker_count=3, on_create=partial(tasks.State, notes), on_destroy=tasks.State.end) as m:
        list(m.map(tasks.count, range(100)))
    assert sum(notes.numbers("seen")) == 100
    assert len(notes.lines("seen")) == 3


@pytest.mark.parametrize("lifespan", [1, 3])
def test_the_lifespan_of_workers(make: Any, notes: Notes, lifespan: int) -> None:
    """None serves more tasks, and each that was made is also ended."""
    hooks = {"on_create": partial(tasks.State, notes), "on_destroy": tasks.State.end}
    with make(worker_count=2, process={"max_tasks": lifespan}, **hooks) as m:
        list(m.map(tasks.count, range(20)))
    assert sum(notes.numbers("seen")) == 20
    assert max(notes.numbers("seen")) <= lifespan
    assert sorted(notes.lines("create")) == sorted(notes.lines("destroy"))


def test_an_exit_with_a_large_report(make: Any, notes: Notes) -> None:
    """A stop waits for it."""
    with make(on_create=partial(tasks.State, notes, 1_000_000), on_destroy=tasks.State.end) as m:
        m.queue_task(tasks.count, 1)
    assert len(notes.lines("seen")[0]) > 1_000_000


def test_an_initialiser_that_fails(make: Any) -> None:
    """Its error is the cause of what the tasks end with."""
    with make(on_create=tasks.fail_to_make, ready_timeout=0.5, creation_backoff=0.05) as m:
        error = m.submit(tasks.square, 1).exception(30)
        assert isinstance(error, ResourceError)
        assert "no resource" in str(error)
        m.kill(1)


def test_an_exit_that_fails(make: Any) -> None:
    """It is counted; the results are there."""
    with make(on_create=object, on_destroy=tasks.fail_to_end, worker_count=2) as m:
        assert list(m.map(tasks.square, VALUES)) == [value * value for value in VALUES]
    assert m.stats().user_errors >= 1


@methods
@pytest.mark.parametrize("lifespan", [None, 1])
def test_exceptions_in_maps(make: Any, method: str, lifespan: int | None) -> None:
    """The map raises the error; the manager goes on."""
    with make(worker_count=2, process={"start_method": method, "max_tasks": lifespan}) as m:
        for ordered in (True, False):
            with pytest.raises(ValueError, match="9"):
                list(m.map(partial(tasks.square_but, bad=9), VALUES, ordered=ordered))
        assert m.queue_task(tasks.square, 4) == 16


@pytest.mark.parametrize("lifespan", [None, 1, 3])
def test_workers_that_leave(make: Any, lifespan: int | None) -> None:
    """`exit()` in a task is the task's error."""
    with make(worker_count=3, process={"max_tasks": lifespan}) as m:
        with pytest.raises(SystemExit):
            list(m.map(tasks.leave, range(100)))
        assert m.queue_task(tasks.square, 4) == 16


@pytest.mark.parametrize(("workers", "lifespan"), [(1, None), (3, 1), (3, 3)])
def test_a_defunct_process_in_a_map(
    make: Any, notes: Notes, door: FileGate, workers: int, lifespan: int | None
) -> None:
    """A child is killed in the middle of its task: only that task is tried again, and the map has all results."""
    with make(worker_count=workers, process={"max_tasks": lifespan}) as m:
        results = Call(lambda: list(m.map(partial(tasks.first_spins, door=door), range(30))))
        wait_until(lambda: notes.numbers("victim"))
        os.kill(notes.numbers("victim")[0], signal.SIGKILL)
        door.open()
        assert results.outcome(60) == [value * value for value in range(30)]
    assert len(notes.lines("victim")) == 2


def test_a_defunct_process_among_futures(make: Any, notes: Notes, door: FileGate) -> None:
    """One of a hundred is lost, the others succeed."""
    with make(worker_count=3) as m:
        futures = [m.submit(tasks.first_spins, value, door, once=True) for value in range(100)]
        wait_until(lambda: notes.numbers("victim"))
        os.kill(notes.numbers("victim")[0], signal.SIGKILL)
        assert isinstance(futures[0].exception(30), WorkerLost)
        assert [future.result(30) for future in futures[1:]] == [value * value for value in range(1, 100)]


def test_an_error_right_before_the_end(make: Any) -> None:
    """What a worker has reported is not lost with it, though the map is given up at once."""
    data = list(zip(range(100), range(42, 142), range(10, -90, -1), strict=True))
    with make(worker_count=5) as m, pytest.raises(ZeroDivisionError):
        for _ in m.map(lambda ctx, thing, values: values[0] * values[1] / values[2], data):
            pass


def test_an_initialiser_that_takes_too_long(make: Any, door: FileGate) -> None:
    """Tasks wait for it no longer than they may."""
    with make(on_create=partial(tasks.slow_init, door), ready_timeout=0.3) as m:
        with pytest.raises(ResourceError):
            m.queue_task(tasks.square, 1)
        m.kill(0.5)


def test_a_task_that_takes_too_long(make: Any) -> None:
    """Its own limit ends it with a timeout; the others of the map were served."""
    with make(worker_count=2) as m:
        futures = [m.submit(tasks.obey_deadline, 0.01)] + [m.submit(tasks.square, value) for value in VALUES]
        with pytest.raises(TaskTimeout):
            futures[0].result(30)
        assert [future.result(30) for future in futures[1:]] == [value * value for value in VALUES]


def test_an_exit_that_takes_too_long(make: Any, door: FileGate) -> None:
    """A stop with a limit cuts it off."""
    with make(on_create=object, on_destroy=partial(tasks.slow_exit, door)) as m:
        assert m.queue_task(tasks.square, 2) == 4
        report = Call(m.stop, 0.5).outcome(30)
        assert report.abandoned == ()
        assert not any(map(is_running, door.pids))


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs sched_getaffinity")
@methods
def test_pinned_processors(make: Any, method: str) -> None:
    """Children run where they were told to, and this process is not touched."""
    here = os.sched_getaffinity(0)
    one = min(here)
    with make(process={"start_method": method, "affinity": [one]}) as m:
        assert m.queue_task(tasks.affinity) == [one]
    assert os.sched_getaffinity(0) == here


def test_the_order_of_tasks(make: Any) -> None:
    """One worker runs them in the order in which they were submitted, the first time and the second."""
    with make() as m:
        for _ in range(2):
            log = [m.submit(tasks.square, value) for value in range(50)]
            starts = []
            for future in log:
                future.result(30)
                stamps = future.timestamps
                assert stamps is not None
                starts.append(stamps.started_at)
            assert starts == sorted(starts)


def test_a_task_that_dies_again_and_again(make: Any) -> None:
    """It is not retried for ever, and the workers are there afterwards."""
    with make(worker_count=2, max_retries=2) as m:
        with pytest.raises(MaxRetriesExceeded):
            m.queue_task(work.crash)
        assert list(m.map(tasks.square, VALUES)) == [value * value for value in VALUES]
