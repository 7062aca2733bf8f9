"""The only places where the contract looks behind the public face of a manager.

A test that forces a fault or waits for an inner state does it here, so that a change of an engine's inside is followed in
one file.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from tasker.control.events import Event, Tick


def wrap_handle(manager: Any, wrapper: Callable[[Callable[[Event, float], Any], Event, float], Any]) -> None:
    """Have `wrapper(handle, event, now)` called in place of the supervisor's `handle(event, now)`."""
    supervisor = manager._engine.supervisor
    handle = supervisor.handle
    supervisor.handle = lambda event, now: wrapper(handle, event, now)


def kept_ages(manager: Any) -> list[Any]:
    """References to the ages of all resources of `run_task`, which keep them alive."""
    return [*manager._engine.pool.ages._alive]


def creation_times(manager: Any) -> Any:
    """The histogram of the creations that succeeded."""
    return manager._engine.counters.creation_times.histogram()


def report(manager: Any, event: Event) -> None:
    """Report an event to the supervisor."""
    manager._engine.report(event)


def fail_next_close(manager: Any, error: BaseException) -> None:
    """Have the action that closes the manager raise `error`, once."""
    engine = manager._engine
    real = engine.close

    def close(reason: str) -> None:
        engine.close = real
        raise error

    engine.close = close


def call_at_the_end(manager: Any, *calls: Callable[[], object]) -> None:
    """Have the calls wait in the inbox of the engine behind its last event."""
    engine = manager._engine
    real, inbox = engine.forget_parent, engine._inbox

    def forget_parent() -> None:
        real()
        for call in calls:
            (inbox.append if isinstance(inbox, deque) else inbox.put)(call)

    engine.forget_parent = forget_parent


def workers_that_wait(manager: Any) -> int:
    """The number of workers whose task is known to wait for a task of the same manager."""
    return manager._engine.waits.waiting()


def begun_by_caller(manager: Any, task: Any, args: tuple[Any, ...]) -> Any:
    """Have this caller begin a task in place of an idle worker, whatever earlier tasks of the function did. Return its future;
    None where it has to be queued."""
    if manager._engine is None:
        return None
    lending = manager._engine.lending
    lending._habits.left.clear()
    return lending.begin(task, args)


def is_killed(manager: Any) -> bool:
    """Whether the manager has been killed, and no task may start any more."""
    return bool(manager._engine.killed)


def count_ticks(manager: Any) -> list[Tick]:
    """Return a list to which every tick from now on is appended once it is handled."""
    ticks: list[Tick] = []

    def record(handle: Any, event: Any, now: float) -> Any:
        actions = handle(event, now)
        if isinstance(event, Tick):
            ticks.append(event)
        return actions

    wrap_handle(manager, record)
    return ticks


def try_fewer_workers(manager: Any, fewer: int, seconds: float) -> None:
    """Have the scaler try, from its next tick on, whether so few workers do as much as all of them; or end its trial."""
    scaler = manager._engine.supervisor._scaler

    def begin() -> None:
        if not scaler.tries_fewer:
            scaler._before = scaler.target
        trials, now = scaler._trials, time.monotonic()
        trials._limit, trials._until, trials._probing = fewer, now + seconds, True

    # In the thread of the supervisor, between two events.
    engine = manager._engine
    loop = getattr(engine, "loop", None)
    engine.soon(begin) if loop is None else loop.call_soon_threadsafe(engine.soon, begin)


def drop_without_end(manager: Any, ended: Any) -> Callable[[], None]:
    """Have a kill drop `ended`, a task that has its outcome, again and again in place of those that are queued, until what this
    returns is called. Callers of `kill` wait a minute beyond their deadline for a supervisor that is late."""
    engine = manager._engine
    real, endless = engine.take_queued, [True]
    engine.take_queued = lambda most: [ended] * most if endless else real(most)
    engine.patience = 60.0
    return endless.clear
