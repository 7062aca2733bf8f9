"""KeptResources: makes and destroys each resource of ``run_task`` in a task of the loop that belongs to the resource.

Callers come and go, and any of them may be cancelled. A resource may hold what is bound to the task in which it was
made, as a task group of anyio's is; and its ``on_destroy`` must not be cut short because the caller that happens to
wait for it is cancelled. So neither runs in the task of a caller.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable

from tasker.errors import ResourceError

from .cancellation import absorb, outlast, passes_on_to
from .loop_end import outlasting_loop_end
from .ports import EngineForResources
from .reentrancy import hook_scope
from .resource_handle import AsyncResourceHandle
from .tasks import start_task


class _Keeper:
    """Makes a resource, keeps it until it is asked to let it go, and destroys it."""

    def __init__(self, engine: EngineForResources, name: str, on_lost: Callable[[AsyncResourceHandle], object]) -> None:
        self._engine = engine
        self._name = name
        self._on_lost = on_lost
        self._asked: asyncio.Future[None] = engine.loop.create_future()
        self.made: asyncio.Future[None] = engine.loop.create_future()
        """Done as soon as there is a handle or an error."""
        self.handle: AsyncResourceHandle | None = None
        self.error: BaseException | None = None
        self.lost: bool = False
        """Whether the resource has gone by itself."""
        # The variables of the caller, which ``on_create`` may look at.
        self.task: asyncio.Task[None] = start_task(engine.loop, self._run(), name, contextvars.copy_context())
        self.task.add_done_callback(self._ended)

    def let_go(self) -> None:
        """Has the resource destroyed."""
        if not self._asked.done():
            self._asked.set_result(None)

    async def _run(self) -> None:
        maker = self._engine.maker
        struck: BaseException | None = None
        try:
            with hook_scope(self._engine, "on_create for the pool of run_task"):
                self.handle = await maker.make(self._name)
            self.made.set_result(None)
            await self._until_asked(self.handle)
        except BaseException as error:
            if self._engine.torn_down or issubclass(type(error), GeneratorExit):
                raise
            handle, struck = self.handle, error
            if not self.made.done():  # its caller gets the error
                self.handle, self.error = None, error
            if handle is None:
                return
            # Ctrl-C, in one of the steps of this task. The resource has to be ended all the same.
            self.lost = True
            if self.handle is not None:
                self._on_lost(handle)
        else:
            handle = self.handle
        with hook_scope(self._engine, "on_destroy for the pool of run_task"):
            await outlasting_loop_end(maker.end(handle), self._engine)
        if struck is not None and self.error is None:
            raise struck

    async def _until_asked(self, handle: AsyncResourceHandle) -> None:
        fit = await absorb(self.task)  # of what ``on_create`` may have left
        while fit and not self._asked.done():
            try:
                await asyncio.wait([self._asked])
            except asyncio.CancelledError:
                # One alone is none of its business: a loop that ends cancels all its tasks, and the engine ends the
                # resource then, unless Ctrl-C has struck before it had a guard. One in every turn comes from the
                # resource, which has to be left.
                fit = await absorb(self.task)
                if not self._engine.guard.lives:
                    self.lost = True
                    return
        if not fit:
            self.lost = True
            self._on_lost(handle)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not self.made.done():
            if self.error is None:  # cancelled before its first step
                self.error = asyncio.CancelledError()
            self.made.set_result(None)


class KeptResources:
    """Makes and destroys the resources of ``run_task``; see the module's docstring. ``on_lost`` is called with the
    handle of a resource that has gone by itself."""

    def __init__(self, engine: EngineForResources, on_lost: Callable[[AsyncResourceHandle], object]) -> None:
        self._engine = engine
        self._on_lost = on_lost
        self._keepers: dict[AsyncResourceHandle, _Keeper] = {}
        self._all: dict[asyncio.Task[None], _Keeper] = {}
        """Also those whose handle has not arrived here, and never will if Ctrl-C strikes on its way."""
        self._ending: set[asyncio.Task[None]] = set()
        """The tasks of the resources that are being destroyed."""

    async def make(self, name: str) -> AsyncResourceHandle:
        """Makes a resource. Raises what the user's function raises. If the caller is cancelled meanwhile, cancels the
        creation, and raises ``CancelledError`` once nothing is left of it."""
        keeper = _Keeper(self._engine, name, self._on_lost)
        self._all[keeper.task] = keeper
        keeper.task.add_done_callback(self._all.pop)
        struck = await outlast(keeper.made, passes_on_to(keeper.task))
        if keeper.handle is None:
            try:
                raise struck or _not_a_cancellation(keeper.error)
            finally:
                del struck, keeper  # the error's traceback holds this frame
        self._keepers[keeper.handle] = keeper
        origins = self._engine.counters.origins
        if origins is not None and keeper.handle.remote is None:
            # Again, because what has called for it is not on the stack of the task that made it.
            origins.made(keeper.handle, "run_task", self._engine.config)
        if struck is not None:
            await self.end(keeper.handle)
            raise struck
        return keeper.handle

    def is_lost(self, handle: AsyncResourceHandle) -> bool:
        """Returns whether the resource has gone by itself."""
        return self._keepers[handle].lost

    async def end(self, handle: AsyncResourceHandle) -> None:
        """Destroys a resource, to the end also if the caller is cancelled meanwhile; raises that ``CancelledError``
        afterwards."""
        struck = await outlast(self.let_go(handle))
        if struck is not None:
            raise struck

    def let_go(self, handle: AsyncResourceHandle) -> asyncio.Task[None]:
        """Has a resource destroyed: ``until_ended`` waits for it from here on. Returns the task that does it."""
        keeper = self._keepers.pop(handle)
        self._ending.add(keeper.task)
        keeper.task.add_done_callback(self._ending.discard)
        keeper.let_go()
        return keeper.task

    def tasks(self) -> list[asyncio.Task[None]]:
        """Returns the tasks of the resources that are being made, or are not destroyed yet."""
        return [*self._all]

    def let_go_all(self) -> None:
        """Has each resource destroyed that is left."""
        for keeper in self._all.values():
            keeper.let_go()

    async def until_ended(self) -> asyncio.CancelledError | None:
        """Waits for the resources that are being destroyed. Returns what ``outlast`` does."""
        struck: asyncio.CancelledError | None = None
        for task in list(self._ending):
            struck = await outlast(task) or struck
        return struck


def _not_a_cancellation(error: BaseException | None) -> BaseException:
    """Returns the error of a creation as its caller, which was not cancelled, gets it."""
    assert error is not None
    if not issubclass(type(error), asyncio.CancelledError):
        return error
    failed = ResourceError("on_create ended with CancelledError")
    failed.__cause__ = error
    return failed
