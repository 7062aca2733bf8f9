"""InlineEngine: a driver of the engine core in the calling thread, with virtual time.

It has the queue, the futures, the supervisor, the actions and the books of the threaded engine. Only the mechanism is
another one: events are handled when a call is about to return, a worker runs a task when the test has it run, and the pauses
of the supervisor are moments of a ``ManualClock``, which passes when nothing else can be done.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from tasker.config import Config
from tasker.control import events as ev
from tasker.control.creation import BreakerState
from tasker.control.workers import WorkerState
from tasker.core.checks import check_queue_timeout
from tasker.core.planning import load_of
from tasker.errors import DeadlockError, QueueFull, ResourceError
from tasker.stats import StopReport
from tasker.threads.future import TaskFuture
from tasker.threads.queue_slots import SlotWait

from .clock import ManualClock
from .inline_driver import InlineDriver
from .inline_worker import InlineWorker

MOST_FAILURES = 100
"""After so many failed creations in a row, in the course of which nearly an hour has passed, the test gets an error."""

Order = Callable[[Sequence[TaskFuture[Any]]], TaskFuture[Any]]


class InlineEngine(InlineDriver):
    """See the module's docstring. Belongs to one thread."""

    def __init__(self, config: Config[Any], clock: ManualClock, order: Order | None) -> None:
        super().__init__(config, clock)
        self._order = order
        self._handling = False
        self._looks = False
        self._wakeup: float | None = None
        """When the supervisor has to be asked next."""

    def start(self) -> None:
        """Fills ``run_task``'s pool. Raises ``ResourceError`` if that fails."""
        self.pool.fill()
        self.report(ev.Started())
        self.pump()
        if self.config.ctx is not None:
            self.forget_parent: Callable[[], None] = self.config.ctx.on_cancel(self._parent_ended)

    # -- events ---------------------------------------------------------------------------------------------------

    def check_drained(self) -> None:
        """See ``EngineCore``."""
        self._looks = True

    def soon(self, call: Callable[[], None]) -> None:
        """See ``Driver``."""
        self._inbox.append(call)
        self.pump()

    def pump(self) -> None:
        """Handles what was reported and what is due by now. In the middle of itself, leaves it to the outer call."""
        if self._handling:
            return
        self._handling = True
        try:
            self._look_at_parent()
            # The moment of the last time: by now, the supervisor would name a later one.
            if self._wakeup is not None and self._wakeup <= self.clock.now():
                self.report(ev.Wakeup())
            self.limits.next_look(math.inf)
            while True:  # docs/decisions/0043
                if not self.limits.look(self.clock.now()):
                    break
            self._rest()
            while True:  # docs/decisions/0043
                if not self._pump_one():
                    break
            self._wakeup = self.supervisor.wakeup(self.clock.now())
        finally:
            self._handling = False

    def _rest(self) -> None:
        """Does what is due for resources that no task has used."""
        now, config = self.clock.now(), self.config
        if config.idle_timeout is not None:
            self.report(ev.Tick(load_of(self.counters.flow(), (), now), scales=False))
        # Each once, even if the checks take longer than the interval.
        for worker in [worker for worker in self.workers.values() if worker.rested(now)]:
            if worker.rested(now):
                worker.is_fit(wanted=False)

    def _pump_one(self) -> bool:
        now = self.clock.now()
        if self._inbox:
            event = self._inbox.popleft()
            if callable(event):
                event()
            else:
                self.step(event, now)
        elif self._looks:
            self._looks = False
            self.answer_drained(now)
        else:
            return self._end_surplus() or self._probe() or self._renew_one()
        return True

    def _probe(self) -> bool:
        """Has a worker make its resource although no task waits for that, where the circuit breaker waits for its outcome.
        Returns whether there was one."""
        due = self.view.next_creation
        waits = self.view.breaker is BreakerState.HALF_OPEN or (due is not None and due <= self.clock.now())
        worker = self._lowest(self._is_unmade) if waits else None
        if worker is not None:
            worker.make()
        return worker is not None

    def _renew_one(self) -> bool:
        """Makes a resource for a refresh, which waits for no task. Returns whether anything was done."""
        if not self.view.outdated:
            return False
        outdated = self.supervisor.table.outdated
        old = self._lowest(lambda worker: self._is_unmade(worker) and worker.seat.generation <= outdated)
        if old is not None:  # it has made none
            old.retire(ev.WorkerDropped)
            return True
        fresh = self._lowest(self._is_unmade)
        if fresh is not None:
            fresh.make()
        return fresh is not None

    def _end_surplus(self) -> bool:
        """Ends a worker that has to go and can. Returns whether there was one."""
        for worker in list(self.workers.values()):
            if worker.busy:
                continue
            if worker.surplus and worker.state is WorkerState.STARTING:
                worker.retire(ev.WorkerDropped)
                return True
            if worker.outdated and worker.state is WorkerState.READY:
                worker.retire(ev.WorkerWorn)
                return True
            if self._due_retirements and worker.state is WorkerState.READY:
                self._due_retirements -= 1
                worker.retire()
                return True
        return False

    # -- running tasks --------------------------------------------------------------------------------------------

    def pending(self) -> list[TaskFuture[Any]]:
        """Returns the queued tasks, most urgent first."""
        return [future for future in self.queue.waiting() if not future.done()]

    def run_next(self, chosen: TaskFuture[Any] | None = None) -> TaskFuture[Any] | None:
        """Runs one attempt of the chosen task, or of the next one. Returns it, or None if no task waits. Raises
        ``DeadlockError`` if every worker waits for a task, and ``ResourceError`` if no worker can be made."""
        self.pump()
        future = None if self.paused else chosen or self._choose()
        if future is None:
            return None
        worker = self._free_worker(future)
        if worker is not None:
            self._take(future)
            worker.serve(future)
            self._looks = True  # it may have been the last one of a stop
        self.pump()
        return future

    def run_until(self, done: Callable[[], object], timeout: float | None, what: object) -> bool:
        """Runs tasks until ``done()``; returns whether it is, within ``timeout`` seconds of the clock. Where no task can
        run, lets time pass; raises ``DeadlockError`` if that would not help."""
        end = None if timeout is None else self.clock.now() + max(0.0, timeout)
        while not done():
            if end is not None and self.clock.now() >= end:
                return False
            try:
                if self.run_next() is not None:
                    continue
                why = "the manager is paused" if self.paused else "no task is queued that could end it"
                blocked = DeadlockError(f"the wait for {what} would never end: {why}")
            except DeadlockError as error:
                blocked = error
            if done():
                break
            resumes = self.supervisor.wakeup(self.clock.now(), probes=False) if self.view.delayed else None
            moments = [moment for moment in (end, self.clock.next_call, resumes) if moment is not None]
            if not moments:
                raise blocked
            self.clock.advance_to(min(moments))
        return True

    def _choose(self) -> TaskFuture[Any] | None:
        if self._order is None:
            return self._first()
        pending = self.pending()
        if not pending:
            return None
        chosen = self._order(tuple(pending))
        if not any(chosen is one for one in pending):
            raise ValueError(f"order must return one of the tasks that it was given, got {chosen!r}")
        return chosen

    def _first(self) -> TaskFuture[Any] | None:
        for level in self.queue.levels:
            while level and level[0].done():  # cancelled, in a long queue
                self._take(level[0])
            if level:
                return level[0]
        return None

    def _take(self, future: TaskFuture[Any]) -> None:
        self.queue.tokens.get_nowait()
        for level in self.queue.levels:
            if future in level:  # most often the first one
                level.remove(future)
                return

    def _free_worker(self, future: TaskFuture[Any]) -> InlineWorker | None:
        """Returns a worker that can run a task now, for which it may have to make a resource, and let time pass. None if
        the task got its outcome meanwhile."""
        most = self.view.failing_creations + MOST_FAILURES
        while not future.done():
            worker = self._lowest(lambda worker: worker.ready)
            if worker is not None and not worker.worn:
                if worker.is_fit():
                    return worker
            elif worker is not None:
                worker.retire(ev.WorkerWorn)
            elif (fresh := self._lowest(self._is_unmade)) is not None:
                fresh.make()
            else:
                self._await_worker(future)
            self.pump()
            if self.view.failing_creations >= most:
                raise ResourceError(
                    f"on_create has failed {MOST_FAILURES} times in a row, last with {self.view.creation_error}; without"
                    " ready_timeout, a manager goes on trying for ever"
                ) from self.creation_error
        return None

    def _await_worker(self, future: TaskFuture[Any]) -> None:
        """Has another worker start, or lets time pass until one does."""
        busy = [worker for worker in self.workers.values() if worker.busy]
        if busy and len(busy) >= len(self.workers):
            before = len(self.workers)
            self.report(ev.AllBlocked(len(busy)))
            self.pump()
            if len(self.workers) > before:
                return
        now = self.clock.now()
        cooled = [worker.cools_until for worker in self.workers.values() if worker.cooling]
        wakes = self.supervisor.wakeup(now, probes=False)
        moment = min((one for one in (wakes, *cooled) if one is not None), default=now)
        if moment <= now or self._handling:
            raise self._deadlock(future, busy)
        self.clock.advance_to(moment)

    @staticmethod
    def _deadlock(future: TaskFuture[Any], busy: list[InlineWorker]) -> DeadlockError:
        if not busy:
            return DeadlockError(f"{future} would never run: no worker can be made before what waits for it returns")
        waiting = ", ".join(str(worker.shard.future or f"a callback in {worker.name}") for worker in busy)
        return DeadlockError(
            f"{future} would never run: each of the {len(busy)} workers waits for another task ({waiting}); raise"
            " max_worker_count to at least the depth at which tasks wait for each other"
        )

    def _lowest(self, fits: Callable[[InlineWorker], bool]) -> InlineWorker | None:
        return min((w for w in self.workers.values() if fits(w)), key=lambda worker: worker.seat.slot, default=None)

    @staticmethod
    def _is_unmade(worker: InlineWorker) -> bool:
        return worker.state is WorkerState.STARTING and not worker.busy and not worker.surplus

    # -- for submit -----------------------------------------------------------------------------------------------

    def admit(self, slot: SlotWait | None, block: bool, timeout: float | None) -> None:
        """As in a ``FutureOwner``. Where that would wait for a slot, it runs tasks."""
        self._look_at_parent()
        if self.closed:
            raise self.shutdown_error()
        check_queue_timeout(timeout)
        if self.queue_slots is not None and slot is not None:
            end = None if timeout is None else self.clock.now() + timeout
            while not slot.served:
                self._acquire(slot, block, end)
        if self.collector is not None:
            self.hooks.arrival()

    def _acquire(self, slot: SlotWait, block: bool, end: float | None) -> None:
        assert self.queue_slots is not None
        try:
            self.queue_slots.acquire(False, None, self.waits.enter, self.waits.leave, slot)
        except QueueFull:
            if not block or (end is not None and self.clock.now() >= end) or self.run_next() is None:
                raise
        if self.closed:
            raise self.shutdown_error()

    # -- the end --------------------------------------------------------------------------------------------------

    def begin_end(self, kill: bool, reason: str, hand_back: bool) -> StopReport:
        """Begins to end the engine, in the middle of a task. What is left follows when the task has ended."""
        self.close(reason)
        self.report(ev.KillRequested(reason) if kill else ev.StopRequested(reason, hand_back=hand_back))
        self.pump()
        return self.stop_report(self.clock.now(), self.clock.now())

    def end(self, kill: bool, reason: str, timeout: float | None, hand_back: bool = False) -> StopReport:
        """Ends the engine; see ``InlineTaskManager.stop`` and ``kill``."""
        since = self.clock.now()
        self.begin_end(kill, reason, hand_back)
        end = None if timeout is None else since + timeout
        while not kill and (end is None or self.clock.now() < end) and self.run_next() is not None:
            pass
        if not self.finished.is_set() and not kill:
            self.report(ev.KillRequested("the timeout of stop has passed"))
            self.pump()
        return self.stop_report(since, self.ended_at)
