"""Which failed tasks are tried again, and after which pauses."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import pytest

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.attempts import Verdict, after_retryable, in_time
from tasker.control.lifecycle import Phase
from tasker.control.retries import Delayed, RetryPolicy

from .rig import Rig, seat, start, tick, without_logs

SLOW = RetryPolicy(backoff=4.0, max_backoff=60.0)


class Task(str):
    """A task, by its name."""

    __slots__ = ("cancelled",)

    def done(self) -> bool:
        """Whether it was cancelled."""
        return getattr(self, "cancelled", False)


@pytest.mark.parametrize(
    ("attempts", "flags", "verdict"),
    [
        (1, {}, Verdict.TRY_AGAIN),
        (3, {}, Verdict.TRY_AGAIN),
        (4, {}, Verdict.ENDED),
        (1, {"once": True}, Verdict.ENDED),
        (1, {"cancelled": True}, Verdict.ENDED),
        (1, {"killing": True}, Verdict.ENDED),
    ],
)
def test_an_error_of_its_own(attempts: int, flags: dict[str, bool], verdict: Verdict) -> None:
    """It is tried again as often as after an unhealthy error, and otherwise ends with its own error."""
    assert after_retryable(attempts, 3, **flags) is verdict


@pytest.mark.parametrize(
    ("verdict", "age", "most", "own", "expected"),
    [
        (Verdict.TRY_AGAIN, 4.9, 5.0, True, Verdict.TRY_AGAIN),
        (Verdict.TRY_AGAIN, 5.0, 5.0, True, Verdict.ENDED),
        (Verdict.TRY_AGAIN, 5.0, 5.0, False, Verdict.EXHAUSTED),
        (Verdict.TRY_AGAIN, 1e9, None, False, Verdict.TRY_AGAIN),
        (Verdict.ENDED, 1e9, 5.0, False, Verdict.ENDED),
    ],
)
def test_too_old(verdict: Verdict, age: float, most: float | None, own: bool, expected: Verdict) -> None:
    """A task that is too old is not tried again; what was decided otherwise stays."""
    assert in_time(verdict, age, most, own=own) is expected


def test_pauses_double_up_to_their_limit() -> None:
    """Full jitter: anything between nothing and a limit that doubles."""

    class Most(random.Random):
        def random(self) -> float:
            return 1.0

    policy = RetryPolicy(backoff=0.5, max_backoff=3.0)
    assert [policy.pause(n, Most()) for n in (1, 2, 3, 4, 10_000)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert RetryPolicy().pause(5, Most()) == 0.0
    pauses = [policy.pause(1, random.Random(n)) for n in range(50)]
    assert 0 <= min(pauses) < 0.1
    assert 0.4 < max(pauses) <= 0.5


@pytest.mark.parametrize(
    ("retry_on", "wants"),
    [
        (None, (False, False)),
        (OSError, (True, False)),
        ((KeyError, OSError), (True, False)),
        (lambda error: isinstance(error, ValueError), (False, True)),
        (lambda error: "", (False, False)),
    ],
)
def test_which_errors(retry_on: Any, wants: tuple[bool, bool]) -> None:
    """Classes with their subclasses, or what a function says of the error."""
    policy = RetryPolicy(retry_on=retry_on)
    assert (policy.wants(ConnectionError()), policy.wants(ValueError())) == wants


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        *(("max_retries", wrong) for wrong in (-1, 1.0, "1", True)),
        *(("at_stop", wrong) for wrong in ("wait", None, True)),
        *(("backoff", wrong) for wrong in (-1, math.nan, math.inf, "1", True, None)),
        *(("max_backoff", wrong) for wrong in (-1, math.nan, None)),
        *(("max_elapsed", wrong) for wrong in (-1, math.nan, "1")),
        *(("retry_on", wrong) for wrong in (3, "OSError", int, (OSError, 3))),
    ],
)
def test_wrong_values(field: str, wrong: Any) -> None:
    """The error names field and value."""
    with pytest.raises(ValueError, match=rf"RetryPolicy\.{field} must be .*, got "):
        RetryPolicy(**{field: wrong})


def test_in_the_order_of_their_times() -> None:
    """What is due first comes first, and of two that are due together the one that was added first."""
    delayed = Delayed()
    assert (len(delayed), delayed.moment) == (0, None)
    for task, due in (("c", 3.0), ("a", 1.0), ("d", 3.0), ("b", 2.0)):
        delayed.add(Task(task), due)
    assert (len(delayed), delayed.moment) == (4, 1.0)
    assert delayed.take(0.5) == []
    assert delayed.take(2.0) == [("a", None), ("b", None)]
    assert delayed.take(math.inf) == [("c", None), ("d", None)]


def failed(task: str, attempts: int = 1, *, own: bool = True, age: float = 0.0) -> ev.AttemptFailed:
    """A task of the first worker has failed."""
    return ev.AttemptFailed(seat(1), Task(task), attempts, False, own=own, age=age)


def test_without_a_policy_at_once() -> None:
    """An error of its own that comes here all the same is tried again at once, and the worker serves on."""
    rig = Rig(1, 1).serving()
    assert rig.do(failed("t")) == [act.Requeue("t")]
    assert (rig.view.ready, rig.view.replaced) == (1, 0)
    assert rig.do(failed("t", 4)) == [act.FailTask("t", own=True)]


def test_after_a_pause() -> None:
    """The task is counted and kept, and queued when its time has come; the tick does not see it meanwhile."""
    rig = Rig(1, 1, retry=SLOW).serving()
    assert rig.do(failed("t")) == [act.Delay("t")]
    assert rig.view.delayed == 1
    due = rig.supervisor.wakeup(rig.now)
    assert due is not None
    assert 0 < due <= 4.0
    rig.do(tick(queued=1))
    assert rig.view.snapshot.queued == 0
    assert rig.wake() == [act.Resume("t")]
    assert rig.view.delayed == 0


def test_a_pause_after_an_unhealthy_error() -> None:
    """The worker is replaced meanwhile."""
    rig = Rig(1, 1, retry=SLOW).serving()
    assert rig.do(failed("t", own=False)) == [act.Delay("t")]
    assert rig.ended(seat(1)) == [start(1, 2)]
    assert rig.view.replaced == 1


def test_a_task_that_is_too_old() -> None:
    """Whatever its error, it is not tried again."""
    rig = Rig(1, 1, retry=RetryPolicy(max_elapsed=5.0)).serving()
    assert rig.do(failed("t", age=5.0)) == [act.FailTask("t", own=True)]
    assert rig.do(failed("t", own=False, age=5.0)) == [act.FailTask("t", own=False)]


def test_an_attempt_that_would_come_too_late() -> None:
    """The pause counts as well."""
    rig = Rig(1, 1, retry=RetryPolicy(backoff=4.0, max_elapsed=1e-9)).serving()
    assert rig.do(failed("t")) == [act.FailTask("t", own=True)]


def test_cancelled_ones_are_forgotten() -> None:
    """Within a second or so: what they hide from the scaler comes back, and nothing wakes up for them."""
    rig = Rig(1, 1, retry=SLOW).serving()
    event, other = failed("t"), failed("u")
    rig.do(event)
    rig.do(other)
    event.task.cancelled = True
    rig.do(tick(queued=5))
    assert (rig.view.delayed, rig.view.snapshot.queued) == (2, 3)
    rig.now += 1.0
    rig.do(tick(queued=5))
    assert (rig.view.delayed, rig.view.snapshot.queued) == (1, 4)
    assert without_logs(rig.wake()) == [act.Resume("u")]


def test_a_stop_resumes_all() -> None:
    """And what fails from then on has no pause."""
    rig = Rig(1, 1, retry=SLOW).serving()
    rig.do(failed("a"))
    rig.do(failed("b"))
    resumed = without_logs(rig.do(ev.StopRequested("enough")))
    assert {action.task for action in resumed if isinstance(action, act.Resume)} == {"a", "b"}
    assert rig.do(failed("a", 2)) == [act.Requeue("a")]


def test_a_stop_reports_those_that_say_so() -> None:
    """Each by its own policy; and so what fails or snoozes from then on, unless it has no pause."""
    reports = RetryPolicy(backoff=4.0, at_stop="report")
    rig = Rig(1, 1, retry=reports).serving()
    rig.do(failed("a"))
    rig.do(replace(failed("b"), policy=SLOW))
    rig.do(snoozed("c"))
    actions = rig.do(ev.StopRequested("enough"))
    assert [action for action in actions if isinstance(action, act.Resume)] == [act.Resume("b")]
    reported = [action for action in actions if isinstance(action, act.ReportDelayed)]
    assert reported == [act.ReportDelayed("a"), act.ReportDelayed("c", "snooze")]
    assert rig.view.delayed == 0
    assert rig.do(failed("d")) == [act.FailTask("d", own=True, late=True)]
    assert rig.do(failed("d", own=False)) == [act.FailTask("d", own=True, late=True)]
    assert rig.do(replace(failed("e"), policy=SLOW)) == [act.Requeue("e")]
    assert rig.do(replace(failed("f"), policy=RetryPolicy(at_stop="report"))) == [act.Requeue("f")]
    assert rig.do(failed("g", 4)) == [act.FailTask("g", own=True)]
    assert rig.do(snoozed("h")) == [act.FailTask("h", own=True, late=True)]
    assert rig.do(snoozed("i", cancelled=True)) == [act.FailTask("i", own=True)]


def test_those_that_a_stop_would_report_are_resumed_by_time_and_dropped_by_a_kill() -> None:
    """A kill is no time for errors: all that is queued is killed."""
    rig = Rig(1, 1, retry=RetryPolicy(backoff=4.0, at_stop="report")).serving()
    rig.do(failed("a"))
    assert without_logs(rig.do(ev.Wakeup(), after=4.1)) == [act.Resume("a")]
    rig.do(failed("a", 2))
    actions = rig.do(ev.KillRequested("enough"))
    assert act.Resume("a") in actions


def test_a_kill_resumes_all_to_drop_them() -> None:
    """Before the queue is dropped, and after no task may start any more."""
    rig = Rig(1, 1, retry=SLOW).serving()
    rig.do(failed("t"))
    actions = without_logs(rig.do(ev.KillRequested("enough", 9.0)))
    assert actions[:4] == [act.RefuseTasks("enough"), act.CancelRunning(), act.Resume("t"), act.DropQueued()]
    assert rig.view.phase is Phase.KILLING
    assert rig.do(failed("u")) == [act.FailTask("u", own=True)]


def test_a_policy_of_its_own() -> None:
    """It takes the place of that of the plan as a whole."""
    own = RetryPolicy(max_retries=1)
    rig = Rig(1, 1, retry=SLOW, max_retries=9).serving()
    assert rig.do(replace(failed("t"), policy=own)) == [act.Requeue("t")]
    assert rig.do(replace(failed("t", 2), policy=own)) == [act.FailTask("t", own=True)]
    assert rig.do(replace(failed("t", 2), policy=RetryPolicy())) == [act.Requeue("t")]
    rig = Rig(1, 1, retry=RetryPolicy(max_retries=0), max_retries=9).serving()
    assert rig.do(failed("t")) == [act.FailTask("t", own=True)]
    assert rig.do(replace(snoozed("t"), policy=RetryPolicy(max_elapsed=1.0))) == [act.FailTask("t", own=True)]


def test_a_quarantine() -> None:
    """The supervisor asks with what the event and the plan say; an error of the task's own is another question."""
    rig = Rig(2, 2, quarantine_after=2, max_retries=9).serving()
    assert rig.do(ev.AttemptFailed(seat(1), Task("t"), 1, once=False, harmed=1))[0] == act.Requeue("t")
    assert rig.do(ev.AttemptFailed(seat(2), Task("t"), 2, once=False, harmed=2))[0] == act.Quarantine("t", 2)
    own = ev.AttemptFailed(seat(1), Task("t"), 3, once=False, own=True, harmed=2)
    assert rig.do(own) == [act.Requeue("t")]


def snoozed(task: str, seconds: float = 5.0, *, cancelled: bool = False, age: float = 0.0) -> ev.TaskSnoozed:
    """A task of the first worker gives itself back."""
    return ev.TaskSnoozed(seat(1), Task(task), seconds, "snooze", cancelled, age)


def test_a_snooze() -> None:
    """The task is kept until its time has come, and its worker serves on."""
    rig = Rig(1, 1).serving()
    assert rig.do(snoozed("t")) == [act.Delay("t", snoozed=True)]
    assert (rig.view.delayed, rig.view.ready, rig.view.replaced) == (1, 1, 0)
    assert rig.supervisor.wakeup(rig.now) == 5.0
    assert rig.do(ev.Wakeup(), after=4.9) == []
    assert rig.do(ev.Wakeup(), after=0.2) == [act.Resume("t")]


def test_a_snooze_of_no_time() -> None:
    """It is over at once."""
    rig = Rig(1, 1).serving()
    assert rig.do(snoozed("t", 0.0)) == [act.Delay("t", snoozed=True), act.Resume("t")]


def test_a_snooze_that_is_not_granted() -> None:
    """One that was cancelled, would be too old, or comes at the end."""
    rig = Rig(1, 1, retry=RetryPolicy(max_elapsed=9.0)).serving()
    assert rig.do(snoozed("t", cancelled=True)) == [act.FailTask("t", own=True)]
    assert rig.do(snoozed("t", age=4.0)) == [act.FailTask("t", own=True)]
    assert rig.do(snoozed("t", age=3.0)) == [act.Delay("t", snoozed=True)]
    assert act.Resume("t") in rig.do(ev.StopRequested("enough"))
    assert rig.do(snoozed("t")) == [act.FailTask("t", own=True, late=True)]
    rig.do(ev.KillRequested("enough"))
    assert rig.do(snoozed("t")) == [act.DropTask("t")]


def test_a_snooze_after_the_end() -> None:
    """An abandoned worker's task: no one is left to wake it."""
    rig = Rig(1, 1).serving()
    rig.do(ev.KillRequested("enough", 1.0))
    assert rig.do(ev.Wakeup(), after=2.0)
    assert rig.view.phase is Phase.STOPPED
    assert rig.do(snoozed("t")) == [act.DropTask("t")]
