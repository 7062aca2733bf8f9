"""The attempts of one call of ``run_task`` that has a time limit or may be tried again: what both engines decide alike.

The call is no task of the queue: its caller is in it. So nobody else can end it, another attempt begins when the caller begins it,
and a limit that has passed cancels the attempt and wakes the caller, no more.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from tasker.attempt import Attempt, Quarantined
from tasker.config import Config
from tasker.context import Context
from tasker.control import events as ev
from tasker.control.attempts import Verdict, after_error, goes_back
from tasker.control.health import Health
from tasker.control.lifecycle import ACCEPTING, Phase
from tasker.control.reattempts import judged
from tasker.control.retries import RetryPolicy, most_retries
from tasker.control.retry_budget import Loan
from tasker.control.view import Plan, View
from tasker.control.wording import attempt_failed
from tasker.core.causes import set_cause
from tasker.core.checks import check_rare
from tasker.core.counters import Counters
from tasker.core.effects import exhausted
from tasker.core.history import History, after, forget_frames, tell
from tasker.core.hooks import Hooks
from tasker.core.limited_task import LimitedTask, TimedOut, may_retry
from tasker.core.limits import TimeLimits
from tasker.core.outcomes import snoozes, starts_once
from tasker.core.planning import plan_of
from tasker.core.quarantine import QuarantineRecord, poisoned, quarantined
from tasker.errors import TaskKilled
from tasker.logs import GuardedLogger, describe, task_name

_NOWHERE = ev.Seat(0, 0)


class TriesPort(Protocol):
    """What is used of an engine."""

    @property
    def config(self) -> Config[Any]: ...
    @property
    def counters(self) -> Counters: ...
    @property
    def hooks(self) -> Hooks: ...
    @property
    def log(self) -> GuardedLogger: ...
    @property
    def limits(self) -> TimeLimits: ...
    @property
    def now(self) -> Callable[[], float]: ...
    @property
    def quarantine(self) -> QuarantineRecord: ...
    @property
    def view(self) -> View: ...
    @property
    def refusal(self) -> str: ...
    @property
    def killed(self) -> bool: ...


class InlineLimit(LimitedTask):
    """The limits of such a call. Its caller is woken, and nobody gives its attempt up."""

    def step(self, now: float, grace: float) -> Any:
        """See ``LimitedTask``."""
        step = super().step(now, math.inf)
        if step is step.EXPIRE:
            self._wake()
            return step.NOTHING  # its caller ends it
        return step

    def cancel(self, now: float = math.inf) -> Context | None:
        """See ``LimitedTask``."""
        context = super().cancel(now)
        if context is not None:
            self._wake()
        return context

    def _wake(self) -> None:
        if (tries := self.future) is not None:
            tries.wake()


class InlineTries:
    """See the module's docstring. For the caller's thread or task alone, apart from what the limits use."""

    id = 0
    wake: Callable[[], object]
    """Ends the wait that the caller is in, if it can be ended, as a limit has passed."""

    def __init__(
        self,
        engine: TriesPort,
        task: Callable[..., Any],
        args: tuple[Any, ...],
        *,
        retry: RetryPolicy | None,
        timeout: float | None,
        deadline: float | None,
    ) -> None:
        """Raises ``TypeError`` or ``ValueError`` for wrong options."""
        check_rare(None, retry)
        self.task: Callable[..., Any] = task
        self.args: tuple[Any, ...] = args
        self.label: str = f"{task_name(task)} in run_task"
        self.attempts: int = 0
        self.again: bool = False
        """Whether another attempt follows the last one."""
        self.queued: float = 0.0
        """When it began (``time.monotonic``)."""
        self.quarantined: Quarantined | None = None
        """What ``on_quarantine`` gets once the last attempt is over."""
        self.carried: bool = False
        """Whether the call counts as running, although no attempt of it does."""
        self.context: Context | None = None
        """That of the attempt."""
        self.wake = _nothing
        self._engine = engine
        self._policy = retry
        self._plan: Plan = plan_of(engine.config)
        self._rng = random.Random()
        self._done = False
        self._raised: BaseException | None = None
        self._outcome: BaseException | None = None
        self._loan: Loan | None = None
        self._due = 0.0
        self._harmed = 0
        self._history: History = ()
        self._worker = f"{engine.config.name}-run_task"
        self._queued_at: float = engine.now()
        self._started_at: float = self._queued_at
        self._finished_at: float = self._queued_at
        self.limited: LimitedTask | None = engine.limits.of_submission(self, timeout, deadline, InlineLimit)
        if self.limited is not None:
            engine.limits.keep_deadline(self.limited)

    def done(self) -> bool:
        """Whether it has its outcome."""
        return self._done

    @property
    def attempts_made(self) -> tuple[Attempt, ...]:
        """As ``future.attempts_made``."""
        return self._history

    # -- one attempt ----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """An attempt is about to be made."""
        self.attempts += 1
        self.again = False
        if self._history and (before := self._history[-1].error) is not None:
            forget_frames(before)  # by now nobody handles it
        self.context = self._raised = self._outcome = None

    def timed_out(self, error: BaseException) -> TimedOut | None:
        """Returns what the attempt has come to that ended with ``error``; None if that has nothing to do with its limit."""
        limited = self.limited
        # Ctrl-C and the like are the caller's, and not an answer of the task.
        if limited is None or not issubclass(type(error), Exception):
            return None
        limited.ended()
        return limited.outcome(error, self.context)

    def interrupted(self, raised: BaseException) -> BaseException:
        """Returns the error of an attempt, or of the wait for its resource, that was interrupted because a limit has passed."""
        limited = self.limited
        late = None if limited is None or self.context is not None else limited.late(self._engine.now())
        error = late or (raised if limited is None else limited.timed_out())
        if error is not raised:
            set_cause(error, raised)
        return error

    @contextmanager
    def attempt_elsewhere(self, context: Context) -> Iterator[None]:
        """Notes the begin and the end of an attempt in another process. Raises ``TaskTimeout`` if it may not begin any more."""
        limited = self.limited
        if limited is None:
            yield
            return
        self._engine.limits.start(limited, context)
        try:
            yield
        finally:
            limited.ended()

    def judge(
        self,
        raised: BaseException,
        error: BaseException,
        health: Health,
        ran: float,
        *,
        cancelled: bool,
        timed_out: TimedOut | None,
    ) -> BaseException:
        """Decides what becomes of the call after an attempt, and returns the error that it has come to. ``raised``: what the caller
        of the attempt gets; ``error``: what that means; ``health``: what that says of the resource; ``ran``: for how many seconds
        the attempt has."""
        self._raised, self._outcome = raised, error
        self._finished_at = self._engine.now()
        self._started_at = self._finished_at - ran
        if self._policy is None or not issubclass(type(raised), Exception):
            return error
        engine = self._engine
        blameless = snoozes(error) or (timed_out is not None and timed_out.blameless)
        killed = cancelled and issubclass(type(error), TaskKilled)
        verdict = after_error(cancelled=cancelled, killed=killed, blameless=blameless)
        retryable = may_retry(timed_out, sound=not health.blames) and engine.hooks.retryable(
            error, verdict, once=False, cancelled=cancelled, policy=self._policy
        )
        healthy = verdict is not None or not health.blames
        if goes_back(healthy=healthy, retryable=retryable, cancelled=cancelled, timed_out=timed_out is not None):
            engine.log.log("warning", attempt_failed(health), self._worker, self.label, self.attempts, describe(error))
            self._outcome = self._next(error, health)
        return self._outcome

    def _next(self, error: BaseException, health: Health) -> BaseException:
        """Has another attempt follow if one may, and returns the error of the call otherwise."""
        engine = self._engine
        self._harmed += health.harms
        late, once = issubclass(type(error), TimeoutError), starts_once(error, once=False)
        why = (once, False, not health.blames, self._finished_at - self._queued_at, self._policy)
        event = ev.AttemptFailed(
            _NOWHERE, self, self.attempts, *why, kept=not health.replaces, timed_out=late, harmed=self._harmed
        )
        try:
            verdict, pause = self._decided(event)
        except Exception as fault:  # of a user's subclass of the policy or the budget
            engine.log.fault("the retry policy", fault)
            verdict, pause = Verdict.ENDED, 0.0
        self._history = after(self._history, self, error, verdict)
        if verdict is Verdict.EXHAUSTED:
            return exhausted(self, most_retries(self._policy, self._plan.max_retries), error)
        if verdict is Verdict.QUARANTINED:
            return self._poisoned(error)
        if verdict is Verdict.KILLED:
            return self._killed()
        if verdict is Verdict.TRY_AGAIN:
            engine.counters.note("retried")
            engine.hooks.retry()
            self.again, self._due = True, engine.now() + pause
        return error

    def _decided(self, event: ev.AttemptFailed) -> tuple[Verdict, float]:
        """As ``judged``. What has to be reported, or cannot be paid for, ends."""
        phase = self._phase
        verdict, pause = judged(event, self._plan, phase, self._rng)
        reported = pause > 0 and phase not in ACCEPTING
        if verdict is Verdict.TRY_AGAIN and (reported or not self._pays(timed_out=event.timed_out)):
            verdict = Verdict.ENDED
        return verdict, pause

    def _pays(self, *, timed_out: bool) -> bool:
        """Returns whether the budget, if there is one, pays for another attempt."""
        budget = None if self._policy is None else self._policy.budget
        if budget is None:
            return True
        self._loan = budget.borrow(timed_out=timed_out)
        if self._loan is None:
            self._engine.counters.note("refused_retries")
        return self._loan is not None

    def _poisoned(self, cause: BaseException) -> BaseException:
        engine = self._engine
        error = poisoned(self, self._harmed, cause)
        self.quarantined = quarantined(self, self.task, self.args, error)
        engine.quarantine.add(self.label)
        engine.counters.note("quarantined")
        engine.log.log("error", "%s", error)
        return error

    def _killed(self) -> TaskKilled:
        return TaskKilled(f"{self.label} was killed before its next attempt: {self._engine.refusal}")

    # -- between two of them --------------------------------------------------------------------------------------

    def follows(self, raised: BaseException) -> bool:
        """Returns whether another attempt follows after what the caller got of the last one."""
        return self.again and raised is self._raised

    @property
    def _phase(self) -> Phase:
        return Phase.KILLING if self._engine.killed else self._engine.view.phase

    @property
    def hurried(self) -> bool:
        """Whether the manager ends, which waits for no pause. Not by its door, which is closed before it is known whether that is a
        stop or a kill."""
        return self._phase not in ACCEPTING

    @property
    def until(self) -> float:
        """How long to wait before the next attempt (the clock of ``now``), unless ``hurried``."""
        return min(self._due, math.inf if self.limited is None else self.limited.last_start)

    def missed(self) -> BaseException | None:
        """Returns the error of the call if no attempt follows after the pause; None: it follows."""
        now = self._engine.now()
        if self._phase is Phase.KILLING:
            return self._killed()
        late = None if self.limited is None else self.limited.late(now)
        if late is not None:
            return late
        policy = self._policy
        # It was not paused for as long as it should have been: a stop has ended that.
        if self.hurried and now < self._due and policy is not None and policy.at_stop == "report":
            return self._outcome
        return None

    # -- the end --------------------------------------------------------------------------------------------------

    def succeeded(self) -> None:
        """An attempt has returned."""
        budget = None if self._policy is None else self._policy.budget
        if budget is not None:
            try:
                budget.give(1 if self._loan is None else self._loan.cost)
            except Exception as fault:  # of a user's subclass: the caller has its result all the same
                self._engine.log.fault("the retry budget", fault)

    def outcome(self, raised: BaseException) -> BaseException:
        """Returns the error of the call, whose last attempt its caller got ``raised`` of; with a note of the earlier ones."""
        error = self._outcome if self._outcome is not None and raised is self._raised else raised
        tell(error, self.label, self._history)
        return error

    def end(self) -> None:
        """It has its outcome."""
        self._done = True


def _nothing() -> None:
    pass
