"""The scaler: the part of the supervisor that holds the target number of workers, and the reasons for it."""

from __future__ import annotations

import operator
from dataclasses import dataclass

from . import actions as act
from .demand import CreationClock, Demand
from .events import Load
from .idleness import Idleness
from .journal import Cause, Journal, ScalingDecision
from .scaling import Decision, ScalingPolicy, Snapshot
from .trials import Trials
from .wording import duration

_COUNTS = (0.15, 20)
"""Seconds and completions without which a window says nothing about the time that a task takes."""
_WAITS = "a task waits, and no worker is kept"


@dataclass(frozen=True, slots=True)
class WorkerCounts:
    """The present workers, by state."""

    ready: int
    starting: int
    retiring: int = 0
    """``Retire`` actions that ready workers have to carry out."""
    dropped: int = 0
    """Starting workers that end as soon as they have their resource."""


class Scaler:
    """Keeps the target within its bounds, and the measurements that policies decide on. Not thread-safe."""

    def __init__(
        self,
        base: int,
        most: int,
        policy: ScalingPolicy | None,
        target_wait: float,
        now: float,
        max_memory: float | None = None,
        idle_timeout: float | None = None,
    ) -> None:
        self.base: int = base
        self.most: int = most
        self.target: int = 0
        self.active: bool = False
        """Whether workers are wanted: not before the start and after the end."""
        self.clock: CreationClock = CreationClock()
        self.journal: Journal = Journal()
        self.latest: Decision | None = None
        self.snapshot: Snapshot | None = None
        self._used_lately = False
        """Whether there are tasks, or were within the ``idle_timeout``: then one worker is the least, also without a base."""
        self._policy = policy
        self._wait = target_wait
        self._max_memory = max_memory
        self._demand = Demand(now)
        self._trials = Trials(now)
        self._idleness = Idleness(idle_timeout)
        self._before = 0
        """The target before the last trial of fewer workers."""

    @property
    def limit(self) -> int:
        """The greatest number of workers that the target can reach."""
        return self.base if self._policy is None else self.most

    @property
    def tries_fewer(self) -> bool:
        """Whether it is being tried whether fewer workers do as much, so that none should end for it."""
        return self._trials.probing and self.target > 0

    def start(self, now: float) -> None:
        """Sets the target to the base."""
        self.active = True
        self._change(self.base, "start", f"{self.base} base worker{'' if self.base == 1 else 's'}", now)

    def end_trial(self, now: float) -> list[act.Action]:
        """Ends a trial of fewer workers without a result: all that were there before are wanted again."""
        if not self.tries_fewer:
            return []
        self._trials.forget()
        target = self._within(max(self.target, self._before))
        return self._aim(target, "policy", "no fewer workers are tried during a stop", now)

    def end(self, cause: Cause, why: str, now: float) -> None:
        """Sets the target to 0."""
        self.active = False
        self._change(0, cause, why, now)

    def tick(
        self, load: Load, pool: WorkerCounts, now: float, *, decides: bool, tries: bool = True
    ) -> list[act.Action]:
        """Records the load and, if ``decides``, asks the policy. ``tries``: whether a trial of fewer workers may begin."""
        creation_time = self.clock.seconds(now)
        # Measured at every tick, whether or not anything is decided: gaps would look like a load that stopped.
        self._demand.sample(now, load)
        self._note_use(load, now)
        # Whatever starts or is about to end changes the throughput that a trial compares, and a pool that is not
        # complete is no pool to take workers from.
        settled = tries and not pool.starting and not pool.retiring
        usual, trials = self._demand.usual, self._trials
        counts = usual.seconds >= _COUNTS[0] and usual.completion_rate * usual.seconds >= _COUNTS[1]
        service = usual.service_time if counts else None
        probed = trials.probing
        # During a pause no worker completes anything, which says nothing about how much so many do.
        serving, least = pool.ready * decides, max(1, self.base)
        trials.sample(now, load, serving, least, creation_time or 0.0, settled=settled, service=service)
        if self._policy is None or not decides:
            return []
        before = self.target
        self.snapshot = self._snapshot(load, pool, creation_time, now)
        try:
            decision = self._policy.decide(self.snapshot, now)
            # Inside the try: what a user's policy returns need not be a number, or its reason printable.
            target = self._within(operator.index(decision.target))
            need = target if decision.need is None else self._within(operator.index(decision.need))
            self.latest = Decision(target, str(decision.why), need)
        except BaseException as error:  # a user's policy, even its SystemExit; the number of workers stays
            failed = act.Log("error", "the scaling policy failed: %s: %s", (type(error).__name__, error))
            return [failed, *self._aim(self._within(self.target), "task", _WAITS, now)]
        self._demand.needed(now, need, creation_time or 0.0)
        if self._restores(target, probed=probed):
            # Needed, so that they are held until the arrivals have followed: some clients wait for their answers.
            self._demand.needed(now, self._before, creation_time or 0.0)
            why = f"fewer workers complete less, so all are back; {self.latest.why}"
            return self._aim(*self._afforded(self._within(self._before), why, load), now)
        target, why = self._used(target, 0 if decision.need is None else need, self.latest.why, now)
        self.latest = Decision(target, why, need)
        if trials.probing and not probed:
            self._before = before
        return self._aim(*self._afforded(target, why, load), now)

    def rest(self, load: Load, now: float) -> list[act.Action]:
        """Records the load, and wants no more workers than were used within the ``idle_timeout``, without asking the policy."""
        self._note_use(load, now)
        target, why = self._used(self.target, 0, "the policy is not asked", now)
        return self._aim(self._within(target), "policy", why, now) if self.active else []

    def _note_use(self, load: Load, now: float) -> None:
        self._idleness.sample(now, load)
        self._used_lately = load.queued + load.running > 0 or bool(self._idleness.most(now))

    def _used(self, target: int, need: int, why: str, now: float) -> tuple[int, str]:
        """Returns the target without the burst workers that have been idle for too long, and why."""
        used = self._idleness.most(now)
        if used is None:
            return target, why
        # What the load needs is computed from more than these moments. Without any task, it is that of a load that has ended.
        most = max(self.least, used, need if used else 0)
        if target <= most:
            return target, why
        assert self._idleness.timeout is not None
        idle = f"more than {most} were not used for {duration(self._idleness.timeout)}, the idle_timeout"
        return most, f"{idle}; {why}"

    def _afforded(self, target: int, why: str, load: Load) -> tuple[int, Cause, str]:
        """Returns the target, no more than the present one if too much memory is in use, and why."""
        memory, most = load.memory, self._max_memory
        if target > self.target and memory is not None and most is not None and memory > most:
            target = self._within(self.target)
            why = f"{memory:.0%} of the memory is in use, more than max_memory; {why}"
            assert self.latest is not None
            self.latest = Decision(target, why, self.latest.need)
        return target, "policy", why

    def _restores(self, target: int, *, probed: bool) -> bool:
        """Returns whether a trial of fewer workers has just ended, and they did not do as much."""
        # The policy alone would not bring them back while tasks wait for less than the target: a trial may change nothing.
        return probed and self._trials.useful is None and self._before > target >= self.target

    def blocked(self, living: int, now: float) -> list[act.Action]:
        """Adds one worker because all living workers run tasks that wait for other tasks."""
        if self._policy is None:
            return []
        # Throughput says nothing here: it is 0 with any number of workers, so a limit learnt from it would be a
        # deadlock.
        self._trials.forget()
        target = self._within(max(self.target, living + 1))
        self._demand.needed(now, target)
        return self._aim(target, "blocked", f"all {living} workers run tasks that wait for other tasks", now)

    def first(self, now: float) -> list[act.Action]:
        """A task waits. Wants a worker, if none is wanted."""
        if self.target or not self.active:
            return []
        self._used_lately = True
        return self._aim(self._within(0), "task", _WAITS, now)

    @property
    def least(self) -> int:
        """The smallest number of workers that the target may be now."""
        return self.base or int(self._used_lately)

    def resize(self, base: int, most: int, now: float) -> list[act.Action]:
        """Sets new bounds, and moves the target between them."""
        self.base, self.most = base, most
        if not self.active:
            return []  # the new base must not start a worker
        target = self._within(self.base if self._policy is None else self.target)
        return self._aim(target, "resize", f"resized to {base} base workers and at most {most}", now)

    def _within(self, target: int) -> int:
        return max(self.least, min(target, self.most))

    def _aim(self, target: int, cause: Cause, why: str, now: float) -> list[act.Action]:
        """Changes the target and logs it, unless it is the present one."""
        before = self.target
        if target == before:
            return []
        self._change(target, cause, why, now)
        return [act.Log("info", "scaling from %d to %d workers: %s", (before, target, why))]

    def _change(self, target: int, cause: Cause, why: str, now: float) -> None:
        before, self.target = self.target, target
        if target > before:
            self._idleness.note(now, target)
        if target != before:
            snapshot = self.snapshot if cause == "policy" else None
            self.journal.add(ScalingDecision(now, cause, before, target, why, snapshot))

    def _snapshot(self, load: Load, pool: WorkerCounts, creation_time: float | None, now: float) -> Snapshot:
        # A Retire falls to a starting worker only if a ready one was lost before it obeyed.
        leaving = min(pool.ready, pool.retiring)
        return Snapshot(
            worker_count=self.base,
            max_worker_count=self.most,
            workers=self.target,
            ready=pool.ready - leaving,
            starting=max(0, pool.starting - pool.dropped - (pool.retiring - leaving)),
            queued=load.queued,
            running=load.running,
            oldest_wait=load.oldest_wait,
            target_wait=self._wait,
            recent=self._demand.recent,
            usual=self._demand.usual,
            creation_time=creation_time,
            peaks=self._demand.peaks,
            useful=self._trials.useful,
            useful_why=self._trials.why,
            running_age=load.running_age,
            levels=self._demand.levels,
            peakedness=self._demand.peakedness,
            created=self.clock.begun_lately(now),
        )
