"""How an idle worker among others learns that it was called, though any of them may take what is meant for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from support.waiting import Call, wait_until
from tasker.control.workers import WorkerState
from tasker.threads.hold import TaskHold
from tasker.threads.queue import CALL, TaskQueue
from tasker.threads.renewals import Renewals


@dataclass(eq=False)
class Worker:
    """A worker of a thread."""

    outdated: bool = False
    tends: bool = False
    state: WorkerState = WorkerState.READY
    shard: Any = field(default_factory=lambda: SimpleNamespace(future=None))


def bench() -> tuple[TaskQueue, Renewals]:
    """A queue, and the renewals of its workers."""
    queue = TaskQueue()
    return queue, Renewals(queue, TaskHold(lambda: None))


def tokens(queue: TaskQueue) -> list[object]:
    """All of them."""
    taken = queue._take_tokens()
    for token in taken:
        queue.tokens.put(token)
    return taken


def test_an_idle_worker_is_woken() -> None:
    """It takes the call and leaves, and nothing is left of it."""
    queue, renewals = bench()
    worker = Worker()
    renewals.call(worker)
    assert worker.outdated
    assert renewals
    assert queue.tokens.get_nowait() is CALL
    assert renewals.answer(worker)
    renewals.left(worker)
    assert not renewals


def test_a_worker_that_waits_for_the_end_of_a_pause() -> None:
    """It leaves there and then."""
    hold, worker = TaskHold(lambda: None), Worker()
    hold.begin()
    call = Call(hold.stay, worker, lambda: worker.outdated)
    wait_until(lambda: bool(hold._staying))
    Renewals(TaskQueue(), hold).call(worker)
    call.outcome()


def test_a_busy_worker_is_not_woken() -> None:
    """It looks after its task. If it is idle all the same when it is reminded, it is woken."""
    queue, renewals = bench()
    worker = Worker()
    worker.shard.future = object()
    renewals.call(worker)
    renewals.remind()
    assert queue.tokens.empty()
    worker.shard.future = None
    renewals.remind()
    assert tokens(queue) == [CALL]


def test_a_worker_that_tends_its_resource_is_not_woken() -> None:
    """It has no task, and is not at the queue either: it looks after the hook. A call would only hold up the others."""
    queue, renewals = bench()
    worker = Worker(tends=True)
    renewals.call(worker)
    renewals.remind()
    assert queue.tokens.empty()
    assert not renewals.answer(Worker())
    worker.tends = False
    renewals.remind()
    assert tokens(queue) == [CALL]


def test_reminders_do_not_pile_up() -> None:
    """One call for each that is idle, however often they are reminded, before the tasks that were queued meanwhile."""
    queue, renewals = bench()
    for worker in (Worker(), Worker()):
        renewals.call(worker)
    queue.tokens.put(None)
    queue.tokens.put(queue.tokens.get_nowait())
    for _ in range(3):
        renewals.remind()
    assert tokens(queue) == [CALL, CALL, None]
    queue.tokens.get_nowait()  # lost with a worker that was struck
    renewals.remind()
    assert tokens(queue) == [CALL, CALL, None]


def test_a_call_that_nobody_needs_is_dropped() -> None:
    """The one that was meant has taken a task meanwhile, and will look after it."""
    queue, renewals = bench()
    called = Worker()
    renewals.call(called)
    assert queue.tokens.get_nowait() is CALL
    called.shard.future = object()
    assert not renewals.answer(Worker())
    assert queue.tokens.empty()


def test_a_call_is_passed_on() -> None:
    """Another worker that takes it puts it back and stands aside until the one that is meant has left."""
    queue, renewals = bench()
    called, other = Worker(), Worker()
    renewals.call(called)
    assert queue.tokens.get_nowait() is CALL
    aside = Call(renewals.answer, other)
    wait_until(lambda: not queue.tokens.empty())
    assert queue.tokens.get_nowait() is CALL
    assert renewals.answer(called)
    renewals.left(called)
    assert aside.outcome(10) is False
    assert not renewals


def test_standing_aside_ends_by_itself() -> None:
    """The one that is meant may be about to begin a long task, and the other one must serve on."""
    queue, renewals = bench()
    renewals.call(Worker())
    queue.tokens.get_nowait()
    assert Call(renewals.answer, Worker()).outcome(10) is False
    assert tokens(queue) == [CALL]


def test_in_a_forked_child_the_lock_is_free() -> None:
    """The thread that held it during the fork does not exist there."""
    _, renewals = bench()
    renewals._left.acquire()
    renewals.forked()
    assert Call(renewals.left, Worker()).outcome(10) is None


def test_a_worker_that_ends_as_it_is_called() -> None:
    """Nothing of it is left, once the others are reminded: it has left before it was called."""
    queue, renewals = bench()
    worker = Worker(state=WorkerState.ENDING)
    renewals.left(worker)
    renewals.call(worker)
    renewals.remind()
    assert not renewals
    assert queue.tokens.empty()
