"""The time limits of a manager's tasks: who is woken when, what is done about what is due, and who counts an attempt."""

from __future__ import annotations

import gc
import math
import threading
import weakref
from typing import Any

import pytest

from tasker.context import Context
from tasker.control import events as ev
from tasker.control.lifecycle import DoorMove
from tasker.control.limits import Limits, LimitStep
from tasker.control.workers import WorkerState
from tasker.core.checks import task_options
from tasker.core.limited_calls import LimitedCall
from tasker.core.limited_task import LateReturn, LimitContext, LimitedTask, TimedOut, limits_of, may_retry
from tasker.core.slices import SLICE
from tasker.errors import TaskCancelled, TaskKilled, TaskTimeout

from .fakes import FakeTask, FakeWorker, ToyEngine

NOW = 1e12
"""Later than the present moment of any machine's clock."""


class Rig:
    """An engine with one worker, which runs one task with limits."""

    def __init__(self, timeout: float | None = 5.0, deadline: float | None = None, **fields: Any) -> None:
        self.engine = ToyEngine(cancel_grace=2.0, **fields)
        self.worker = FakeWorker()
        self.engine.workers[self.worker.seat] = self.worker
        self.task = FakeTask(queued_at=NOW)
        self.task._started_at = NOW  # type: ignore[attr-defined]
        self.context = Context()
        self.limited = self.limits(timeout, deadline)

    def limits(self, timeout: float | None, deadline: float | None) -> LimitedTask:
        """The limits of the task."""
        limited = self.engine.limits.of_submission(self.task, timeout, deadline)
        assert limited is not None
        self.engine.limits.keep_deadline(limited)
        return limited

    def start(self, at: float = 0.0) -> None:
        """An attempt begins."""
        self.worker.shard.future = self.task
        self.worker.shard.taken += 1
        assert self.limited.start(self.context, NOW + at) is None
        self.limited.file(self.engine.limits._file)

    def look(self, at: float) -> list[str]:
        """What is done at that moment."""
        before = len(self.engine.timed_out)
        self.engine.limits.next_look(math.inf)
        self.engine.limits.look(NOW + at)
        self.engine.go_on()
        return [what for what, _, _ in self.engine.timed_out[before:]]


def test_a_limit_that_passes() -> None:
    """The context is cancelled at the limit, and the task is given up after the grace; each once."""
    rig = Rig()
    rig.start()
    assert [rig.look(at) for at in (4.9, 5.0, 5.1, 6.9, 7.0, 8.0)] == [[], ["cancelled"], [], [], ["given up"], []]
    assert rig.context.cause is rig.limited.error
    assert str(rig.context.cause) == "task #7 (mod.fn) has not ended within timeout=5.0 seconds"
    overdue = ev.TaskOverdue(rig.worker.seat, str(rig.context.cause))
    assert [event for event, _ in rig.engine.scripted.handled] == [overdue]


class Meanwhile(FakeTask):
    """A task of which something is asked while its error is being made, as another thread may ask it."""

    asks: Any = None

    def __getattribute__(self, name: str) -> Any:
        asks = object.__getattribute__(self, "asks")
        if name == "label" and asks is not None:
            self.asks = None
            asks()
        return super().__getattribute__(name)


def test_a_limit_that_task_and_supervisor_find_passed_together() -> None:
    """Both have the same error, so what the attempt ends with counts as its timeout."""
    rig = Rig()
    rig.task = Meanwhile(queued_at=NOW)
    rig.limited = rig.limits(5.0, None)
    rig.start()
    rig.task.asks = lambda: rig.look(5.0)
    found = rig.limited.timed_out()  # as the context of the attempt does, once its limit has passed
    assert rig.context.cause is rig.limited.error is found
    assert rig.limited.outcome(found, rig.context) == TimedOut(found, retries=True, blameless=False)


def test_it_is_given_up_behind_what_was_reported() -> None:
    """That its worker is ready, say: else it would be taken for one that serves."""
    rig = Rig()
    rig.start()
    rig.look(5.0)
    rig.engine.limits.next_look(math.inf)
    rig.engine.limits.look(NOW + 7.0)
    assert rig.worker.state is WorkerState.READY
    assert rig.engine.scripted.handled == []
    rig.engine.go_on()
    assert [type(event) for event, _ in rig.engine.scripted.handled] == [ev.TaskOverdue]


def test_what_was_given_up_is_counted_once() -> None:
    """In place of the worker, which is stuck; what it returns is told that it is late."""
    rig = Rig()
    rig.start()
    rig.look(5.0)
    rig.look(7.0)
    shard = rig.worker.shard
    assert (shard.done, shard.future, shard.meter.failed, shard.meter.timed_out) == (1, None, 1, 1)
    assert (rig.worker.state, rig.worker.overdue) == (WorkerState.STUCK, "task #7 (mod.fn)")
    assert rig.limited.ended() is False


@pytest.mark.parametrize("at", [4.0, 6.0])
def test_an_attempt_that_ends_first(at: float) -> None:
    """Before its limit or within its grace: then it is not given up, and the worker counts it."""
    rig = Rig()
    rig.start()
    rig.look(at)
    assert rig.limited.ended() is True
    assert [rig.look(later) for later in (6.5, 7.0, 9.0)] == [[], [], []]
    assert rig.worker.shard.done == 0
    assert rig.worker.state is WorkerState.READY


class EndsInTheStep(LimitedTask):
    """An attempt that ends when the supervisor has decided what to do about it and has not done it."""

    __slots__ = ()

    def step(self, now: float, grace: float) -> LimitStep:
        """Decide, and then end."""
        step = super().step(now, grace)
        self.ended()
        return step


@pytest.mark.parametrize("moment", [5.0, 7.0])
def test_it_ends_between_the_decision_and_the_act(moment: float) -> None:
    """The worker was first: nothing is done, and the worker counts it."""
    rig = Rig()
    rig.start()
    if moment == 7.0:
        rig.look(5.0)
    rig.limited.__class__ = EndsInTheStep
    assert rig.look(moment) == []
    assert rig.worker.shard.done == 0
    assert rig.worker.state is WorkerState.READY
    assert rig.engine.scripted.handled == []


def test_it_ends_in_the_moment_of_the_limit() -> None:
    """The supervisor has taken it from the timetable, and then the worker is first: nothing is done."""
    rig = Rig()
    rig.start()
    rig.limited.ended()
    assert rig.limited.cancel() is None
    assert rig.limited.error is None
    rig.start()
    rig.look(5.0)
    rig.limited.ended()
    assert rig.limited.give_up(lambda: pytest.fail("not to be counted")) is False


def test_the_end_of_the_last_attempt() -> None:
    """It does not concern the next one, wherever that is at this moment."""
    rig = Rig()
    rig.start()
    rig.limited.ended()
    seen = []

    class Looks(Limits):
        def of_attempt(self, queued_at: float, started_at: float) -> Any:
            seen.append(rig.limited.step(NOW + 5.0, 2.0))
            return super().of_attempt(queued_at, started_at)

    rig.limited._limits = Looks(5.0, None)
    rig.start(at=4.9)
    assert seen == [LimitStep.NOTHING]
    assert rig.limited.cancel(NOW + 5.0) is None, "the step was decided for the last one"
    assert rig.limited.cancel(NOW + 9.9) is rig.context


def test_a_worker_that_is_gone() -> None:
    """Its task is not given up: what becomes of it is decided elsewhere."""
    rig = Rig()
    rig.start()
    rig.look(5.0)
    rig.engine.workers.clear()
    assert rig.look(7.0) == []


def test_while_the_manager_ends() -> None:
    """The task may have been the last one."""
    rig = Rig()
    rig.start()
    rig.look(5.0)
    rig.engine.move_door(DoorMove.CLOSE, "stop")
    assert rig.engine.drain_checks == 0
    rig.look(7.0)
    assert rig.engine.drain_checks == 1


@pytest.mark.parametrize("deadline", [None, 7.5])
def test_a_backend_that_ends_it_by_force(deadline: float | None) -> None:
    """Its session has the grace; nothing else is due, even if the deadline passes before the session is gone."""
    rig = Rig(deadline=deadline)
    rig.engine.backend = object()  # type: ignore[assignment]
    rig.start()
    assert rig.look(5.0) == ["cancelled"]
    assert rig.look(7.5) == []
    assert rig.look(1e6) == []
    assert rig.worker.state is WorkerState.READY
    assert rig.worker.shard.done == 0  # the worker counts it, when the session is gone


def test_a_task_that_waits_too_long() -> None:
    """It ends at its deadline; one that runs is cancelled then; one that is late is not started."""
    rig = Rig(timeout=None, deadline=3.0)
    assert rig.look(2.9) == []
    assert rig.look(3.0) == ["expired"]
    assert "has not started within deadline=3.0 seconds" in rig.engine.timed_out[-1][2]
    rig = Rig(timeout=9.0, deadline=3.0)
    rig.start(at=1.0)
    assert rig.look(3.0) == ["cancelled"]
    rig = Rig(timeout=9.0, deadline=3.0)
    assert isinstance(rig.limited.start(rig.context, NOW + 3.0), TaskTimeout)


def test_what_has_ended_meanwhile() -> None:
    """A task that is done, or that nobody has any more, is left alone and not kept alive."""
    rig = Rig(timeout=None, deadline=3.0)
    rig.task.ended = True
    assert rig.limited.over()
    assert rig.look(3.0) == []
    rig = Rig(timeout=None, deadline=3.0)
    known = weakref.ref(rig.task)
    del rig.task
    gc.collect()
    assert known() is None
    assert rig.limited.over()
    assert rig.look(3.0) == []


def test_a_fault_concerns_one_task() -> None:
    """It is logged and counted, and what is due with it follows."""
    rig = Rig(timeout=None, deadline=3.0)
    other = FakeTask(queued_at=NOW, id=8)
    limited = rig.engine.limits.of_submission(other, None, 3.0)
    assert limited is not None
    rig.engine.limits.keep_deadline(limited)
    rig.engine.expire = _once_raises(rig.engine.expire)  # type: ignore[method-assign]
    assert rig.look(3.0) == ["expired"]
    assert rig.engine.timed_out[-1][1] is other
    assert rig.engine.user_errors() == 1


def _once_raises(then: Any) -> Any:
    calls: list[Any] = []

    def call(*args: Any) -> None:
        calls.append(args)
        if len(calls) == 1:
            raise MemoryError
        then(*args)

    return call


# -- who wakes whom ---------------------------------------------------------------------------------------------------


def test_the_supervisor_is_woken_only_for_what_is_sooner() -> None:
    """Than the moment at which it looks anyway."""
    rig = Rig()
    limits = rig.engine.limits
    assert limits.next_look(NOW + 4.0) == NOW + 4.0
    rig.start()
    assert rig.engine.wakeups == 0
    rig.start(at=-2.0)
    assert rig.engine.wakeups == 1
    assert limits.next_look(NOW + 4.0) == NOW + 3.0
    assert limits.next_look(NOW + 1.0) == NOW + 1.0


def test_many_limits_that_pass_together() -> None:
    """They are acted on in slices: until all are, the supervisor does not sleep, and handles what else has happened in between."""
    engine = ToyEngine()
    tasks = [FakeTask(queued_at=NOW, id=n) for n in range(2 * SLICE + 1)]
    for task in tasks:
        limited = engine.limits.of_submission(task, None, 3.0)
        assert limited is not None
        engine.limits.keep_deadline(limited)
        task.limits = limited  # type: ignore[attr-defined]
    counts = []
    for more in (True, True, False, False):
        assert engine.limits.next_look(NOW + 100.0) == (NOW + 3.0 if len(counts) < 3 else NOW + 100.0)
        assert engine.limits.look(NOW + 3.0) is more
        counts.append(len(engine.timed_out))
    assert counts == [SLICE, 2 * SLICE, 2 * SLICE + 1, 2 * SLICE + 1]
    assert [task.id for _, task, _ in engine.timed_out] == [*range(2 * SLICE + 1)]


@pytest.mark.parametrize(("timeout", "deadline"), [(100.0, None), (None, 1_000.0), (100.0, 1_000.0)])
def test_a_task_that_is_tried_often(timeout: float | None, deadline: float | None) -> None:
    """It is in the timetable twice at most, and the limits of its last attempt hold."""
    rig = Rig(timeout, deadline)
    limits = rig.engine.limits
    for attempt in range(450):
        rig.start(at=float(attempt))
        assert rig.look(attempt + 0.5) == []
        assert len(limits._timetable) <= 2
        rig.limited.ended()
    rig.start(at=450.0)
    limit = 550.0 if timeout else 1_000.0
    assert [rig.look(at) for at in (limit - 0.1, limit, limit + 1.9, limit + 2.0)] == [
        [],
        ["cancelled"],
        [],
        ["given up"],
    ]


def test_an_attempt_between_the_limit_of_an_earlier_one_and_the_deadline() -> None:
    """Where none runs at the first limit, the next attempt is filed for its own; and the task expires at its deadline."""
    rig = Rig(timeout=10.0, deadline=100.0)
    rig.start()
    rig.limited.ended()
    assert rig.look(10.0) == []
    assert len(rig.engine.limits._timetable) == 1
    rig.start(at=20.0)
    rig.limited.ended()
    rig.start(at=25.0)
    assert [rig.look(at) for at in (30.0, 34.9, 35.0)] == [[], [], ["cancelled"]]
    rig.limited.ended()
    assert [rig.look(at) for at in (99.9, 100.0)] == [[], ["expired"]]


def test_it_is_woken_once_for_many() -> None:
    """Until it has looked, only for what is sooner than that: it would handle thousands of events before it hears of a kill."""
    rig = Rig()
    limits = rig.engine.limits
    limits.next_look(NOW + 100.0)
    for at in (5.0, 5.0, 6.0, 4.0, 5.0):
        limits._file(rig.limited, NOW + at)
    assert rig.engine.wakeups == 2
    assert limits.next_look(NOW + 100.0) == NOW + 4.0
    limits._file(rig.limited, NOW + 3.0)
    assert rig.engine.wakeups == 3


def test_a_start_while_the_supervisor_is_about_to_sleep() -> None:
    """Between its look at what is new and the moment at which it knows until when it sleeps, a start wakes it."""
    rig = Rig()
    limits = rig.engine.limits
    limits.next_look(NOW + 100.0)
    rig.start()  # wakes it, so that it begins to look
    table, begun = limits._timetable, rig.engine.wakeups

    class Between:
        """A timetable during whose look another attempt begins."""

        def add(self, entry: Any, due: float) -> None:
            table.add(entry, due)

        @property
        def moment(self) -> float | None:
            found = table.moment
            rig.limited._limits = rig.limits(1.0, None)._limits
            rig.start()
            return found

    limits._timetable = Between()  # type: ignore[assignment]
    assert limits.next_look(NOW + 100.0) == NOW + 5.0
    assert rig.engine.wakeups == begun + 1
    limits._timetable = table
    assert limits.next_look(NOW + 100.0) == NOW + 1.0


# -- what an attempt has come to --------------------------------------------------------------------------------------


def test_the_outcome_of_an_attempt() -> None:
    """What was raised before the limit is the task's own; after it, the cause of the TaskTimeout."""
    rig, error = Rig(), OSError("closed")
    rig.start()
    assert rig.limited.outcome(error, rig.context) is None
    rig.look(5.0)
    timed_out = rig.limited.outcome(error, rig.context)
    assert timed_out is not None
    assert timed_out.error.__cause__ is error
    assert (timed_out.retries, timed_out.blameless) == (True, False)
    assert rig.limited.outcome(timed_out.error, rig.context) == timed_out
    assert timed_out.error.__cause__ is error, "and not itself"


@pytest.mark.parametrize("cause", [TaskCancelled("by hand"), TaskKilled("kill")])
def test_what_was_cancelled_before(cause: TaskCancelled) -> None:
    """It stays cancelled, or killed."""
    rig = Rig()
    rig.start()
    rig.context.cancel(cause)
    rig.look(5.0)
    assert rig.limited.outcome(cause, rig.context) is None


def test_a_deadline_allows_no_other_attempt() -> None:
    """Neither where it ends the attempt, nor where that may not begin: then the resource was not used."""
    rig = Rig(timeout=9.0, deadline=3.0)
    rig.start()
    rig.look(3.0)
    timed_out = rig.limited.outcome(OSError(), rig.context)
    assert timed_out is not None
    assert (timed_out.retries, timed_out.blameless) == (False, False)
    rig = Rig(timeout=9.0, deadline=3.0)
    late = rig.limited.start(rig.context, NOW + 3.0)
    assert late is not None
    rig.context.cancel(late)  # it has begun in its session before that was noticed here
    timed_out = rig.limited.outcome(OSError(), rig.context)
    assert timed_out is not None
    assert (timed_out.error, timed_out.retries, timed_out.blameless) == (late, False, False)
    rig = Rig(timeout=None, deadline=3.0)
    rig.task.queued_at = 0.0
    rig.limited = rig.limits(None, 3.0)
    with pytest.raises(TaskTimeout) as caught:
        LimitedCall(rig.engine.limits, rig.limited, lambda *args: pytest.fail("called"))(rig.context, None)
    timed_out = rig.limited.outcome(caught.value, rig.context)
    assert timed_out is not None
    assert (timed_out.error, timed_out.retries, timed_out.blameless) == (caught.value, False, True)
    assert rig.limited.unused


def test_a_new_attempt_has_a_new_limit() -> None:
    """What the last one has come to is forgotten."""
    rig = Rig()
    rig.start()
    rig.look(5.0)
    rig.limited.ended()
    rig.context = Context()
    rig.start(at=6.0)
    assert rig.limited.outcome(OSError(), rig.context) is None
    assert [rig.look(at) for at in (10.9, 11.0)] == [[], ["cancelled"]]


# -- the stand-in -----------------------------------------------------------------------------------------------------


def test_a_call_that_was_given_up() -> None:
    """Whatever it returns or raises, the worker gets LateReturn, with the error as its cause."""
    for raises in (None, OSError("closed")):
        rig = Rig()

        def task(ctx: Any, resource: Any, raises: Any = raises, rig: Rig = rig) -> str:
            rig.worker.shard.future = rig.task
            assert rig.limited.cancel() is rig.context
            assert rig.limited.give_up(lambda: None)
            if raises is not None:
                raise raises
            return "late"

        with pytest.raises(LateReturn) as caught:
            LimitedCall(rig.engine.limits, rig.limited, task)(rig.context, None)
        assert caught.value.__cause__ is raises


def test_a_call_in_time() -> None:
    """It gets the resource and the arguments, and a context with a deadline; messages name the function."""
    rig = Rig(timeout=1000.0)
    call = LimitedCall(rig.engine.limits, rig.limited, lambda ctx, *args: (ctx.remaining() > 900.0, args))
    assert call(rig.context, "resource", 1, 2) == (True, ("resource", 1, 2))
    assert call.func.__name__ == "<lambda>"


def test_a_context_that_expires_by_itself() -> None:
    """Though the supervisor has not looked yet: it is cancelled, and so is what was derived from it."""
    rig = Rig()
    rig.limited.start(rig.context, 0.0)  # which is long ago
    assert not LimitContext(Context(), Rig(timeout=1e15).limited).cancelled
    context = LimitContext(rig.context, rig.limited)
    child = context.child()
    assert context.deadline == 5.0
    assert child.cancelled
    assert child.cause is rig.limited.error
    assert not rig.context.cancelled
    assert rig.limited.outcome(OSError(), rig.context) is not None


def test_whether_a_policy_is_asked() -> None:
    """As for any error, or as the limit says."""
    assert [may_retry(None, sound=sound) for sound in (True, False)] == [True, False]
    for retries in (True, False):
        timed_out = TimedOut(TaskTimeout(), retries=retries, blameless=False)
        assert [may_retry(timed_out, sound=sound) for sound in (True, False)] == [retries, retries]


# -- what is said at the submission -----------------------------------------------------------------------------------


def test_defaults() -> None:
    """Those of the configuration stand where nothing is said; an infinite limit is none."""
    limits = ToyEngine(task_timeout=1.0, task_deadline=2.0).limits
    assert limits.by_default
    assert limits.filled_in(None, None) == (1.0, 2.0)
    assert limits.filled_in(3, math.inf) == (3, math.inf)
    assert limits.of_submission(FakeTask(), math.inf, math.inf) is None
    assert not ToyEngine().limits.by_default
    assert ToyEngine().limits.of_submission(FakeTask(), None, None) is None


@pytest.mark.parametrize(
    ("value", "kind"), [(0, ValueError), (-1, ValueError), (math.nan, ValueError), (True, TypeError)]
)
def test_wrong_limits(value: Any, kind: type[Exception]) -> None:
    """They are named."""
    for name in ("timeout", "deadline"):
        with pytest.raises(kind, match=f"^{name} must be"):
            ToyEngine().limits.of_submission(FakeTask(), **{"timeout": None, "deadline": None, name: value})


def test_the_options_of_a_map() -> None:
    """They are given to each of its tasks; what is none is an error."""
    assert task_options(timeout=1.0, once=True) == (1, True, None, 1.0, None)
    with pytest.raises(TypeError):
        task_options(blocks=True)  # type: ignore[call-arg]


def test_the_limits_of_a_task() -> None:
    """As they were given, for a task that is submitted again."""
    assert limits_of(None) == (None, None)
    assert limits_of(Rig(timeout=5.0, deadline=9.0).limited) == (5.0, 9.0)
    assert limits_of(Rig(timeout=None, deadline=9.0).limited) == (None, 9.0)


def test_a_deadline_that_is_kept_later() -> None:
    """The deadline of a task that may still turn out not to be accepted counts from the moment that it is."""
    engine, task = ToyEngine(), FakeTask(queued_at=NOW)
    limited = engine.limits.of_submission(task, None, 5.0)
    assert limited is not None
    assert engine.limits.next_look(math.inf) == math.inf
    engine.limits.keep_deadline(limited)
    assert engine.limits.next_look(math.inf) == limited.last_start
    without = engine.limits.of_submission(FakeTask(), 5.0, None)
    assert without is not None
    engine.limits.keep_deadline(without)


def test_a_fork_while_the_supervisor_acts() -> None:
    """In the child, the task does not wait for the lock that the supervisor held."""
    rig = Rig()
    rig.engine.limits.forked()
    rig.start()
    rig.look(5.0)
    holder = threading.Thread(target=rig.limited._lock.acquire)
    holder.start()
    holder.join()
    rig.engine.limits.forked()
    assert rig.limited._lock.acquire(timeout=0)


def test_an_interrupt_while_an_attempt_is_filed() -> None:
    """It is filed at the next one: its limit is not lost for good."""
    rig = Rig()

    def interrupted(limited: LimitedTask, due: float) -> None:
        raise KeyboardInterrupt

    assert rig.limited.start(rig.context, NOW) is None
    with pytest.raises(KeyboardInterrupt):
        rig.limited.file(interrupted)
    rig.limited.ended()
    rig.start(at=1.0)
    assert [rig.look(at) for at in (5.9, 6.0)] == [[], ["cancelled"]]


class NoMemory:
    """A timetable to which nothing can be added."""

    def __init__(self, timetable: Any) -> None:
        self._timetable = timetable

    def __getattr__(self, name: str) -> Any:
        return getattr(self._timetable, name)

    def add(self, *_: object) -> None:
        """Raise."""
        raise MemoryError


def test_filing_again_that_fails() -> None:
    """It is logged, and what else is due is acted on."""
    rig = Rig(timeout=5.0)
    rig.start()
    rig.limited.ended()
    assert (
        rig.limited.start(rig.context, NOW + 3.0) is None
    )  # before its turn comes, so that it is not filed for its end
    other = FakeTask(queued_at=NOW, id=8)
    limited = rig.engine.limits.of_submission(other, None, 5.0)
    assert limited is not None
    rig.engine.limits.keep_deadline(limited)
    rig.engine.limits.next_look(math.inf)
    rig.engine.limits._timetable = NoMemory(rig.engine.limits._timetable)  # type: ignore[assignment]
    rig.engine.limits.look(NOW + 5.0)
    assert [task for _, task, _ in rig.engine.timed_out] == [other]
    assert rig.engine.user_errors() == 1
