"""What a dependency that is down for a minute costs, on virtual time: how many creations are tried, and how soon all is well
again once it is back."""

from __future__ import annotations

import heapq
import random
from typing import Any

import pytest

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.creation import BreakerState
from tasker.control.supervisor import Supervisor
from tasker.control.view import Plan

DOWN_AT, UP_AT, END = 5.0, 65.0, 120.0
TAKES = 0.02
"""Seconds that a creation takes, whether or not it succeeds."""
WORKERS, MOST = 8, 16


class Server:
    """A server that all resources come from, and the load of a manager, on virtual time."""

    def __init__(self, seed: int, **plan: Any) -> None:
        self.now = 0.0
        self.supervisor = Supervisor(Plan(WORKERS, MOST, has_pool=True, **plan), random.Random(seed), self.now)
        self.due: list[tuple[float, int, ev.Event | str]] = []
        self.tried: list[float] = []
        self.done: list[act.Action] = []
        self.ready: set[ev.Seat] = set()
        self.number = 0

    @property
    def up(self) -> bool:
        return not DOWN_AT <= self.now < UP_AT

    def later(self, seconds: float, what: ev.Event | str) -> None:
        self.number += 1
        heapq.heappush(self.due, (self.now + seconds, self.number, what))

    def tell(self, event: ev.Event) -> None:
        if isinstance(event, ev.WorkerReady):
            self.ready.add(event.seat)
        for action in self.supervisor.handle(event, self.now):
            self.done.append(action)
            if isinstance(action, act.StartWorker):
                self.make(ev.WorkerReady(action.seat), ev.CreationFailed(action.seat, "down"))
            elif isinstance(action, act.RefillPool):
                self.make(ev.PoolRefilled(), ev.PoolRefillFailed("down"))
        self.supervisor.check()

    def make(self, made: ev.Event, failed: ev.Event) -> None:
        self.tried.append(self.now)
        self.later(TAKES, made if self.up else failed)

    def break_all(self) -> None:
        """Every resource of a worker dies, and two of the pool."""
        for seat in sorted(self.ready):
            self.tell(ev.WorkerUnhealthy(seat))
            self.tell(ev.WorkerEnded(seat))
        self.ready.clear()
        self.tell(ev.PoolResourceLost())
        self.tell(ev.PoolResourceLost())

    def run(self, end: float) -> None:
        """Lets the time pass."""
        while True:
            wakeup = self.supervisor.wakeup(self.now)
            moment = min(self.due[0][0] if self.due else end, end if wakeup is None else wakeup, end)
            self.now = max(self.now, moment)
            if self.due and self.due[0][0] <= self.now:
                event = heapq.heappop(self.due)[2]
                if isinstance(event, str):
                    self.tick()
                else:
                    self.tell(event)
            elif wakeup is not None and wakeup <= self.now:
                self.tell(ev.Wakeup())
            if self.now >= end:
                return

    def tick(self) -> None:
        """Ten times a second; there is always more to do than the workers can."""
        self.tell(ev.Tick(ev.Load(queued=500, running=len(self.ready), arrived=600, ended=0, oldest_wait=3.0)))
        self.later(0.1, "tick")


def outage(seed: int, **plan: Any) -> Server:
    """A server that has gone down under load, and of whose resources none has survived."""
    server = Server(seed, **plan)
    server.tell(ev.Started())
    server.tick()
    server.run(DOWN_AT)
    assert len(server.ready) == MOST
    server.tried.clear()
    server.break_all()
    return server


@pytest.mark.parametrize("seed", range(10))
def test_a_minute_costs_a_handful_of_tries(seed: int) -> None:
    """Sixteen workers and the pool lose their resources together, and ticks ask for more workers ten times a second. All
    of that are the creations that were begun before the first one has failed, and then one at a time."""
    server = outage(seed)
    server.run(DOWN_AT + TAKES)
    first = len(server.tried)
    assert first <= MOST + 1
    server.run(UP_AT)
    assert 5 <= len(server.tried) - first <= 20
    gaps = [later - before for before, later in zip(server.tried[first:], server.tried[first + 1 :], strict=False)]
    assert min(gaps) >= TAKES, "never two at a time"


@pytest.mark.parametrize("seed", range(10))
def test_back_with_the_first_probe(seed: int) -> None:
    """The first probe after the end of the outage succeeds, at most 30 seconds later, and in the same step all others are
    started."""
    server = outage(seed)
    server.run(UP_AT)
    before = len(server.tried)
    while server.supervisor.view().breaker is not BreakerState.CLOSED:
        server.done.clear()
        due = server.due[0][0]
        server.run(min(due, server.supervisor.wakeup(server.now) or due))
    assert len(server.tried) - before <= 1 + len([one for one in server.done if not isinstance(one, act.Log)])
    assert server.now <= UP_AT + 30.0 + 3 * TAKES
    starts = [one for one in server.done if isinstance(one, act.StartWorker)]
    assert len(starts) == MOST - 1, "at the full rate"
    server.run(server.now + 3 * TAKES)
    view = server.supervisor.view()
    assert (view.ready, view.failing_creations) == (MOST, 0)


def test_callers_of_run_task_are_told_when_to_try() -> None:
    """While workers are missing, one of them is the probe; where nothing is missing, a caller may be it when it is due."""
    server = outage(1)
    server.run(DOWN_AT + 10.0)
    view = server.supervisor.view()
    assert view.next_creation is not None and view.callers_probe_at is None


class LazyServer(Server):
    """The same for clients that connect when they are used: resources can be made all the time, and tasks find out."""

    def __init__(self, seed: int, **plan: Any) -> None:
        super().__init__(seed, **plan)
        self.asked: list[float] = []

    def make(self, made: ev.Event, failed: ev.Event) -> None:
        """It never fails."""
        self.tried.append(self.now)
        self.later(TAKES, made)

    def tell(self, event: Any) -> None:
        """A ``Seat``: the first task of its worker has an answer."""
        if not isinstance(event, ev.Seat):
            super().tell(event)
            if isinstance(event, ev.WorkerReady) and not self.up:
                self.later(TAKES, event.seat)  # type: ignore[arg-type]
            return
        self.asked.append(self.now)
        # It has begun before the supervisor has heard that its worker is ready.
        super().tell(ev.DependencyDown("down", self.now - 1.5 * TAKES))
        super().tell(ev.WorkerUnhealthy(event))
        super().tell(ev.WorkerEnded(event))
        self.ready.discard(event)


@pytest.mark.parametrize("seed", range(10))
def test_a_minute_in_which_only_tasks_find_out(seed: int) -> None:
    """For each pause the server gets the requests of one round of workers, and the pauses grow as those of creations do."""
    server = LazyServer(seed)
    server.tell(ev.Started())
    server.tick()
    server.run(DOWN_AT)
    server.tried.clear()
    server.break_all()
    server.run(UP_AT)
    assert len(server.tried) <= 20 * (MOST + 1)
    rounds = 1 + sum(later - before > 3 * TAKES for before, later in zip(server.asked, server.asked[1:], strict=False))
    assert 4 <= rounds <= 20
    server.run(UP_AT + 30.0 + 6 * TAKES)
    view = server.supervisor.view()
    assert (view.ready, view.breaker) == (MOST, BreakerState.CLOSED)
