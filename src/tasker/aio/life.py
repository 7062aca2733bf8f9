"""The life of a worker in a loop: it makes its resource, serves, and destroys it; each step is reported to the supervisor."""

from __future__ import annotations

import abc
import asyncio

from tasker.control import events as ev
from tasker.control.workers import WorkerState
from tasker.core.identity import WorkerContext
from tasker.errors import TaskKilled

from .attempts import AttemptEnds
from .loop_end import outlasting_loop_end
from .resource_handle import AsyncResourceHandle
from .wait_refusal import without_own


class WorkerLife(AttemptEnds, abc.ABC):
    """The part of an ``AsyncWorker`` that goes from its first step to its last."""

    root: WorkerContext
    state: WorkerState
    surplus: bool
    interruptible: bool
    _begun: bool = False
    _handle: AsyncResourceHandle | None = None

    def _gone(self, task: asyncio.Task[None]) -> None:
        if not self._begun:  # cancelled before its first step, so that ``_run`` could not report anything
            self.engine.creation_failed(self.seat, asyncio.CancelledError())

    async def _run(self) -> None:
        self._begun = True
        try:
            await self._live()
        except BaseException as error:
            if self.engine.torn_down:
                raise
            # Ctrl-C between two steps, no memory, or a fault of the library. Without a last report, a stop would wait for this worker
            # for ever.
            died = self._lost(error)
            if self.engine.is_forked:  # this is the child: the resource is the parent's
                return
            await self._destroy()
            self.engine.report(died)

    async def _live(self) -> None:
        engine, self.interruptible = self.engine, True
        try:
            if engine.killed:
                raise TaskKilled(engine.refusal)
            await without_own(self._create(), engine, f"on_create of worker {self.name}")
        except BaseException as error:
            if engine.torn_down or self._handle is not None:
                raise
            engine.creation_failed(self.seat, error)
            return
        # From here on, a cancellation is for the task that runs, if any, and not for ``on_create``.
        self.interruptible = False
        last: ev.Event = ev.WorkerEnded(self.seat)
        if self.surplus:
            engine.report(ev.WorkerDropped(self.seat))
        else:
            assert self._handle is not None
            last = await self._serve_guarded(self._handle)
            if engine.is_forked:  # by a task, and this is the child: the resource is the parent's
                return
        # Reported only after the resource is destroyed: the supervisor counts the worker against the maximum until
        # then, and a stop waits for it.
        await self._destroy()
        engine.report(last)

    async def _create(self) -> None:
        self._handle = await self.engine.maker.make(self.name, self.root.info)

    @abc.abstractmethod
    async def _serve_guarded(self, handle: AsyncResourceHandle) -> ev.Event:
        """Serves until the worker has to end. Returns the event to report after the resource was destroyed."""

    async def _destroy(self) -> None:
        """Destroys the resource, unless that was begun."""
        handle, engine, self.state = self._handle, self.engine, WorkerState.ENDING
        engine.queue.pass_on()
        if handle is None or handle.ended:
            return
        # What is left of a cancellation must not strike ``on_destroy``.
        await self._absorb()
        ending = without_own(engine.maker.end(handle), engine, f"on_destroy of worker {self.name}")
        await outlasting_loop_end(ending, engine)
        self._handle = None  # an error may keep the worker, and should not keep the resource

    @abc.abstractmethod
    async def _absorb(self) -> bool:
        """Clears what is left of a cancellation, so that it does not strike the next task. Returns False if it cannot
        be cleared, because new ones come turn by turn."""
