"""CPython's test_process_pool and test_shutdown, as far as they are about processes and not about the class."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import traceback
import weakref
from typing import Any

import pytest

from support.files_between_processes import FileGate, Notes
from support.processes import is_running
from support.waiting import Call, wait_until
from tasker import RemoteTraceback, ShutdownError, TaskKilled, WorkerLost

from . import translated as tasks
from . import work
from .programs import Program


def test_a_killed_child_breaks_nothing(make: Any, door: FileGate) -> None:
    """Its task is lost, and further ones are accepted and served."""
    with make() as m:
        future = m.submit(work.hold, door, once=True)
        (pid,) = door.wait_arrivals(1)
        os.kill(pid, signal.SIGKILL)
        assert isinstance(future.exception(30), WorkerLost)
        assert m.queue_task(work.echo, 2**8) == 256


def test_each_lost_task_has_an_error_of_its_own(make: Any, door: FileGate) -> None:
    """A shared one would collect the tracebacks of all that raise it."""
    with make(worker_count=3) as m:
        futures = [m.submit(work.hold, door, once=True) for _ in range(3)]
        for pid in door.wait_arrivals(3):
            os.kill(pid, signal.SIGKILL)
        errors = [future.exception(30) for future in futures]
        assert len({id(error) for error in errors}) == 3
        for future in futures:
            with pytest.raises(WorkerLost) as caught:
                future.result()
            here = [frame for frame in traceback.extract_tb(caught.value.__traceback__) if frame.filename == __file__]
            assert len(here) == 1


def test_the_traceback_of_the_child(make: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """It is the cause, and the program shows it with the error."""
    with make() as m:
        error = m.submit(tasks.fail_with_comment).exception(30)
    assert (type(error), error.args) == (RuntimeError, (123,))
    assert isinstance(error.__cause__, RemoteTraceback)
    assert "raise RuntimeError(123)  # a comment" in str(error.__cause__)
    try:
        raise error
    except RuntimeError:
        sys.excepthook(*sys.exc_info())
    assert "raise RuntimeError(123)  # a comment" in capsys.readouterr().err


def test_arguments_are_dropped_in_the_child(make: Any) -> None:
    """As soon as their task is done, and not when the next one comes."""
    with multiprocessing.get_context("spawn").Manager() as server, make() as m:
        argument = tasks.Sets(server.Event())
        m.submit(work.echo, [argument]).add_done_callback(lambda future: None)
        assert argument.event.wait(30)
        event, argument.event = argument.event, tasks.Nothing()
        assert event.is_set()


def test_arguments_are_dropped_here(make: Any) -> None:
    """Once the task is done, the manager holds nothing of it."""
    with make() as m:
        point = work.Point(1, 2)
        gone = weakref.ref(point)
        m.submit(work.echo, point)
        del point
        wait_until(lambda: gone() is None)


def test_saturation(make: Any, door: FileGate) -> None:
    """Many more tasks than children, none of which ends, start no further child."""
    with make(worker_count=2) as m:
        futures = [m.submit(work.hold, door, n) for n in range(30)]
        pids = door.wait_arrivals(2)
        assert {usage.pid for usage in m.stats().processes} == set(pids)
        door.open()
        assert [future.result(30) for future in futures] == [*range(30)]
        assert set(door.pids) == set(pids)


@pytest.mark.parametrize(("workers", "most", "count"), [(1, 2, 6), (2, 2, 8), (3, 1, 6)])
def test_children_that_have_served_their_time_with_tasks_behind(make: Any, workers: int, most: int, count: int) -> None:
    """They are replaced while a queue waits, also after the manager has been told to stop."""
    with make(worker_count=workers, process={"max_tasks": most}) as m:
        futures = [m.submit(work.pid) for _ in range(count)]
        m.stop()
        pids = [future.result(0) for future in futures]
    assert all(pids.count(pid) <= most for pid in pids)


def test_a_child_serves_as_often_as_it_may(make: Any) -> None:
    """And not once more."""
    with make(process={"max_tasks": 3}) as m:
        pids = [m.queue_task(work.pid) for _ in range(4)]
        assert len(set(pids[:3])) == 1
        assert pids[3] != pids[0]
        wait_until(lambda: not is_running(pids[0]))


def test_a_kill_while_a_child_is_replaced(make: Any, door: FileGate) -> None:
    """The tasks behind it end at once: no replacement escapes the kill."""
    with make(process={"max_tasks": 1}) as m:
        futures = [m.submit(work.hold, door, n) for n in range(3)]
        door.wait_arrivals(1)
        kill = Call(m.kill, 30)
        wait_until(lambda: m.closed)
        door.open()
        kill.outcome(30)
        assert futures[0].result(0) == 0
        for future in futures[1:]:
            with pytest.raises(TaskKilled):
                future.result(0)
        assert m.stats().processes == ()


def test_short_tasks_and_a_stop(make: Any) -> None:
    """Fifty tasks, and a stop right behind them."""
    with make(worker_count=2) as m:
        futures = [m.submit(work.echo, n) for n in range(50)]
        m.stop()
        assert [future.result(0) for future in futures] == [*range(50)]
        with pytest.raises(ShutdownError):
            m.queue_task(work.echo, 1)


def test_what_a_kill_ends_does_not_go_on(make: Any, notes: Notes, door: FileGate) -> None:
    """A task that was ended by force has done what it had done by then."""
    with make(cancel_grace=0) as m:
        m.submit(tasks.put_and_hold, notes, door)
        (pid,) = door.wait_arrivals(1)
        m.kill(0.5)
        assert not is_running(pid)
        door.open()
    assert len(notes.lines("started")) == 1
    assert notes.lines("finished") == []


EXIT = """
    import sys
    from pathlib import Path
    from tasker import Config, ProcessBackend, TaskManager

    def write(ctx, resource, folder, number):
        Path(folder, f"task{number}").write_text(str(number))

    if __name__ == "__main__":
        manager = TaskManager(Config(on_create=object, worker_count=2, backend=ProcessBackend(), resource_pool_size=0))
        for number in range(16):
            manager.submit(write, sys.argv[1], number)
"""


def test_the_program_ends_without_waiting(program: Program) -> None:
    """What it has submitted is done before the interpreter is gone."""
    program.run(EXIT, program.folder)
    assert sorted(path.name for path in program.folder.glob("task*")) == sorted(f"task{n}" for n in range(16))
