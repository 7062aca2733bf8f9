"""The witness: derives what subscribers are told from what the supervisor was given, what it answered, and how its state has
changed. Asked only while somebody subscribes; decides nothing, and keeps no state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from . import actions as act
from . import events as ev
from . import notices as say
from .journal import ScalingDecision
from .lifecycle import HELD, Phase
from .view import View
from .workers import WorkersTable, WorkerState

_WORKER_EVENTS: dict[type, type[say.WorkerEvent]] = {
    ev.WorkerDropped: say.WorkerRetired,
    ev.WorkerRetiring: say.WorkerRetired,
    ev.WorkerReady: say.WorkerStarted,
    ev.WorkerParked: say.WorkerSetAside,
    ev.WorkerUnparked: say.WorkerResumed,
    ev.WorkerReturned: say.WorkerRecovered,
    ev.WorkerEnded: say.WorkerGone,
}
"""Those of which no more is to be said."""


@dataclass(frozen=True, slots=True)
class Before:
    """What was the case before an event."""

    view: View
    state: WorkerState | None
    """Of the worker that the event is about; None if it is about none, or one that is not known."""


@dataclass(frozen=True, slots=True)
class After:
    """What is the case after it."""

    view: View
    state: WorkerState | None
    actions: Sequence[act.Action]
    now: float


def state_at(table: WorkersTable, event: ev.Event) -> WorkerState | None:
    """Returns the state of the worker that the event is about."""
    seat = getattr(event, "seat", None)
    return None if seat is None else table.states.get(seat)


class Witness:
    """``name_of``: names a worker; ``describe``: an error, in words."""

    def __init__(self, name_of: Callable[[ev.Seat], str], describe: Callable[[Any], str]) -> None:
        self._name_of = name_of
        self._describe = describe

    def tell(self, event: ev.Event, before: Before, after: After) -> Iterator[say.ManagerEvent]:
        """Yields what there is to be told of one event, in order."""
        # First why the supervisor acts, then what it has decided, then what follows from that.
        if before.state is not after.state:
            yield from self._moved(event, after.now)
        yield from _decided(before.view, after)
        for action in after.actions:
            yield from self._acted(event, action, after)

    def _whose(self, seat: ev.Seat, now: float) -> tuple[float, str, int, int]:
        return now, self._name_of(seat), seat.slot, seat.generation

    def _moved(self, event: Any, now: float) -> Iterator[say.ManagerEvent]:
        """A worker has changed its state."""
        kind = type(event)
        whose = self._whose(event.seat, now)
        if kind in _WORKER_EVENTS:
            yield _WORKER_EVENTS[kind](*whose)
        elif kind is ev.CreationFailed:
            yield say.WorkerFailed(*whose, event.error)
        elif kind is ev.WorkerDied:
            yield say.WorkerCrashed(*whose, event.reason)
        elif kind is ev.TaskOverdue:
            yield say.WorkerStuck(*whose, event.error)
        elif kind is ev.WorkerChecked and event.fit:
            yield say.WorkerRecovered(*whose)
        elif kind in _REASONS:
            error = getattr(event, "failure", None)
            yield say.WorkerReplaced(*whose, _REASONS[kind], None if error is None else self._describe(error))

    def _acted(self, event: Any, action: Any, after: After) -> Iterator[say.ManagerEvent]:
        """The supervisor has asked for something."""
        kind, now = type(action), after.now
        if kind is act.StartWorker:
            yield say.WorkerStarting(*self._whose(action.seat, now))
        elif kind is act.GiveUp:
            why = action.error or f"{action.checks or 'on_destroy'} has not returned in time"
            yield say.WorkerStuck(*self._whose(action.seat, now), why)
        elif kind is act.Abandon:
            for seat in action.seats:
                yield say.WorkerAbandoned(*self._whose(seat, now))
        elif kind is act.RestartAlarm:
            yield say.RestartAlarmChanged(now, action.raised, action.restarts, action.reason)
        elif kind is act.RefuseTasks:
            yield say.StopBegun(now, after.view.phase is not Phase.DRAINING, action.reason)
        elif type(event) is ev.AttemptFailed and kind in (act.Requeue, act.Delay):
            pause = action.pause if kind is act.Delay else 0.0
            task, error = event.task, self._describe(event.failure)
            worker = self._name_of(event.seat)
            yield say.TaskRetried(now, task.label, task.id, event.attempts, worker, error, pause)


_REASONS: dict[type, Any] = {
    ev.AttemptFailed: "unhealthy",
    ev.WorkerUnhealthy: "unhealthy",
    ev.WorkerChecked: "check",
    ev.WorkerWorn: "worn",
}
"""Why a worker is replaced."""


def _decided(was: View, after: After) -> Iterator[say.ManagerEvent]:
    """Yields what has changed in the supervisor's view."""
    now, view = after.now, after.view
    if (view.phase in HELD) is not (was.phase in HELD):
        yield say.Paused(now) if view.phase in HELD else say.Resumed(now)
    if view.failing_creations > was.failing_creations:
        retry_in = None if view.next_creation is None else max(0.0, view.next_creation - now)
        yield say.CreationsFailing(now, view.failing_creations, view.creation_error or "", retry_in)
    elif was.failing_creations and not view.failing_creations and view.phase is not Phase.STOPPED:
        yield say.CreationsRecovered(now, was.failing_creations)
    if view.breaker is not was.breaker:
        yield say.BreakerChanged(now, was.breaker.value, view.breaker.value)
    for one in _new(was.decisions, view.decisions):
        yield say.Scaled(one.at, one.cause, one.before, one.target, one.why)


def _new(old: tuple[ScalingDecision, ...], present: tuple[ScalingDecision, ...]) -> tuple[ScalingDecision, ...]:
    """Returns the decisions that have come in. Few come at a time, and the oldest go."""
    for count, one in enumerate(reversed(present)):
        if old and one is old[-1]:
            return present[len(present) - count :]
    return present
