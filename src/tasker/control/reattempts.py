"""What becomes of a task that failed and may be tried again, or that snoozes: at once, later, or not any more."""

from __future__ import annotations

import math
import random
from functools import partial
from typing import Any

from . import actions as act
from . import events as ev
from .attempts import Verdict, after_retryable, after_snooze, after_unhealthy, in_time
from .lifecycle import ACCEPTING, Phase
from .retries import Delayed, RetryPolicy, most_retries
from .view import Plan

_SWEEP = 1.0
"""The seconds between two searches for delayed tasks that were cancelled, each of which takes O(n)."""


class Reattempts:
    """Decides about each of these tasks, and keeps those that wait for their time. Not thread-safe."""

    def __init__(self, plan: Plan, rng: random.Random, now: float) -> None:
        self._plan = plan
        self._rng = rng
        self._delayed = Delayed()
        self._swept = now
        self.refused: int = 0
        """How many retries a ``RetryBudget`` could not pay for."""

    @property
    def waiting(self) -> int:
        """How many tasks wait for the time of their next attempt."""
        return len(self._delayed)

    @property
    def moment(self) -> float | None:
        """When the first of them is due, or None."""
        return self._delayed.moment

    def failed(self, event: ev.AttemptFailed, now: float, phase: Phase) -> act.Action:
        """Decides about a task whose attempt failed. If the policy raises, the task ends with its own error."""
        try:
            return self._failed(event, now, phase)
        except BaseException as fault:  # of a user's subclass of the policy or the budget, even its SystemExit
            return act.FailTask(event.task, own=True, fault=fault)

    def _failed(self, event: ev.AttemptFailed, now: float, phase: Phase) -> act.Action:
        policy = event.policy or self._plan.retry
        verdict, pause = judged(event, self._plan, phase, self._rng)
        if verdict is Verdict.QUARANTINED:
            return act.Quarantine(event.task, event.harmed)
        if verdict is not Verdict.TRY_AGAIN:
            return act.DropTask(event.task) if verdict is Verdict.KILLED else _failed(event.task, verdict)
        if pause and phase not in ACCEPTING:
            return act.FailTask(event.task, own=True, late=True)
        return self._tried_again(event, policy, pause, now)

    def _tried_again(self, event: ev.AttemptFailed, policy: RetryPolicy | None, pause: float, now: float) -> act.Action:
        loan = None
        if policy is not None and policy.budget is not None:
            loan = policy.budget.borrow(timed_out=event.timed_out)
            if loan is None:
                self.refused += 1
                return act.FailTask(event.task, own=True)
        if not pause:
            return act.Requeue(event.task, loan)
        self._delayed.add(event.task, now + pause, act.ReportDelayed(event.task) if _reports(policy) else None)
        return act.Delay(event.task, loan=loan, pause=pause)

    def snoozed(self, event: ev.TaskSnoozed, now: float, phase: Phase) -> act.Action:
        """Decides about a task that gives itself back."""
        policy = event.policy or self._plan.retry
        verdict = after_snooze(
            cancelled=event.cancelled, stopping=phase not in ACCEPTING, killing=phase is Phase.KILLING
        )
        if policy is not None:
            verdict = in_time(verdict, event.age + event.seconds, policy.max_elapsed, own=True)
        if verdict is Verdict.ENDED and not event.cancelled and phase not in ACCEPTING:
            return act.FailTask(event.task, own=True, late=True)
        if verdict is not Verdict.TRY_AGAIN:
            return act.DropTask(event.task) if verdict is Verdict.KILLED else _failed(event.task, verdict)
        late = act.ReportDelayed(event.task, event.error) if _reports(policy) else None
        self._delayed.add(event.task, now + event.seconds, late)
        return act.Delay(event.task, snoozed=True)

    def due(self, now: float, phase: Phase) -> list[act.Action]:
        """Returns the actions for the tasks whose pause is over. If the manager ends, that is all of them; a kill drops them with
        those that are queued."""
        if not self._delayed:
            return []
        if phase in ACCEPTING or phase is Phase.KILLING:
            return [act.Resume(task) for task, _ in self._delayed.take(now if phase in ACCEPTING else math.inf)]
        return [late or act.Resume(task) for task, late in self._delayed.take(math.inf)]

    def sweep(self, now: float) -> None:
        """Forgets the tasks that were cancelled while they waited, unless it did so a moment ago."""
        if self._delayed and now >= self._swept + _SWEEP:
            self._swept = now
            self._delayed.sweep()


def judged(event: ev.AttemptFailed, plan: Plan, phase: Phase, rng: random.Random) -> tuple[Verdict, float]:
    """Returns what becomes of a task whose attempt failed, and the seconds before its next one. A pause though the manager ends
    says that the task is to be reported. Raises what a subclass of the policy raises."""
    policy, pause = event.policy or plan.retry, 0.0
    after = plan.quarantine_after
    judge = after_retryable if event.own else partial(after_unhealthy, harmed=event.harmed, quarantine_after=after)
    verdict = judge(
        event.attempts,
        most_retries(policy, plan.max_retries),
        once=event.once,
        cancelled=event.cancelled,
        killing=phase is Phase.KILLING,
    )
    if policy is not None and verdict is not Verdict.QUARANTINED:
        if phase in ACCEPTING or _reports(policy):
            pause = policy.pause(event.attempts, rng)
            if not pause >= 0:  # a subclass may return anything; nan would spoil the order of the delayed tasks
                raise ValueError(f"RetryPolicy.pause must return a number of seconds, at least 0, got {pause!r}")
        # Else none: a stop does not wait for a pause, so what fails again then is tried again at once.
        verdict = in_time(verdict, event.age + pause, policy.max_elapsed, own=event.own)
    return verdict, pause


def _reports(policy: RetryPolicy | None) -> bool:
    return policy is not None and policy.at_stop == "report"


def _failed(task: Any, verdict: Verdict) -> act.Action:
    return act.FailTask(task, own=verdict is Verdict.ENDED)
