"""What subscribers are told, derived from each event, the supervisor's answer and the change of its state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control import notices as say
from tasker.control.retries import RetryPolicy
from tasker.control.witness import After, Before, Witness, state_at
from unit.control.rig import Rig, seat, start, tick


@dataclass
class Task:
    """What is read of a task."""

    label: str = "task #7 mod.fn"
    id: int = 7

    def done(self) -> bool:
        """It has no outcome."""
        return False


class Watched(Rig):
    """A rig that keeps what a subscriber would be told."""

    def __init__(self, *args: Any, **plan: Any) -> None:
        super().__init__(*args, **plan)
        self.witness = Witness(lambda seat: f"w{seat.slot}", lambda error: f"said {error}")
        self.told: list[say.ManagerEvent] = []

    def do(self, event: ev.Event, after: float = 0.0) -> list[act.Action]:
        """As ever, watched."""
        self.now += after
        table = self.supervisor.table
        before = Before(self.view, state_at(table, event))
        actions = self.supervisor.handle(event, self.now)
        done = After(self.view, state_at(table, event), actions, self.now)
        self.told += self.witness.tell(event, before, done)
        return actions

    def news(self) -> list[say.ManagerEvent]:
        """What has been told since the last time."""
        told, self.told = self.told, []
        return told


def of(kind: Any, slot: int, generation: int | None = None, *more: Any, at: float = 0.0) -> Any:
    """An event of a worker."""
    return kind(at, f"w{slot}", slot, slot if generation is None else generation, *more)


def serving(*args: Any, **plan: Any) -> Watched:
    """A watched rig whose start is not to be looked at."""
    rig = Watched(*args, **plan)
    rig.serving()
    rig.news()
    return rig


def test_the_start() -> None:
    """The decision, then the workers that follow from it, then each that is ready."""
    rig = Watched()
    rig.serving()
    assert rig.news() == [
        say.Scaled(0.0, "start", 0, 2, rig.view.decisions[0].why),
        of(say.WorkerStarting, 1),
        of(say.WorkerStarting, 2),
        of(say.WorkerStarted, 1),
        of(say.WorkerStarted, 2),
    ]


def test_a_failed_attempt_that_costs_its_worker() -> None:
    """The worker is replaced because of the error, and the task tried again; another worker starts when that is gone."""
    rig = serving(2, 2)
    rig.do(ev.AttemptFailed(seat(1), Task(), 1, once=False, failure="boom"))
    assert rig.news() == [
        of(say.WorkerReplaced, 1, None, "unhealthy", "said boom"),
        say.TaskRetried(0.0, "task #7 mod.fn", 7, 1, "w1", "said boom", 0.0),
    ]
    rig.ended(seat(1))
    assert rig.news() == [of(say.WorkerGone, 1), of(say.WorkerStarting, 1, 3)]


def test_a_failed_attempt_whose_worker_serves_on() -> None:
    """Only the task is told of, with the pause before its next attempt; not where there is none."""
    rig = serving(retry=RetryPolicy(retry_on=OSError, backoff=4.0))
    rig.do(ev.AttemptFailed(seat(1), Task(), 1, once=False, own=True, failure="boom"))
    (told,) = rig.news()
    assert isinstance(told, say.TaskRetried)
    assert told.pause > 0.0
    rig.do(ev.AttemptFailed(seat(1), Task(), 99, once=False, own=True, failure="boom"))
    assert rig.news() == []


def test_other_reasons_to_replace_a_worker() -> None:
    """Each has its word, and no error."""
    for event, why in (
        (ev.WorkerUnhealthy(seat(1)), "unhealthy"),
        (ev.WorkerChecked(seat(1), fit=False), "check"),
        (ev.WorkerWorn(seat(1)), "worn"),
    ):
        rig = serving()
        rig.do(event)
        assert rig.news() == [of(say.WorkerReplaced, 1, None, why, None), *([of(say.WorkerStarting, 3)])]


def test_what_comes_late_or_changes_nothing() -> None:
    """Nothing is told."""
    rig = serving()
    rig.do(ev.WorkerReady(seat(9)))
    rig.do(ev.WorkerChecking(seat(1)))
    rig.do(ev.WorkerChecked(seat(1), fit=True))
    rig.do(ev.Wakeup())
    assert rig.news() == []


def test_a_worker_that_is_lost() -> None:
    """It and its successor."""
    rig = serving(1, 1)
    rig.do(ev.WorkerDied(seat(1), "signal 9"))
    assert rig.news() == [of(say.WorkerCrashed, 1, None, "signal 9"), of(say.WorkerStarting, 1, 2)]


def test_a_worker_that_is_stuck_in_a_task() -> None:
    """It is stuck, another one starts, and it returns after all: then one of them has to go."""
    rig = serving(1, 1, max_stuck_workers=1)
    rig.do(ev.TaskOverdue(seat(1), "task #7 takes too long"))
    assert rig.news() == [of(say.WorkerStuck, 1, None, "task #7 takes too long"), of(say.WorkerStarting, 2)]
    rig.do(ev.WorkerReturned(seat(1)))
    assert rig.news() == [of(say.WorkerRecovered, 1)]
    rig.do(ev.WorkerDropped(seat(2)))
    assert rig.news() == [of(say.WorkerRetired, 2)]


def test_workers_that_are_stuck_in_callbacks() -> None:
    """Each says in which. One that was stuck in a check has returned once that is over."""
    rig = Watched(1, 1, max_stuck_workers=3, create_timeout=1.0, check_timeout=1.0, destroy_timeout=1.0)
    rig.do(ev.Started())
    rig.news()
    rig.do(ev.Wakeup(), 1.0)
    stuck = rig.news()
    assert of(say.WorkerStuck, 1, None, "on_create has not returned within create_timeout=1.0 seconds", at=1.0) in stuck
    rig = serving(1, 1, max_stuck_workers=3, check_timeout=1.0, destroy_timeout=1.0)
    rig.do(ev.WorkerChecking(seat(1)))
    rig.do(ev.Wakeup(), 1.0)
    assert rig.news()[0] == of(say.WorkerStuck, 1, None, "check_resource has not returned in time", at=1.0)
    rig.do(ev.WorkerChecked(seat(1), fit=True))
    assert rig.news()[0] == of(say.WorkerRecovered, 1, at=1.0)
    rig = serving(1, 1, max_stuck_workers=3, destroy_timeout=1.0)
    rig.do(ev.WorkerWorn(seat(1)))
    rig.news()
    rig.do(ev.Wakeup(), 1.0)
    assert rig.news()[0] == of(say.WorkerStuck, 1, None, "on_destroy has not returned in time", at=1.0)


def test_parked_workers() -> None:
    """Both ways."""
    rig = serving()
    rig.do(ev.WorkerParked(seat(2)))
    rig.do(ev.WorkerUnparked(seat(2)))
    assert rig.news() == [of(say.WorkerSetAside, 2), of(say.WorkerResumed, 2)]


def test_creations_that_fail_and_recover() -> None:
    """The worker, the round with the time until the next try, and the breaker; in the end how many rounds there were."""
    rig = Watched(1, 1)
    rig.do(ev.Started())
    rig.news()
    rig.fail(seat(1))
    failed, failing, breaker = rig.news()
    assert failed == of(say.WorkerFailed, 1, None, "no route")
    assert isinstance(failing, say.CreationsFailing)
    assert (failing.failures, failing.error) == (1, "no route")
    assert failing.retry_in is not None and failing.retry_in > 0
    assert breaker == say.BreakerChanged(0.0, "closed", "open")
    assert rig.wake() == [start(1, 2)]
    assert rig.news() == [
        say.BreakerChanged(rig.now, "open", "half-open"),
        of(say.WorkerStarting, 1, 2, at=rig.now),
    ]
    rig.ready(seat(1, 2))
    assert rig.news() == [
        of(say.WorkerStarted, 1, 2, at=rig.now),
        say.CreationsRecovered(rig.now, 1),
        say.BreakerChanged(rig.now, "half-open", "closed"),
    ]


def test_a_failure_where_nothing_is_missing() -> None:
    """There is no next try to be announced."""
    rig = serving(1, 1)
    rig.do(ev.CallerCreation(0.0, "no route"))
    assert rig.news()[0] == say.CreationsFailing(0.0, 1, "no route", None)


def test_every_decision_is_told_once() -> None:
    """Also once the journal has dropped its first ones."""
    rig = serving(1, 100, scales=False)
    for most in range(1, 41):
        rig.do(ev.Resized(most, 100))
    told = [one for one in rig.news() if isinstance(one, say.Scaled)]
    assert [(one.before, one.target) for one in told] == [(number, number + 1) for number in range(1, 40)]
    assert {one.cause for one in told} == {"resize"}


def test_a_restart_alarm() -> None:
    """As the action says, when it comes and when it goes."""
    rig = serving(1, 1, restart_intensity=(1, 5.0))
    for generation in (1, 2):
        rig.do(ev.WorkerDied(seat(1, generation), "signal 9"))
        rig.ready(seat(1, generation + 1))
    alarms = [one for one in rig.news() if isinstance(one, say.RestartAlarmChanged)]
    assert alarms == [say.RestartAlarmChanged(0.0, True, 2, "it was lost: signal 9")]
    rig.do(ev.Wakeup(), 5.0)
    assert rig.news() == [say.RestartAlarmChanged(5.0, False, 2, "it was lost: signal 9")]


def test_a_pause() -> None:
    """Told when tasks do not start any more, and when they start again; not in between."""
    rig = serving()
    rig.do(ev.PauseRequested())
    rig.do(ev.PauseRequested())
    rig.do(ev.Quiet())
    rig.do(ev.ResumeRequested())
    assert rig.news() == [say.Paused(0.0), say.Resumed(0.0)]


def test_a_stop_that_becomes_a_kill() -> None:
    """Each is told once. A worker that does not end is left behind."""
    rig = serving(1, 1)
    rig.do(ev.StopRequested("enough", deadline=1.0, grace=0.5))
    rig.do(ev.StopRequested("enough"))
    assert rig.news() == [say.StopBegun(0.0, False, "enough")]
    rig.do(ev.Wakeup(), 1.0)
    first, scaled = rig.news()
    assert isinstance(scaled, say.StopBegun) and scaled.kill
    assert isinstance(first, say.Scaled) and first.cause == "kill"
    rig.do(ev.Wakeup(), 0.5)
    assert rig.news() == [of(say.WorkerAbandoned, 1, at=1.5)]


def test_an_event_at_the_deadline_of_a_kill() -> None:
    """The worker that it is about is left behind with the others: that is what is told."""
    rig = serving(1, 1)
    rig.do(ev.KillRequested("enough", deadline=1.0))
    rig.news()
    rig.do(ev.WorkerChecking(seat(1)), 1.0)
    assert rig.news() == [of(say.WorkerAbandoned, 1, at=1.0)]


def test_retired_workers() -> None:
    """Those that are not needed any more."""
    rig = serving(1, 4)
    rig.grown(3)
    rig.do(ev.Resized(1, 1))
    rig.news()
    rig.do(ev.WorkerRetiring(seat(2)))
    assert rig.news() == [of(say.WorkerRetired, 2)]
    rig.do(tick())
