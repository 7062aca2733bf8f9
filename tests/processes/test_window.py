"""What one worker notes of the tasks that it has sent."""

from __future__ import annotations

import logging
import queue
from collections import deque
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from support.files_between_processes import Notes
from support.waiting import Call
from tasker import Config, Context, ProcessBackend, TaskCancelled, TaskKilled
from tasker.logs import GuardedLogger
from tasker.process.parent.session import ProcessSession
from tasker.process.sessions import ProcessSessions
from tasker.remote.context import RemoteContext
from tasker.remote.events import SKIPPED
from tasker.remote.threads_window import ThreadsWindow

from . import work


class Engine:
    """As much of one as is asked for."""

    root = Context()
    config = Config(on_create=object, worker_count=1)
    killed = False
    door = 0

    def __init__(self) -> None:
        self.later: list[Any] = []
        self.soon = self.later.append


class Worker:
    """The same of a worker."""

    name = "alone"


class Future:
    """The same of a future."""

    label = "a task"
    _limited = None

    def __init__(self, *args: Any) -> None:
        self._task = work.echo
        self._args = args
        self._variables = None


class Watched(ThreadsWindow):
    """Has another thread take everything back while it notes that the first task begins."""

    def __init__(self, session: ProcessSession) -> None:
        super().__init__(Worker(), Engine(), session, ProcessBackend())  # type: ignore[arg-type]
        self.noted: list[Any] = []
        self.taking: Call | None = None

    def _count(self, future: Any) -> None:
        self.taking = Call(self._session.recall)
        self.noted.append("counted")

    def _give_context(self, future: Any, context: Any) -> bool:
        assert self._session.held()
        assert self._session.in_flight, "nothing takes back what is being noted"
        self.noted.append("has a context")
        return False


@pytest.fixture
def session() -> Any:
    """A session without a child."""
    session = ProcessSession("alone", 1.0, lambda future: future._args, lambda: None)
    yield session
    session.close()


def test_nothing_takes_back_what_is_being_noted(session: ProcessSession) -> None:
    """That a task has begun is noted as a whole before it can go back to the queue, where another may begin it."""
    assert session.send([(1, Future(), 1)]) == ([], 64)
    window = Watched(session)
    window._begin()
    assert window.noted == ["counted", "has a context"]
    assert window.taking is not None
    back, first = window.taking.outcome(10)
    assert [number for number, _, _ in back] == [1]
    assert first


def test_what_cannot_be_sent_is_refused(session: ProcessSession) -> None:
    """The others are sent, in order."""
    good, bad = Future(1), Future(n for n in ())
    refused, size = session.send([(1, good, 1), (2, bad, 1), (3, good, 2)])
    assert [task for task, _ in refused] == [(2, bad, 1)]
    assert "a task: the task or its arguments can't be pickled" in str(refused[0][1])
    assert size == 64
    assert list(session.in_flight) == [(1, good, 1), (3, good, 2)]


@pytest.mark.parametrize("fault", [MemoryError(), KeyboardInterrupt()], ids=["no memory", "asynchronous"])
def test_permits_that_are_not_granted(
    session: ProcessSession, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    """No task is in flight twice: it is sent again, or the fault is raised if it may have its permit."""
    grant, faults = session._connection.grant, [fault]

    def failing(*args: Any) -> None:
        if faults:
            raise faults.pop()
        grant(*args)

    monkeypatch.setattr(session._connection, "grant", failing)
    tasks = [(1, Future(1), 1), (2, Future(2), 1)]
    if isinstance(fault, Exception):
        assert session.send(tasks)[0] == []
    else:
        with pytest.raises(KeyboardInterrupt):
            session.send(tasks)
    assert list(session.in_flight) == tasks


class Guarded(deque[Any]):
    """Notes whether the lock is held while it is read or changed as a whole."""

    def __init__(self, lock: Any) -> None:
        super().__init__()
        self.lock = lock
        self.held: list[bool] = []

    def __iter__(self) -> Iterator[Any]:
        self.held.append(self.lock._is_owned())
        return super().__iter__()

    def clear(self) -> None:
        """Note, and do it."""
        self.held.append(self.lock._is_owned())
        super().clear()

    def popleft(self) -> Any:
        """The same."""
        self.held.append(self.lock._is_owned())
        return super().popleft()


class GivesBack(Watched):
    """Notes what goes back to the queue."""

    def give_back(self, tasks: Any, *, first: bool) -> None:
        """Note it."""
        self.noted += [(number, first) for number, _, _ in tasks]


class Interrupted(GivesBack):
    """A finalizer that runs while it notes that the first task begins takes everything back."""

    def _count(self, future: Any) -> None:
        self.recall()
        self.noted.append("counted")


def test_a_finalizer_takes_back_nothing_that_is_being_noted(session: ProcessSession) -> None:
    """In the same thread it neither waits for the lock nor goes on without it, but is served afterwards."""
    assert session.send([(1, Future(), 1), (2, Future(), 1)]) == ([], 64)
    window = Interrupted(session)
    Call(window._begin).outcome(10)
    assert window.noted == ["counted", "has a context"]
    (later,) = window._any_engine.later  # type: ignore[attr-defined]
    later()
    assert window.noted[2:] == [(1, True), (2, True)]


def test_a_finalizer_cancels_in_the_child_once_it_may(session: ProcessSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its own thread is in the middle of something, another thread waits until that has ended."""
    cancelled: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def cancel(number: int, cause: BaseException) -> None:
        with session.lock:
            cancelled.put((number, cause))

    monkeypatch.setattr(session, "cancel", cancel)
    context = RemoteContext(Context(), session, 1)
    cause = TaskKilled("so it is")  # which sets no grace
    with session.lock:
        context.cancel(cause)
        assert cancelled.empty()
    assert cancelled.get(timeout=10) == (1, cause)


def test_a_callback_that_fails(session: ProcessSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child has been told of the cancellation before it is called."""
    told: list[int] = []
    monkeypatch.setattr(session, "cancel", lambda number, cause: told.append(number))
    context = RemoteContext(Context(), session, 1)
    seen: list[list[int]] = []

    def fail() -> None:
        seen.append([*told])
        raise OSError("closed already")

    context.on_cancel(fail)
    # Not from the main thread, for which another one does it.
    with pytest.raises(OSError, match="closed already"):
        Call(context.cancel, TaskKilled("so it is")).outcome(10)
    assert seen == [[1]]


def test_a_recall_after_the_end(session: ProcessSession) -> None:
    """An engine that has ended makes such a call at once; nothing is left to take back."""
    assert session.send([(1, Future(), 1), (2, Future(), 1)]) == ([], 64)
    window = Interrupted(session)
    window._any_engine.soon = lambda call: call()  # type: ignore[method-assign]
    Call(window._begin).outcome(10)
    assert window.noted == ["counted", "has a context"]


def test_a_dead_session_is_emptied_under_its_lock(session: ProcessSession) -> None:
    """Another thread takes back nothing in the middle of that, so each task goes back once."""
    session.in_flight = guarded = Guarded(session.lock)
    guarded.extend((number, Future(), 1) for number in (1, 2))
    window = GivesBack(session)
    window.give_back_all()
    assert window.noted == [(1, False), (2, False)]
    assert not guarded
    assert guarded.held
    assert all(guarded.held)


def test_what_had_begun_is_taken_out_under_the_lock(session: ProcessSession) -> None:
    """A recall in the middle of that would leave less in flight than was counted."""
    assert session.send([(1, Future(), 1), (2, Future(), 1)])[0] == []
    session._connection.revoke()  # as if the child had taken both permits, which it never does
    session.in_flight = guarded = Guarded(session.lock)
    guarded.append((1, None, 1))
    assert session.begun_at_death() == [(1, None, 1)]
    assert guarded.held == [True]


def test_a_dead_session_is_not_recalled(session: ProcessSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its driver gives back what it had."""
    assert session.send([(1, Future(), 1)])[0] == []
    monkeypatch.setattr(ProcessSession, "dead", True)
    assert session.recall() == ([], False)
    assert len(session.in_flight) == 1


def test_a_task_is_skipped_in_its_turn(session: ProcessSession) -> None:
    """If its number is not that of the first in flight, no other task goes back in its place."""
    assert session.send([(2, Future(), 1)])[0] == []
    window = GivesBack(session)
    with pytest.raises(RuntimeError, match="reported task 1 instead of 2"):
        window._handle((SKIPPED, 1))
    assert not window.noted
    assert len(session.in_flight) == 1
    window._handle((SKIPPED, 2))
    assert window.noted == [(2, False)]


class Begins(ThreadsWindow):
    """Notes nothing of a task that begins."""

    def _count(self, future: Any) -> None:
        pass

    def _give_context(self, future: Any, context: Any) -> bool:
        return False


def test_a_task_that_begins_during_a_kill_is_cancelled(
    session: ProcessSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was sent ahead, and began in its child after the kill had cancelled whatever ran."""
    engine, cancelled = Engine(), []
    engine.root = Context()
    monkeypatch.setattr(session, "cancel", lambda number, cause: cancelled.append((number, type(cause))))
    assert session.send([(1, Future(), 1)])[0] == []
    engine.killed = True
    engine.root.cancel(TaskKilled("kill"))
    window = Begins(Worker(), engine, session, ProcessBackend())  # type: ignore[arg-type]
    Call(window._begin).outcome(10)
    assert cancelled == [(1, TaskKilled)]


class Struck(Watched):
    """A finalizer or a signal handler strikes while it notes that the first task begins: it cancels and asks for more."""

    def _count(self, future: Any) -> None:
        self.recall()
        self._session.cancel(1, ValueError())
        self._session.terminate(1)
        self._session.nudge()
        self.noted.append("counted")


def test_what_cancels_in_the_middle_of_a_change_does_not_wait_for_it(session: ProcessSession) -> None:
    """It returns, has the order sent, and takes nothing back of what is being noted."""
    assert session.send([(1, Future(), 1), (2, Future(), 1)])[0] == []
    window = Struck(session)
    Call(window._begin).outcome(10)
    assert window.noted == ["counted", "has a context"]
    assert [number for number, _, _ in session.in_flight] == [1, 2]


class Opening(dict[Any, None]):
    """Has `look` called while something is added to it."""

    def __init__(self, look: Any) -> None:
        super().__init__()
        self.look = look

    def __setitem__(self, key: Any, value: None) -> None:
        self.look()
        super().__setitem__(key, value)


def test_what_looks_at_the_sessions_as_one_is_opened_does_not_wait(tmp_path: Any) -> None:
    """`stats()` or `kill()` in a finalizer or a signal handler."""
    config = Config(
        on_create=partial(work.make, Notes(str(tmp_path / "notes"))), worker_count=1, backend=ProcessBackend()
    )
    log = GuardedLogger(logging.getLogger("alone"), "alone", lambda: None)
    sessions = ProcessSessions(config, log, asynchronous=False, args_of=lambda future: ())
    looked: list[Any] = []
    sessions._open = Opening(lambda: looked.append((sessions.usage(), sessions.kill_all())))
    session = Call(sessions.open, "alone", lambda: None).outcome(30)
    assert looked == [((), None)]
    session.kill()
    sessions.close(session)
    sessions.finish()


def cancels_itself(ctx: Context, thing: Any) -> None:
    """A task."""
    ctx.cancel("by itself")
    ctx.raise_if_cancelled()


def test_a_task_that_cancels_itself(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its context here is cancelled as well, and the child, which knows, is sent nothing."""
    told: list[Any] = []
    monkeypatch.setattr(RemoteContext, "_tell", lambda context: told.append(context))
    with make() as m:
        for how in (m.queue_task, m.run_task):
            with pytest.raises(TaskCancelled, match="by itself"):
                how(cancels_itself)
    assert told == []
