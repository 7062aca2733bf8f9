"""Loads that feel the pool: service times that depend on how many tasks run, and clients that wait for their answer.

Where more workers do not help, that is because tasks wait for each other: for a processor, or in a database. Drawing all
service times in advance, as for other workloads, cannot show this. And where each client sends its next task only when it
has the answer to the last one, a slow pool has fewer arrivals, and never a long queue.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from array import array
from dataclasses import dataclass, field

from tasker.control import actions as act
from tasker.control.view import Plan

from .creation import Creation
from .outcome import Outcome
from .pool import SimulatedPool
from .services import ServiceTimes
from .workload import Tasks


@dataclass(frozen=True, slots=True)
class Contention:
    """What tasks lose to each other."""

    best: int
    """So many tasks can run at the same time without a loss: the processors, or the connections that a database serves
    best."""
    loss: float = 0.0
    """Beyond that, the throughput of all tasks together falls by this share for each further ``best`` tasks."""

    def factor(self, running: int) -> float:
        """Returns by how much longer a task takes if so many run, itself included."""
        return max(1.0, running / self.best) * (1.0 + self.loss * max(0, running - self.best) / self.best)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedLoop:
    """Clients each of which sends a task, waits for its answer, thinks, and sends the next. Times are in seconds."""

    name: str
    words: str
    clients: int
    services: ServiceTimes
    """Of a task that runs alone."""
    duration: float
    """When the last tasks are sent and the manager is stopped."""
    think: float = 0.0
    """The mean of the exponential time between an answer and the next task."""
    begin: float = 0.0
    """When all clients send their first task, at once."""
    rounds: int | None = None
    """The tasks of each client; None: as many as fit."""
    contention: Contention = field(default_factory=lambda: Contention(1_000_000))
    creation: Creation = field(default_factory=Creation)


class ClosedLoopPool(SimulatedPool):
    """One run of one plan over one closed loop; call ``run`` once."""

    def __init__(
        self,
        plan: Plan,
        load: ClosedLoop,
        *,
        interval: float = 0.1,
        seed: int = 0,
        rule: str = "",
        warm_up: float = 0.0,
    ) -> None:
        nothing = Tasks(array("d"), array("d"))
        super().__init__(
            plan,
            nothing,
            load.duration,
            creation=load.creation,
            interval=interval,
            seed=seed,
            rule=rule,
            warm_up=warm_up,
        )
        self._load = load
        self._thinking = random.Random(f"{seed} thinking")
        self._durations = load.services.durations(random.Random(f"{seed} services"))
        self._number = itertools.count()
        self._sent: list[tuple[float, int, int]] = [
            (load.begin, next(self._number), 1) for _ in range(load.clients) if load.begin < load.duration
        ]
        """A heap of (arrival, number, round): the task that each client sends next, or has sent and waits for."""

    def _start_tasks(self, until: float) -> None:
        load, free, sent = self._load, self._free, self._sent
        while sent:
            arrived, _, number = sent[0]
            start = max(arrived, free[0])
            if start >= until:
                return
            running = 1 + sum(moment > start for moment in free)
            service = next(self._durations) * load.contention.factor(running)
            heapq.heapreplace(free, start + service)
            self._record(arrived, service, start - arrived)
            heapq.heappop(sent)
            self._answer(start + service, number)

    def _record(self, arrived: float, service: float, wait: float) -> None:
        self._head += 1
        self._tasks.arrivals.append(arrived)
        self._tasks.services.append(service)
        self._waits.append(wait)

    def _answer(self, moment: float, number: int) -> None:
        """A client has the answer to its task of that number, and sends the next one after a while."""
        load = self._load
        if load.think:
            moment += self._thinking.expovariate(1 / load.think)
        if moment < load.duration and number != load.rounds:
            heapq.heappush(self._sent, (moment, next(self._number), number + 1))

    def _fail_queued(self, action: act.FailQueued, now: float) -> None:
        before, failed = now if action.before is None else action.before, []
        while self._sent and self._sent[0][0] <= before:
            failed.append(heapq.heappop(self._sent))
        self._failed += len(failed)
        for arrived, _, number in failed:
            self._record(arrived, 0.0, math.nan)
            self._answer(now, number)  # an error

    def _arrived(self, now: float) -> int:
        return self._head + sum(arrival <= now for arrival, _, _ in self._sent)

    def _first_arrival(self) -> float:
        return self._sent[0][0]

    def _all_started(self) -> bool:
        return not self._sent


def run_closed_loop(
    plan: Plan, load: ClosedLoop, *, interval: float = 0.1, seed: int = 0, rule: str = "", warm_up: float = 0.0
) -> Outcome:
    """Runs a plan; for ``warm_up``, see ``SimulatedPool``."""
    return ClosedLoopPool(plan, load, interval=interval, seed=seed, rule=rule, warm_up=warm_up).run()
