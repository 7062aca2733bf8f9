"""``pause`` and ``resume`` of an ``AsyncTaskManager``."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from tasker.control import events as ev
from tasker.control.lifecycle import DoorMove
from tasker.core.pauses import Answer, QuietWaits
from tasker.errors import ShutdownError


class AwaitsEnds(Protocol):
    """The part of ``EndWaits`` that is used here."""

    async def wait(self, ending: asyncio.Future[Any], timeout: float | None, what: str) -> None: ...


class PausableEngine(Protocol):
    """The part of the engine that pauses use."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    @property
    def closed(self) -> bool: ...
    @property
    def quiet_waits(self) -> QuietWaits: ...
    @property
    def end_waits(self) -> AwaitsEnds: ...
    def shutdown_error(self) -> ShutdownError: ...
    def move_door(self, move: DoorMove, refusal: str) -> bool: ...
    def report(self, event: ev.Event) -> None: ...
    def await_quiet(self, answer: Answer) -> None: ...


async def pause(engine: PausableEngine, timeout: float | None) -> bool:
    """See ``AsyncTaskManager.pause``."""
    if engine.closed:
        raise engine.shutdown_error()
    engine.move_door(DoorMove.PAUSE, "")
    engine.report(ev.PauseRequested())
    quiet: asyncio.Future[bool] = engine.loop.create_future()

    def answer(is_quiet: bool) -> None:
        if not quiet.done():
            quiet.set_result(is_quiet)

    engine.await_quiet(answer)
    try:
        await engine.end_waits.wait(quiet, timeout, "the last task before a pause")
        return quiet.done() and quiet.result()
    finally:
        engine.quiet_waits.forget(answer)


def resume(engine: PausableEngine) -> None:
    """See ``AsyncTaskManager.resume``."""
    if not engine.closed:
        engine.move_door(DoorMove.RESUME, "")
        engine.report(ev.ResumeRequested())
