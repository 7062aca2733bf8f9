"""AsyncResourcePool: holds the resources of ``run_task`` in an event loop."""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections import deque
from typing import Any

from tasker.control.callers import CallerGate
from tasker.control.events import PoolRenewed, PoolResourceLost
from tasker.control.pool_probes import next_probe_at, next_to_probe
from tasker.core.ages import UNKNOWN, Ages
from tasker.core.snapshots import snapshot
from tasker.errors import ResourceError, ShutdownError, TaskKilled
from tasker.logs import describe

from .cancellation import outlast, passes_on_to
from .ports import EngineForResources
from .resource_handle import AsyncResourceHandle
from .resource_keeper import KeptResources
from .tasks import start_task


class AsyncResourcePool:
    """Keeps a pool of resources full, and makes temporary ones beyond it."""

    def __init__(self, engine: EngineForResources) -> None:
        config = engine.config
        self._engine = engine
        self.ages: Ages = Ages()
        self._kept = KeptResources(engine, self._gone)
        self._size = config.pool_size
        self._max_temporary = config.max_temporary_resources
        self._idle: deque[AsyncResourceHandle] = deque()
        self._cools = False
        """Whether some of them may have to cool down."""
        self._temporary = 0
        self._number = 0
        self._gate = CallerGate()
        self._closed = False
        self._filling: asyncio.Task[Any] | None = None
        """The task of the loop that fills the pool, and then the one that refills it; there is one at a time."""
        self._filled = False

    async def fill(self) -> None:
        """Makes the pool's resources. If one fails, destroys those that were made, and raises ``ResourceError``. Raises
        ``ShutdownError`` if the pool is closed meanwhile."""
        if not self._size:
            return
        # In a task of its own, which a stop or kill cancels: the caller's is not theirs to cancel.
        engine = self._engine
        self._filling = filling = start_task(
            engine.loop, self._outcome_of_fill(), f"{engine.config.name}-pool", contextvars.copy_context()
        )
        struck: asyncio.CancelledError | None = None
        try:
            struck = await outlast(filling, passes_on_to(filling))
            self._filling, self._filled = None, True
            if struck is not None:
                await self._empty()
                raise struck
            error = filling.result()
            if error is not None:
                raise error
        except BaseException:
            # After Ctrl-C nobody else ends what was made, or still is.
            self.shut()
            self.let_go_all()
            raise
        finally:
            error = None
            del struck  # its traceback holds this frame

    async def _outcome_of_fill(self) -> BaseException | None:
        """Fills the pool. Returns the error, because a task of the loop that raises ``KeyboardInterrupt`` ends the loop."""
        try:
            await self._fill()
        except BaseException as error:
            if self._engine.torn_down:
                raise
            return error
        return None

    async def _fill(self) -> None:
        try:
            for _ in range(self._size):
                self._idle.append(await self._make())
                self._check_open()  # it may have been closed meanwhile
        except BaseException as error:
            self.shut()
            if (struck := await self._empty()) is not None:
                raise struck from error
            text = f"failed to initialize resource pool, {self._size} wanted (resource_pool_size): {describe(error)}"
            if issubclass(type(error), KeyboardInterrupt | asyncio.CancelledError | GeneratorExit | ShutdownError):
                raise
            raise ResourceError(text) from error

    def _check_open(self) -> None:
        if self._closed:
            raise ShutdownError("task manager is shutting down")

    @property
    def available(self) -> int:
        """The number of idle resources in the pool."""
        now = self._engine.now() if self._cools else math.inf
        return sum(handle.cools_until <= now for handle in snapshot(self._idle))

    async def acquire(self) -> tuple[AsyncResourceHandle, bool]:
        """Lends an idle resource or, if there is none, makes a temporary one. Returns it, and whether it is temporary.
        Raises ``ResourceError`` if it cannot be made or too many are in use, and ``ShutdownError`` after ``close``."""
        if self._closed:
            raise ShutdownError("task manager is shutting down")
        if self._idle and not (self._cools and self._all_cool()):
            return self._idle.pop(), False  # the one used last, which is most likely still warm
        if self._max_temporary is not None and self._temporary >= self._max_temporary:
            raise ResourceError(
                f"all {self._size} pooled and {self._temporary} temporary resources are in use "
                f"(max_temporary_resources={self._max_temporary})"
            )
        # Counted before the await, during which other callers may get here.
        self._temporary += 1
        try:
            return await self._make_for_caller("temporary resource"), True
        except BaseException:
            self._temporary -= 1
            raise

    def _all_cool(self) -> bool:
        """Returns whether each idle resource has to cool down; if not, one that has not is the last one now."""
        now = self._engine.now()
        warm = [handle for handle in self._idle if handle.cools_until <= now]
        self._cools = len(warm) < len(self._idle)
        if warm:
            self._idle.remove(warm[-1])
            self._idle.append(warm[-1])
        return not warm

    async def renew(self, handle: AsyncResourceHandle, temporary: bool) -> AsyncResourceHandle:
        """Replaces a lent resource that must not be used any more; returns the new one. Raises ``ResourceError``."""
        try:
            await self._end(handle)
            return await self._make_for_caller("resource in place of one that was worn out")
        except BaseException:
            # The caller has nothing left to release, so the pool is put right here.
            if temporary:
                self._temporary -= 1
            elif not self._closed:
                self._engine.report(PoolResourceLost())
            raise

    async def _make_for_caller(self, what: str) -> AsyncResourceHandle:
        engine, gate, call = self._engine, self._gate, object()
        begun = engine.now()
        if (refusal := gate.refusal(engine.view, begun, call)) is not None:
            raise ResourceError(f"failed to create {what}: {refusal}")
        try:
            made = await self._make()
            self._report(call, begun, None)
            return made
        except (KeyboardInterrupt, asyncio.CancelledError, GeneratorExit, TaskKilled):
            raise
        except BaseException as error:
            if not issubclass(type(error), ShutdownError):
                self._report(call, begun, describe(error))
            raise ResourceError(f"failed to create {what}: {describe(error)}") from error
        finally:
            gate.dropped(call)

    def _report(self, call: object, begun: float, error: str | None) -> None:
        event = self._gate.ended(self._engine.view, call, begun, error)
        if event is not None:
            self._gate.reported(error)  # first: the engine may handle it at once
            self._engine.report(event)

    def take_back(
        self, handle: AsyncResourceHandle, temporary: bool, cools: float = 0.0, *, rested: bool = False
    ) -> bool:
        """Takes a healthy resource back at once, to be lent again after ``cools`` seconds and, if it has ``rested``, after what was
        used since. Returns False if it has to be destroyed (see ``destroy``)."""
        if temporary or self._closed or self._kept.is_lost(handle) or self._is_outdated(handle):
            return False
        if cools:
            handle.cools_until, self._cools = self._engine.now() + cools, True
        (self._idle.appendleft if rested else self._idle.append)(handle)
        return True

    async def destroy(self, handle: AsyncResourceHandle, temporary: bool) -> None:
        """Destroys a lent resource. If the pool lacks one now, reports that."""
        try:
            await self._end(handle)
        finally:  # also if the caller was cancelled meanwhile
            if temporary:
                self._temporary -= 1
            elif not (self._closed or self._engine.torn_down):
                self._engine.report(PoolResourceLost())

    def take_rested(self, interval: float) -> AsyncResourceHandle | None:
        """See ``ProbedPool``."""
        handle = next_to_probe(self._probeable(), interval, self._engine.now())
        if handle is not None:
            self._idle.remove(handle)
        return handle

    def next_probe_at(self, interval: float) -> float:
        """See ``ProbedPool``."""
        return next_probe_at(self._probeable(), interval, self._engine.now())

    def _probeable(self) -> list[AsyncResourceHandle]:
        """Returns the idle resources that may be taken out. Not the last one where a caller could not get a temporary one."""
        if self._closed or (len(self._idle) == 1 and self._temporary == self._max_temporary):
            return []
        return [handle for handle in self._idle if not self._is_outdated(handle)]

    async def discard(self, handle: AsyncResourceHandle) -> None:
        """Destroys a resource that the pool does not lack."""
        await self._end(handle)

    def lost(self, handle: AsyncResourceHandle) -> bool:
        """Drops a resource whose process has died. Returns True if it was idle, so that the pool lacks one now."""
        if handle not in self._idle:
            return False
        self._idle.remove(handle)

        # At once, and not by a task that begins in the next turn: the pool may be closed before that, and waits for it.
        self._kept.let_go(handle).add_done_callback(lambda task: self._forget_age(handle))
        return not self._closed

    def _gone(self, handle: AsyncResourceHandle) -> None:
        # One that is lent out is found lost when it is taken back.
        if self.lost(handle):
            self._engine.report(PoolResourceLost())

    async def refill(self) -> None:
        """Adds one resource to the pool, unless it is closed. Raises what the user's function raises."""
        is_late = self._closed or self._engine.killed  # since this was spawned
        if is_late:
            return
        self._filling = asyncio.current_task()
        try:
            handle = await self._make()
            if self._closed:  # while it was made
                await self._end(handle)
            else:
                self._idle.append(handle)
        finally:
            self._filling = None

    def cancel_filling(self) -> None:
        """Cancels the creation of resources for the pool."""
        if self._filling is not None:
            self._filling.cancel()

    def tasks(self) -> list[asyncio.Task[None]]:
        """Returns the tasks of its resources."""
        return self._kept.tasks()

    def let_go_all(self) -> None:
        """Ends each resource that is left."""
        self._kept.let_go_all()

    def shut(self) -> None:
        """Lends nothing more, and takes nothing back."""
        self._closed = True

    async def close(self) -> None:
        """Destroys the idle resources; each one in use is destroyed when it is released."""
        # First: a resource that is released during the awaits below must not be added to the pool.
        self.shut()
        struck = await self._empty()
        # What is made at the start is destroyed, too, before anything returns that waits for the end. A refill is reported
        # for itself.
        if self._filling is not None and not self._filled:
            struck = await outlast(self._filling) or struck
        # One that has gone by itself is destroyed for no caller.
        struck = await self._kept.until_ended() or struck
        if struck is not None:
            raise struck

    async def _empty(self) -> asyncio.CancelledError | None:
        """Destroys the idle resources. Returns the error by which the caller was cancelled meanwhile."""
        struck: asyncio.CancelledError | None = None
        while self._idle:
            try:
                await self._end(self._idle.pop())
            except asyncio.CancelledError as error:  # of the caller: the others have to be destroyed all the same
                struck = error
        return struck

    async def _make(self) -> AsyncResourceHandle:
        self._number += 1
        age = self.ages.begin()
        try:
            handle = await self._kept.make(f"{self._engine.config.name}-pool-{self._number}")
        except BaseException:
            self.ages.forget(age)
            raise
        handle.age = age
        return handle

    async def _end(self, handle: AsyncResourceHandle) -> None:
        try:
            await self._kept.end(handle)
        finally:
            self._forget_age(handle)

    def _forget_age(self, handle: AsyncResourceHandle) -> None:
        """No refresh waits for this resource any more."""
        self.ages.forget(handle.age)
        handle.age = UNKNOWN

    def _is_outdated(self, handle: AsyncResourceHandle) -> bool:
        return handle.age.generation != self.ages.generation

    def _outdated(self) -> AsyncResourceHandle | None:
        """Returns an idle outdated resource."""
        return next(filter(self._is_outdated, self._idle), None)

    async def renew_idle(self) -> PoolRenewed:
        """Makes a resource in place of an idle outdated one, if there is one. Raises what the user's function raises."""
        if self._outdated() is None or self._closed or self._engine.killed:
            return PoolRenewed(left=False, made=False)
        self._filling = asyncio.current_task()
        try:
            ends = await self._make()
            # None, if meanwhile the last of them was lent, and is destroyed when it is returned, or the pool was closed.
            outdated = self._outdated()
            if outdated is not None and not self._closed:
                self._idle.remove(outdated)
                self._idle.append(ends)
                ends = outdated
            await self._end(ends)
        finally:
            self._filling = None
        return PoolRenewed(left=self._outdated() is not None)
