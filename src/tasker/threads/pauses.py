"""``pause`` and ``resume`` of a ``TaskManager``."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Protocol

from tasker.control import events as ev
from tasker.control.lifecycle import DoorMove
from tasker.core.counters import Counters
from tasker.core.pauses import Answer, QuietWaits
from tasker.errors import ShutdownError


class PausableEngine(Protocol):
    """The part of the engine that pauses use."""

    @property
    def counters(self) -> Counters: ...
    @property
    def closed(self) -> bool: ...
    @property
    def quiet_waits(self) -> QuietWaits: ...
    def shutdown_error(self) -> ShutdownError: ...
    def move_door(self, move: DoorMove, refusal: str) -> bool: ...
    def report(self, event: ev.Event) -> None: ...
    def soon(self, call: Callable[[], None]) -> None: ...
    def await_quiet(self, answer: Answer) -> None: ...


def pause(engine: PausableEngine, timeout: float | None) -> bool:
    """See ``TaskManager.pause``."""
    answers: queue.SimpleQueue[bool] = queue.SimpleQueue()
    request_pause(engine)
    engine.soon(partial(engine.await_quiet, answers.put))
    try:
        return answers.get(True, None if timeout is None else min(timeout, threading.TIMEOUT_MAX))
    except queue.Empty:
        engine.soon(partial(engine.quiet_waits.forget, answers.put))
        return False


def request_pause(engine: PausableEngine) -> None:
    """Lets no task start. Raises ``ShutdownError`` if the door is closed."""
    # The door and the event under the lock: the supervisor hears of pauses and resumptions in the order in which they moved the
    # door. And ``run_task`` looks at the door and counts its task under it.
    with engine.counters.lock:
        if engine.closed:
            raise engine.shutdown_error()
        engine.move_door(DoorMove.PAUSE, "")
        engine.report(ev.PauseRequested())


def resume(engine: PausableEngine) -> None:
    """See ``TaskManager.resume``."""
    with engine.counters.lock:
        if not engine.closed:
            engine.move_door(DoorMove.RESUME, "")
            engine.report(ev.ResumeRequested())
