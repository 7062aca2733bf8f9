"""A supervisor on virtual time, and short ways to say what happens to it."""

from __future__ import annotations

import random
from typing import Any

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.supervisor import Supervisor
from tasker.control.view import Plan


class Rig:
    """Feeds events in, asserts the invariants after each, and remembers the time."""

    def __init__(self, worker_count: int = 2, max_worker_count: int = 4, **plan: Any) -> None:
        self.now = 0.0
        self.plan = Plan(worker_count, max_worker_count, **plan)
        self.supervisor = Supervisor(self.plan, random.Random(1), self.now)

    def do(self, event: ev.Event, after: float = 0.0) -> list[act.Action]:
        """Let `after` seconds pass, then report the event; returns the actions."""
        self.now += after
        actions = self.supervisor.handle(event, self.now)
        self.supervisor.check()
        return actions

    def serving(self) -> Rig:
        """Start it and make all base workers ready."""
        for action in self.do(ev.Started()):
            assert isinstance(action, act.StartWorker)
            self.do(ev.WorkerReady(action.seat))
        return self

    def grown(self, target: int) -> Rig:
        """Scale up to `target` and make all workers ready."""
        for action in self.do(tick(queued=target)):
            if isinstance(action, act.StartWorker):
                self.do(ev.WorkerReady(action.seat))
        assert self.view.ready == target
        return self

    def ready(self, seat: ev.Seat) -> list[act.Action]:
        """The worker has its resource."""
        return self.do(ev.WorkerReady(seat))

    def ended(self, seat: ev.Seat) -> list[act.Action]:
        """The worker is gone."""
        return self.do(ev.WorkerEnded(seat))

    def unhealthy(
        self,
        seat: ev.Seat,
        attempts: int = 1,
        *,
        once: bool = False,
    ) -> list[act.Action]:
        """The worker's task "t" failed for its resource's sake."""
        return self.do(ev.AttemptFailed(seat, "t", attempts, once))

    def fail(self, seat: ev.Seat, after: float = 0.0) -> list[act.Action]:
        """The worker got no resource."""
        return self.do(ev.CreationFailed(seat, "no route"), after)

    def wake(self) -> list[act.Action]:
        """Let the time pass until it wants to be woken, and wake it."""
        moment = self.supervisor.wakeup(self.now)
        assert moment is not None
        return self.do(ev.Wakeup(), max(0.0, moment - self.now))

    @property
    def view(self) -> Any:
        """What the supervisor shows."""
        return self.supervisor.view()


def seat(slot: int, generation: int | None = None) -> ev.Seat:
    """A seat; without a generation, the first worker of a fresh rig in that slot."""
    return ev.Seat(slot, slot if generation is None else generation)


def start(slot: int, generation: int | None = None) -> act.StartWorker:
    """The action that starts the worker of that seat."""
    return act.StartWorker(seat(slot, generation))


def drop(slot: int, generation: int | None = None) -> act.MarkSurplus:
    """The action that has the starting worker of that seat end without serving."""
    return act.MarkSurplus(seat(slot, generation), surplus=True)


def keep(slot: int, generation: int | None = None) -> act.MarkSurplus:
    """The action that lets the starting worker of that seat serve after all."""
    return act.MarkSurplus(seat(slot, generation), surplus=False)


def tick(queued: int = 0, running: int = 0, arrived: int = 0, ended: int = 0) -> ev.Tick:
    """A tick with that load."""
    return ev.Tick(ev.Load(queued=queued, running=running, arrived=arrived, ended=ended))


def without_logs(actions: list[act.Action]) -> list[act.Action]:
    """The actions that do something."""
    return [action for action in actions if not isinstance(action, act.Log)]


def levels(actions: list[act.Action]) -> list[str]:
    """The levels of what is logged."""
    return [action.level for action in actions if isinstance(action, act.Log)]
