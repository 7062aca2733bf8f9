"""The simulated pool: the real supervisor, with a queue and workers that exist as numbers only.

What makes a million tasks a matter of seconds: nothing needs to happen at each arrival or completion. Between two
moments that matter to the control plane (a tick, a worker that is ready, retires or ends), the workers that serve are
the same, and a task that is first in the queue starts at ``max(its arrival, the earliest moment a worker is free)``
(J. Kiefer and J. Wolfowitz, "On the Theory of Queues with Many Servers", 1955). So a task costs one step in a heap of
those moments, and the queue is a stretch of the array of arrivals: from the first that was not started to the last
that has arrived.

Workers are alike, so the heap holds bare numbers, and when one of them retires, any seat may be the one. A ``Retire`` is
taken by the first worker that is free, before any task that waits, as in the engines.

What is left out: priorities, retries, and the time that the library itself takes.
"""

from __future__ import annotations

import heapq
import math
import random
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.supervisor import Supervisor
from tasker.control.view import Plan

from .creation import Creation
from .outcome import Outcome, Sample, Series
from .workload import Tasks

_HOUSEKEEPING = 1.0
_MOST_LOGGED = 1_000
_SAMPLES = 2_000


class _Coming(NamedTuple):
    """Something that a worker will have finished."""

    time: float
    order: int
    event: ev.Event


class SimulatedPool:
    """One run of one plan over one workload; ``run`` once. The workers of the base are up when the workload begins,
    as far as they can be made. ``ahead``: by how many more seconds the pool begins before it, which moves its ticks."""

    def __init__(
        self,
        plan: Plan,
        tasks: Tasks,
        duration: float,
        *,
        creation: Creation | None = None,
        interval: float = 0.1,
        seed: int = 0,
        rule: str = "",
        ahead: float = 0.0,
    ) -> None:
        self._plan = plan
        self._tasks = tasks
        self._duration = duration
        self._creation = creation or Creation()
        self._interval = interval or _HOUSEKEEPING
        if not plan.scales:  # nothing is decided at a tick, so only the samples need it
            self._interval = max(self._interval, duration / _SAMPLES)
        self._rule = rule
        self._rng = random.Random(f"{seed} creation")
        self._begin = -self._creation.time - ahead
        self._supervisor = Supervisor(plan, random.Random(f"{seed} backoff"), self._begin)
        self._free: list[float] = []
        """When each worker that serves is free: a heap."""
        self._seats: list[ev.Seat] = []
        self._head = 0
        """How many tasks were started or given up: the first that waits."""
        self._tail = 0
        """How many have arrived."""
        self._retirements: deque[float] = deque()
        """When workers were told to retire that have not done so."""
        self._coming: list[_Coming] = []
        self._order = 0
        self._waits = array("d")
        self._failed = 0
        self._stopping = self._drained = self._finished = False
        self._alive = 0
        self._counted_to = self._begin
        self._worker_seconds = 0.0
        self._created = self._creation_failures = self._peak = 0
        self._series = Series()
        self._log: list[tuple[float, str]] = []
        self._carry_out: dict[type, Callable[[Any, float], None]] = {
            act.StartWorker: self._start_worker,
            act.Retire: self._retire,
            act.FailQueued: self._fail_queued,
            act.Finish: self._finish,
            act.Log: self._note,
        }

    def run(self) -> Outcome:
        """Runs the workload to its end and the pool to the end of its last worker."""
        now = self._begin
        self._step(ev.Started(), now)
        next_tick = now + self._interval
        while not self._finished:
            now = min(moment for moment in self._moments(now, next_tick) if moment is not None)
            retired = self._serve(now)
            if retired is not None:
                now = retired
                self._retired(now)
            elif self._coming and self._coming[0].time <= now:
                self._came(heapq.heappop(self._coming).event, now)
            elif not self._stopping and now >= self._duration:
                self._stopping = True
                self._step(ev.StopRequested("the workload is over"), now)
            elif now >= next_tick:
                next_tick = now + self._interval
                self._tick(now)
            elif self._is_drained(now):
                self._drained = True
                self._step(ev.Drained(), now)
            else:
                self._step(ev.Wakeup(), now)
        return self._outcome(now)

    def _moments(self, now: float, next_tick: float) -> tuple[float | None, ...]:
        """When something happens next that is not a task."""
        wakeup = self._supervisor.wakeup(now)
        return (
            next_tick,
            self._coming[0].time if self._coming else None,
            None if self._stopping else self._duration,
            None if wakeup is None else max(now, wakeup),
            max(now, *self._free, now) if self._stopping and not self._drained and self._all_started() else None,
        )

    # -- the data plane -------------------------------------------------------------------------------------------

    def _serve(self, until: float) -> float | None:
        """Starts every task that starts before that moment. Returns earlier, with the moment, where a worker takes a
        ``Retire``."""
        free, arrivals, services = self._free, self._tasks.arrivals, self._tasks.services
        if self._retirements and free:
            moment = max(self._retirements[0], free[0])
            if moment >= until:
                return None  # and no task starts before that: nobody is free for it
            heapq.heappop(free)
            self._retirements.popleft()
            return moment
        if not free:
            return None
        add, replace, last = self._waits.append, heapq.heapreplace, len(arrivals)
        head = self._head
        while head < last:
            arrived = arrivals[head]
            start = free[0]
            if start < arrived:  # noqa: PLR1730  a call of max takes three times as long
                start = arrived
            if start >= until:
                break
            replace(free, start + services[head])
            add(start - arrived)
            head += 1
        self._head = head
        return None

    def _arrived(self, now: float) -> int:
        self._tail = bisect_right(self._tasks.arrivals, now, self._tail)
        return self._tail

    def _running(self, now: float) -> int:
        return sum(moment > now for moment in self._free)

    def _all_started(self) -> bool:
        return self._head == len(self._tasks)

    def _is_drained(self, now: float) -> bool:
        return self._stopping and not self._drained and self._all_started() and not self._running(now)

    # -- the control plane ----------------------------------------------------------------------------------------

    def _step(self, event: ev.Event, now: float) -> None:
        actions = self._supervisor.handle(event, now)
        self._count(now)
        for action in actions:
            carry_out = self._carry_out.get(type(action))
            if carry_out is not None:
                carry_out(action, now)

    def _count(self, now: float) -> None:
        """Pays for the workers up to now."""
        if now > 0:
            self._worker_seconds += self._alive * (now - max(0.0, self._counted_to))
        self._counted_to = now
        self._alive = len(self._supervisor.table.states)
        self._peak = max(self._peak, self._alive)

    def _tick(self, now: float) -> None:
        arrived = self._arrived(now)
        running = self._running(now)
        load = ev.Load(
            queued=arrived - self._head,
            running=running,
            arrived=arrived,
            ended=self._head - running,
            oldest_wait=now - self._tasks.arrivals[self._head] if self._head < arrived else 0.0,
        )
        self._step(ev.Tick(load), now)
        if now >= 0:
            self._series.add(Sample(now, load.queued, running, len(self._free), self._alive))

    def _came(self, event: ev.Event, now: float) -> None:
        if isinstance(event, ev.WorkerReady):
            heapq.heappush(self._free, now)
            self._seats.append(event.seat)
        elif isinstance(event, ev.CreationFailed):
            self._creation_failures += 1
        self._step(event, now)

    def _retired(self, now: float) -> None:
        seat = self._seats.pop()
        self._step(ev.WorkerRetiring(seat), now)
        self._later(self._creation.destroy_time, ev.WorkerEnded(seat), now)

    def _later(self, seconds: float, event: ev.Event, now: float) -> None:
        self._order += 1
        heapq.heappush(self._coming, _Coming(now + seconds, self._order, event))

    def _start_worker(self, action: act.StartWorker, now: float) -> None:
        self._created += 1
        error = self._creation.error(now, self._rng)
        event = ev.WorkerReady(action.seat) if error is None else ev.CreationFailed(action.seat, error)
        self._later(self._creation.time, event, now)

    def _retire(self, action: act.Retire, now: float) -> None:
        self._retirements.extend([now] * action.count)

    def _fail_queued(self, action: act.FailQueued, now: float) -> None:
        before = now if action.before is None else action.before
        last = max(self._head, bisect_right(self._tasks.arrivals, before))
        self._failed += last - self._head
        # The waits of those that were served must stay next to their arrivals; so these get a place, too.
        self._waits.extend([math.nan] * (last - self._head))
        self._head = last

    def _finish(self, action: act.Finish, now: float) -> None:
        self._finished = True

    def _note(self, action: act.Log, now: float) -> None:
        if len(self._log) < _MOST_LOGGED:
            self._log.append((now, action.message % action.args if action.args else action.message))

    def _outcome(self, now: float) -> Outcome:
        return Outcome(
            rule=self._rule,
            arrivals=self._tasks.arrivals,
            waits=self._waits,
            failed=self._failed,
            worker_seconds=self._worker_seconds,
            created=self._created,
            creation_failures=self._creation_failures,
            peak_workers=self._peak,
            finished=now,
            series=tuple(self._series.samples),
            log=tuple(self._log),
        )
