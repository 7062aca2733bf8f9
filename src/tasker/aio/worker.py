"""AsyncWorker: a long-lived task of the loop that drives one resource and runs one task at a time.

A task that succeeds without waiting is one step of the ``TaskRunner``, which takes it from the queue and sets its
outcome. ``serve`` makes the steps, each in the context that it belongs to, and does whatever else the runner requests.

A task runs *in* the worker's task of the loop. To cancel it, the worker's task is cancelled; the loop throws
``CancelledError`` where the task waits, and the runner catches whatever comes out of the task. A cancellation never
ends the worker itself, and never reaches the next task. (When a closing loop cancels all its tasks, the engine kills.)
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Sequence
from time import monotonic
from typing import Any

from tasker.context import Context
from tasker.control import events as ev
from tasker.control.workers import WorkerState
from tasker.core.identity import WorkerContext, WorkerName, info_of
from tasker.core.stacks import stack_of_worker
from tasker.core.user_functions import is_awaitable

from .cancellation import absorb, is_struck, unusable
from .counters import AsyncShard
from .idling import wait_idle
from .lending import Handed
from .life import WorkerLife
from .parking import obey_order
from .ports import EngineForWorkers
from .resource_handle import AsyncResourceHandle
from .tasks import start_task
from .upkeep import AsyncUpkeep
from .user_functions import FunctionCaller
from .wait_detection import awaited_by
from .worker_loop import FAILED, IDLE, ORDER, PAUSE, PLAIN, SWITCH, TEND, RunnerRequest, TaskRunner


class AsyncWorker(WorkerLife):
    """Makes a resource, serves the queue with it, and ends it; reports each step to the supervisor."""

    def __init__(self, engine: EngineForWorkers, seat: ev.Seat) -> None:
        self.engine: EngineForWorkers = engine
        self.seat: ev.Seat = seat
        self.shard: AsyncShard = engine.shard(seat.slot)
        self.state: WorkerState = WorkerState.STARTING
        self.overdue: str = ""
        """The task that it runs although that has its outcome, in words."""
        self.surplus: bool = False
        """Whether it is to end as soon as it has its resource."""
        self.outdated: bool = False
        """Whether it is to renew its resource as soon as it has no task."""
        self.idle: asyncio.Future[None] | None = None
        """What it waits for while it has no task."""
        self.name: str = WorkerName.of(engine.config.name, seat)
        self.root: WorkerContext = WorkerContext(
            engine.root, lambda: info_of(engine.config, seat), self.shard.note_progress
        )
        self.context: Context | None = None
        self.waited: Any = None
        """The future that its task waits for."""
        self.handed: Handed | None = None
        """What a caller has begun in its place, while it has not gone on with that."""
        self.waits: bool = False
        """Whether the search for deadlocks knows that it waits for a task of its own manager."""
        self.runner: TaskRunner | None = None
        self.upkeep: AsyncUpkeep | None = None
        """What is done with its resource between two tasks; None: nothing."""
        self.interruptible: bool = False
        """Whether a cancellation of ``task`` would reach user code that may be cancelled."""
        self.cools_until: float = 0.0
        self.checking: str = ""
        """See ``WorkerPort``."""
        self._tends = False
        self._missed_interruption = False
        """Whether an interruption came while a plain function ran in the thread."""
        self.task: asyncio.Task[None] = start_task(engine.loop, self._run(), self.name)
        # The loop has only a weak reference to the task; this worker, in the table of the engine, keeps it.
        self.task.add_done_callback(self._gone)

    @property
    def suspended(self) -> Any:
        """The awaitable of the running task that is suspended, or None."""
        return None if self.runner is None else getattr(self.runner.current, "gi_yieldfrom", None)

    def waits_for(self) -> list[Any]:
        """Returns the futures that the running task waits for, as far as they can be found."""
        waited = self.waited if self.handed is None else self.handed.waited
        return [] if waited is None else [waited, *awaited_by(self.suspended)]

    async def _serve_guarded(self, handle: AsyncResourceHandle) -> ev.Event:
        """See ``WorkerLife``."""
        assert handle.caller is not None
        self.runner = runner = TaskRunner(self, handle.resource)
        try:
            self._begin_serving()
            upkeep = AsyncUpkeep(self.engine, self, handle)
            self.upkeep = upkeep if upkeep.needed else None
            await self.serve(runner, handle.resource, handle.caller)
        finally:
            runner.close()
            self.forget_call()
        return ev.WorkerEnded(self.seat)

    async def serve(self, runner: TaskRunner, resource: Any, caller: FunctionCaller) -> None:
        """Runs tasks until the worker retires, or a task has left the resource unhealthy."""
        if not await self._absorb():  # of a cancellation that ``on_create`` has swallowed, or has not waited for
            raise unusable(self.name)
        step, run = runner.generator.__next__, contextvars.Context.run
        runner.until = await self.engine.turns.slice()
        outcome = step()
        while True:
            # Tasks that succeed without waiting stay in this loop: each step goes from one SWITCH to the next.
            while outcome is SWITCH:
                outcome = run(runner.variables, step)
            if type(outcome) is not RunnerRequest:
                outcome = await self._run_to_end(runner, self.shard.future, outcome, self.shard.future._started_at)
            elif await self._handle_request(runner, outcome, resource, caller):
                outcome = step() if self.handed is None else await self._go_on(runner, self.handed)
            else:
                return

    async def _go_on(self, runner: TaskRunner, handed: Handed) -> RunnerRequest:
        """Goes on from where a caller has come. Returns the runner's next request."""
        self.handed = None
        outcome = handed.take()
        # The runner pauses when the task has ended; but the worker only if its slice is over.
        runner.until = self.engine.turns.begin() or runner.until
        if handed.suspended:
            return await self._run_to_end(runner, self.shard.future, outcome, monotonic())
        return outcome  # type: ignore[no-any-return]

    async def _run_to_end(self, runner: TaskRunner, future: Any, waited: Any, begun: float) -> RunnerRequest:
        """Drives a task that waits until it ends. Returns the runner's next request."""
        self.interruptible = True
        try:
            return await runner.run_to_end(future, waited, begun)
        finally:
            self.interruptible = False

    async def _handle_request(
        self, runner: TaskRunner, request: RunnerRequest, resource: Any, caller: FunctionCaller
    ) -> bool:
        """Does what the runner requests. Returns False if the worker has to end."""
        keep_serving, turns = True, self.engine.turns
        self.shard.flush()  # whatever it is: tasks that wait, or run in a thread, may go on like that for hours
        if request is IDLE:
            await wait_idle(self)
            if self.handed is not None:
                return True
            keep_serving = await self._is_fit()
            runner.until = await turns.slice()
        elif request is PAUSE:
            if turns.clock() > runner.until:
                await turns.turn()
                runner.until = await turns.slice()
        elif request is TEND:
            keep_serving = await self._tend()  # most often without a wait, so this goes on with the slice
        elif request is PLAIN:
            keep_serving = await self._call(runner, self.shard.future, resource, caller) and await self._tend()
            if caller.in_thread:  # it has waited, so the loop has run other tasks
                runner.until = await turns.slice()
        elif request is FAILED:
            keep_serving = await self._judge_error(runner) and await self._tend()
        elif request is ORDER:
            keep_serving = await obey_order(self) and await self._is_fit()
            runner.until = await turns.slice()
        if keep_serving and not await self._absorb():
            raise unusable(self.name)
        return keep_serving

    async def _judge_error(self, runner: TaskRunner) -> bool:
        """Has the error of the task judged. Returns False if the worker has to end."""
        error, runner.error = runner.error, None
        assert error is not None
        try:
            return await self._judge(self.shard.future, error)
        finally:
            del error  # its traceback holds frames of this worker

    async def _tend(self) -> bool:
        """Sees to the resource after a task. Returns False if the worker has to end."""
        if self.upkeep is not None:
            self._tends = True
            try:
                if not (await self._absorb() and await self.upkeep.after_task()):
                    return False
            finally:
                self._tends = False
        return not self.cools_until or (await self.cool_down() and await self._is_fit())

    async def _is_fit(self) -> bool:
        """Sees to the resource after a wait. Returns False if the worker has to end."""
        return self.upkeep is None or await self.upkeep.before_task()

    async def probe(self, check: Coroutine[Any, Any, bool], callback: str = "check_resource") -> bool:
        """See ``ProbedWorker``."""
        self.checking = callback
        try:
            self.engine.report(ev.WorkerChecking(self.seat, callback))
            fit = await check
        finally:
            self.checking = ""
        if self.state is WorkerState.STUCK:  # it has taken too long, so another worker has taken its place
            fit = False
        self.engine.report(ev.WorkerChecked(self.seat, fit))
        return fit

    @property
    def quiet(self) -> bool:
        """Whether no task runs here, nor one that has its outcome, nor what is done for the next one. A check or a reset that hangs
        is none of these: its worker ends after it."""
        tends = (self.checking or self._tends) and self.state is not WorkerState.STUCK
        return self.shard.future is None and not (self.overdue or tends)

    async def _call(self, runner: TaskRunner, future: Any, resource: Any, caller: FunctionCaller) -> bool:
        """Runs a task that is not a coroutine function. Returns False if the worker has to end."""
        engine, task, variables = self.engine, future._task, future._variables or contextvars.Context()
        self.context = context = Context(self.root)
        future._started_at = begun = monotonic()
        # A function in a thread cannot be interrupted.
        self.interruptible = not caller.in_thread
        self._missed_interruption = False
        try:
            try:
                value = await caller.call_plain(variables, task, context, resource, *future._held)
            finally:
                self.interruptible = False
                if not caller.in_thread:
                    engine.slow_callbacks.check(begun, self.name, future.id, task)
            if is_awaitable(value):
                value = await self._await_returned(runner, future, variables, value)
        except BaseException as error:
            if engine.torn_down:
                raise
            return await self._judge(future, error)
        self._succeeded(future, value)
        return True

    async def _await_returned(self, runner: TaskRunner, future: Any, variables: contextvars.Context, value: Any) -> Any:
        """Awaits what a plain function has returned, as if it was the coroutine of the task. Returns its result."""
        runner.variables = variables
        runner.current = awaiting = runner.awaiting(value)
        try:
            if self._missed_interruption:  # while the function ran: raised where the coroutine waits first
                self.task.cancel()
            begun = monotonic()
            waited = variables.run(awaiting.__next__)
            if type(waited) is not RunnerRequest:
                await self._run_to_end(runner, future, waited, begun)
            return runner.take_returned()
        finally:
            runner.current = runner.generator

    async def _judge(self, future: Any, error: BaseException) -> bool:
        """Handles a task that raised. Returns False if the worker has to end."""
        # First what is left of a cancellation, which would strike ``check_health``.
        if await self._absorb() or self._is_asked_for(error):
            return not (await self.failed(future, error)).replaces
        return self._send_back_struck(future, error)

    async def cool_down(self, interrupted: Callable[[], bool] = bool) -> bool:
        """Waits until the resource may be used again, the manager ends, or ``interrupted()``. Returns False if it was ordered
        to retire meanwhile, and has reported that."""
        engine, queue = self.engine, self.engine.queue
        self.shard.flush()
        # A stop waits for no pause.
        while not (engine.closed or interrupted()) and (left := self.cools_until - monotonic()) > 0:
            if self.ordered:
                if not await obey_order(self, gone=interrupted):
                    self.cools_until = 0.0
                    return False
                continue
            try:
                await queue.cooling.wait(engine.loop, left)
            except asyncio.CancelledError:
                if not await self._absorb():
                    break
        self.cools_until = 0.0
        return True

    # -- the loop and its cancellations ---------------------------------------------------------------------------

    async def _absorb(self) -> bool:
        """See ``WorkerLife``."""
        # A task may have swallowed the ``CancelledError``, or have ended before it was thrown.
        return not is_struck(self.task) or await absorb(self.task)

    def renew(self) -> None:
        """See ``WorkerPort``."""
        if self.state in (WorkerState.READY, WorkerState.PARKED) and not self.outdated:
            self.outdated = True
            self.engine.queue.call(self.idle)
            self.engine.queue.lot.leave(self)
            self.engine.queue.leave_hold(self)

    @property
    def ordered(self) -> bool:
        """Whether there is an order for this worker."""
        return self.outdated or self.engine.queue.has_orders

    def forget_call(self) -> None:
        """It serves no more, for whatever reason."""
        if self.outdated:
            self.engine.queue.forget_call()

    def where(self, patience: float = 0.0) -> str:
        """See ``WorkerPort``."""
        return stack_of_worker(self.runner and self.runner.current, self.name, self.engine)

    def show(self, tell: Callable[[str], object]) -> None:
        """See ``WorkerPort``."""
        tell(self.where())

    def give_up(self, *, creating: bool, checking: bool = False) -> None:
        """See ``WorkerPort``."""
        if (creating and self.state is not WorkerState.STARTING) or (checking and not self.checking):
            return
        if checking:
            self.engine.queue.pass_on()
        self.surplus = creating
        self.state = WorkerState.STUCK
        self._end_callback()

    def _end_callback(self) -> None:
        """Ends ``on_create`` or ``on_destroy``, as far as possible."""
        self.task.cancel()

    def cut_off(self) -> bool:
        """Ends whatever runs here by force, and the resource with it. Returns False: that is not possible in a loop."""
        return False

    def ahead(self) -> Sequence[Any]:
        """See ``WorkerPort``. None, where the resource lives here."""
        return ()

    def interrupt(self, message: object = None) -> None:
        """Throws ``CancelledError(message)`` into the running task, if possible."""
        if self.interruptible or self._runs_first_step():
            self.task.cancel(message)
        else:
            self._missed_interruption = True

    def _runs_first_step(self) -> bool:
        """Returns whether the caller is called by a task that has not waited yet."""
        # Nothing is noted for each task: the generator knows that it runs, and calls no other code of the user's while
        # it has a task. If the task never waits, the worker absorbs the cancellation.
        return getattr(self.runner and self.runner.current, "gi_running", False) and self.shard.future is not None
