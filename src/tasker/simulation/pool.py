"""The simulated pool: the real supervisor, with a queue and workers that exist only as numbers.

It simulates a million tasks in seconds because arrivals and completions are not events. Between two events of the
control plane (a tick, a worker that is ready, retires or ends), the serving workers are the same, and the first task in
the queue starts at ``max(its arrival, the earliest moment at which a worker is free)`` (J. Kiefer and J. Wolfowitz, "On
the Theory of Queues with Many Servers", 1955). So a task costs one operation on a heap of those moments, and the queue
is a slice of the array of arrivals, from the first that was not started to the last that has arrived.

Left out are priorities, retries, and the time that the library itself takes.
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
from .outcome import Outcome, Sample, TimeSeries
from .workload import Tasks

_HOUSEKEEPING = 1.0
"""Seconds between ticks if scaling is off, as in the engines."""
_MAX_LOGGED = 1_000
_LOOK_BACK = 50
"""Tasks for each worker among which the younger half of the running ones is searched."""
_SAMPLES = 2_000


class _ScheduledEvent(NamedTuple):
    """An entry of the event list: the end of something that a worker does."""

    time: float
    order: int
    """Of scheduling, so that events at the same time are handled in that order, and never compared."""
    event: ev.Event


class SimulatedPool:
    """One run of one plan over one workload; call ``run`` once. All times are in seconds.

    The pool begins a creation time before the workload, so the workers of the base are ready when it begins, as far as
    they can be made; and ``warm_up`` seconds more, which shifts its ticks against the workload.
    """

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
        warm_up: float = 0.0,
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
        self._begin = -self._creation.time - warm_up
        self._supervisor = Supervisor(plan, random.Random(f"{seed} backoff"), self._begin)
        self._free: list[float] = []
        """A heap: when each serving worker is free. Workers are alike, so a moment belongs to no particular seat."""
        self._seats: list[ev.Seat] = []
        """The seats of the serving workers."""
        self._head = 0
        """The number of tasks that were started or given up, and so the index of the first that waits."""
        self._tail = 0
        """The number of tasks that have arrived."""
        self._retirements: deque[float] = deque()
        """The moments of ``Retire`` actions that no worker has taken yet."""
        self._parkings: deque[float] = deque()
        """The same of ``Park`` actions."""
        self._parked: list[ev.Seat] = []
        self._surplus: set[ev.Seat] = set()
        """The starting workers that end as soon as they have their resource."""
        self._event_list: list[_ScheduledEvent] = []
        """A heap."""
        self._order = 0
        self._waits = array("d")
        self._failed = 0
        self._stopping = self._drained = self._finished = False
        self._alive = 0
        self._counted_to = self._begin
        self._worker_seconds = 0.0
        self._created = self._creation_failures = self._peak = 0
        self._series = TimeSeries()
        self._log: list[tuple[float, str]] = []
        self._carry_out: dict[type, Callable[[Any, float], None]] = {
            act.StartWorker: self._start_worker,
            act.Retire: self._retire,
            act.Park: self._park,
            act.MarkSurplus: self._mark_surplus,
            act.FailQueued: self._fail_queued,
            act.Finish: self._finish,
            act.Log: self._note,
        }

    def run(self) -> Outcome:
        """Runs the workload to its end, and the pool until its last worker has ended."""
        now = self._begin
        self._step(ev.Started(), now)
        next_tick = now + self._interval
        while not self._finished:
            now = min(moment for moment in self._moments(now, next_tick) if moment is not None)
            # The data plane first: tasks that start before the event must find the workers as they are before it.
            obeyed = self._serve(now)
            if obeyed is not None:
                now = obeyed  # earlier than the event, which stays in the list
                self._obey(now)
            elif self._event_list and self._event_list[0].time <= now:
                self._handle(heapq.heappop(self._event_list).event, now)
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
        """Returns the moments of the next event of each kind, None for a kind that has none."""
        wakeup = self._supervisor.wakeup(now)
        return (
            next_tick,
            self._event_list[0].time if self._event_list else None,
            None if self._stopping else self._duration,
            None if wakeup is None else max(now, wakeup),
            max(now, *self._free, now) if self._stopping and not self._drained and self._all_started() else None,
        )

    # -- the data plane -------------------------------------------------------------------------------------------

    def _serve(self, until: float) -> float | None:
        """Starts all tasks that start before ``until``. If a worker takes a ``Retire`` or ``Park`` before, returns its
        moment."""
        free, orders = self._free, self._retirements or self._parkings
        if orders and free:
            # The first worker that is free takes it, before any task that waits, as in the engines.
            moment = max(orders[0], free[0])
            if moment >= until:
                return None  # no task starts before that moment, as no worker is free until then
            heapq.heappop(free)
            return moment
        if free:
            self._start_tasks(until)
        return None

    def _start_tasks(self, until: float) -> None:
        free, arrivals, services = self._free, self._tasks.arrivals, self._tasks.services
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

    def _arrived(self, now: float) -> int:
        self._tail = bisect_right(self._tasks.arrivals, now, self._tail)
        return self._tail

    def _first_arrival(self) -> float:
        """Returns when the first task that waits has arrived; there must be one."""
        return self._tasks.arrivals[self._head]

    def _running(self, now: float) -> int:
        return sum(moment > now for moment in self._free)

    def _median_age(self, now: float, running: int) -> float:
        """Returns the lower median of the ages of the running tasks: of those, the younger half are among the last that
        were started."""
        arrivals, services, waits = self._tasks.arrivals, self._tasks.services, self._waits
        age, found = 0.0, 0
        for task in range(self._head - 1, max(-1, self._head - 1 - _LOOK_BACK * running), -1):
            started = arrivals[task] + waits[task]
            if started <= now < started + services[task]:
                age, found = now - started, found + 1
                if found > (running - 1) // 2:
                    break
        return age

    def _all_started(self) -> bool:
        return self._head == len(self._tasks)

    def _is_drained(self, now: float) -> bool:
        return self._stopping and not self._drained and self._all_started() and not self._running(now)

    # -- the control plane ----------------------------------------------------------------------------------------

    def _step(self, event: ev.Event, now: float) -> None:
        """Reports an event to the supervisor, and carries out its actions."""
        actions = self._supervisor.handle(event, now)
        # After the event, because it changes the number of workers, and before the actions, which take no time.
        self._count(now)
        for action in actions:
            carry_out = self._carry_out.get(type(action))
            if carry_out is not None:
                carry_out(action, now)

    def _count(self, now: float) -> None:
        """Adds the worker-seconds since the last event, with the number of workers since then."""
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
            oldest_wait=now - self._first_arrival() if self._head < arrived else 0.0,
            running_age=self._median_age(now, running) if self._head < arrived else 0.0,
        )
        self._step(ev.Tick(load), now)
        if now >= 0:
            self._series.add(Sample(now, load.queued, running, len(self._free), self._alive))

    def _handle(self, event: ev.Event, now: float) -> None:
        if isinstance(event, ev.WorkerReady) and event.seat in self._surplus:
            self._surplus.remove(event.seat)
            self._step(ev.WorkerDropped(event.seat), now)
            self._schedule(self._creation.destroy_time, ev.WorkerEnded(event.seat), now)
            return
        if isinstance(event, ev.WorkerReady | ev.WorkerUnparked):
            heapq.heappush(self._free, now)
            self._seats.append(event.seat)
        elif isinstance(event, ev.CreationFailed):
            self._creation_failures += 1
            self._surplus.discard(event.seat)
        self._step(event, now)

    def _obey(self, now: float) -> None:
        """A worker takes the first ``Retire`` or ``Park``."""
        seat = self._seats.pop()  # any: workers are alike
        if not self._retirements:
            self._parkings.popleft()
            self._parked.append(seat)
            self._step(ev.WorkerParked(seat), now)
            return
        self._retirements.popleft()
        self._step(ev.WorkerRetiring(seat), now)
        self._schedule(self._creation.destroy_time, ev.WorkerEnded(seat), now)

    def _schedule(self, seconds: float, event: ev.Event, now: float) -> None:
        self._order += 1
        heapq.heappush(self._event_list, _ScheduledEvent(now + seconds, self._order, event))

    def _start_worker(self, action: act.StartWorker, now: float) -> None:
        self._created += 1
        error = self._creation.error(now, self._rng)
        event = ev.WorkerReady(action.seat) if error is None else ev.CreationFailed(action.seat, error)
        self._schedule(self._creation.duration(self._rng), event, now)

    def _retire(self, action: act.Retire, now: float) -> None:
        self._retirements.extend([now] * action.count)

    def _park(self, action: act.Park, now: float) -> None:
        while self._parkings and len(self._parked) + len(self._parkings) > action.count:
            self._parkings.pop()
        while len(self._parked) > action.count:
            self._schedule(0.0, ev.WorkerUnparked(self._parked.pop()), now)
        self._parkings.extend([now] * (action.count - len(self._parked) - len(self._parkings)))

    def _mark_surplus(self, action: act.MarkSurplus, now: float) -> None:
        if action.surplus:
            self._surplus.add(action.seat)
        else:
            self._surplus.remove(action.seat)

    def _fail_queued(self, action: act.FailQueued, now: float) -> None:
        before = now if action.before is None else action.before
        last = max(self._head, bisect_right(self._tasks.arrivals, before))
        self._failed += last - self._head
        # Each task has an entry, also one that was given up, so that waits and arrivals have the same indices.
        self._waits.extend([math.nan] * (last - self._head))
        self._head = last

    def _finish(self, action: act.Finish, now: float) -> None:
        self._finished = True

    def _note(self, action: act.Log, now: float) -> None:
        if len(self._log) < _MAX_LOGGED:
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
