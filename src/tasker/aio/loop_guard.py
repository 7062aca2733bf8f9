"""LoopGuard: ends an engine with its loop, and lets the loop end though a function in a thread never returns.

Before a loop is closed, ``asyncio.run`` cancels all its tasks and waits for them. Workers survive that. A task of the guard
notices it and has the engine killed, so that the resources are destroyed while the loop still runs.

A function in a thread cannot be ended, and its resource is in use until it has returned: whatever waits for it survives the
cancellation, too. That must not keep the program from exiting for ever. So after a kill such a wait has ``cancel_grace`` seconds
once the loop ends; then it is given up. A resource of ``run_task`` that nobody ends by then, because Ctrl-C has struck the code that
was to take it or to give it back, is ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Protocol

from tasker.config import Config

from .backend_port import AsyncBackendPort
from .resource_pool import AsyncResourcePool
from .run_task import AsyncRunTask
from .tasks import start_duty


class GuardedEngine(Protocol):
    """The part of an engine that is used here."""

    given_up: bool

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    @property
    def config(self) -> Config[Any]: ...
    @property
    def finished(self) -> asyncio.Event: ...
    @property
    def killed(self) -> bool: ...
    @property
    def backend(self) -> AsyncBackendPort | None: ...
    @property
    def thread_waits(self) -> set[asyncio.Future[Any]]:
        """What waits for functions in threads."""
        ...

    @property
    def pool(self) -> AsyncResourcePool: ...
    @property
    def run_task(self) -> AsyncRunTask: ...

    def request_kill(self, reason: str, timeout: float) -> None:
        """Begins a kill."""

    def left_behind(self) -> Iterable[asyncio.Task[None]]:
        """Returns the tasks of the engine that have not ended with it."""
        ...


class LoopGuard:
    """See the module's docstring."""

    def __init__(self, engine: GuardedEngine) -> None:
        self._engine = engine
        self._released = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._until: float | None = None
        """Until when functions in threads have time to return (the clock of the loop), once that ends."""

    def start(self) -> None:
        """Begins to guard."""
        self._task = start_duty(self._engine.loop, self._guard(), f"{self._engine.config.name}-loop-guard")
        self._task.add_done_callback(_retrieve)

    async def _guard(self) -> None:
        try:
            await self._run()
        except (KeyboardInterrupt, SystemExit):  # of a signal handler, which the loop raises
            # At once, not by a callback of this task: ``asyncio.run`` then cancels the tasks that are there.
            ends = self.loop_ends
            self.start()
            if ends and self._task is not None:
                self._task.cancel()
            raise

    @property
    def loop_ends(self) -> int:
        """How often all tasks of the loop were cancelled, as before it is closed."""
        # Not counted by the task itself: it may take its step only after another task that was cancelled with it.
        return 0 if self._task is None else self._task.cancelling()

    @property
    def lives(self) -> bool:
        """Whether the engine will learn that its loop ends."""
        return self._task is not None and not self._task.done()

    async def until_released(self) -> None:
        """Waits until the engine has finished and its backend is released, if it was started."""
        if self._task is not None:
            await self._released.wait()

    async def _run(self) -> None:
        engine = self._engine
        while not engine.finished.is_set():
            if self._has_ended():  # perhaps before this first step
                engine.request_kill("its event loop ends", engine.config.cancel_grace)
            with suppress(asyncio.CancelledError):
                await engine.finished.wait()
        try:
            if engine.backend is not None:
                await engine.backend.released(engine.config.cancel_grace if engine.killed else None)
        finally:
            self._released.set()
        await self._watch()

    def _has_ended(self) -> bool:
        """Returns whether the loop ends."""
        if self.loop_ends and self._until is None:
            self._until = self._engine.loop.time() + self._engine.config.cancel_grace
        return self.loop_ends > 0

    async def _watch(self) -> None:
        """Waits for what was left behind, to give some of that up if the loop ends meanwhile."""
        engine = self._engine
        while left := {*engine.thread_waits, *(task for task in engine.left_behind() if not task.done())}:
            limit = None
            if self._has_ended() and self._until is not None:
                limit = max(0.0, self._until - engine.loop.time())
            with suppress(asyncio.CancelledError):
                _, waiting = await asyncio.wait(left, timeout=limit)
                if waiting:
                    self._until = None  # what is begun from here on has as much time
                    self._give_up(waiting & engine.thread_waits)
                    if not engine.run_task.busy:
                        engine.pool.let_go_all()

    def _give_up(self, waits: set[asyncio.Future[Any]]) -> None:
        for wait in waits:
            self._engine.given_up = True
            wait.cancel()


def _retrieve(guard: asyncio.Task[None]) -> None:
    if not guard.cancelled():
        guard.exception()  # the loop has raised it, and is not to log it as well
