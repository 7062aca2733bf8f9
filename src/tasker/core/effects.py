"""Carries out the supervisor's actions: one table for both engines, over what an engine brings as its ``Driver``.

What an action means is written here once. How a task is ended, how a worker is started and what "in a moment" means
differs between threads and a loop, and is the driver's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.attempts import Verdict
from tasker.control.workers import WorkerState
from tasker.core.driver import Driver
from tasker.core.history import forget_frames
from tasker.core.long_tasks import UNKNOWN
from tasker.core.ports import WorkerPort
from tasker.core.quarantine import poisoned, quarantined
from tasker.core.slices import SLICE
from tasker.core.unheard import serves_unheard
from tasker.core.worker_reports import PATIENCE_OF_LOOPS
from tasker.errors import MaxRetriesExceeded, ResourceError, TaskKilled
from tasker.logs import GuardedLogger, describe, shown
from tasker.options import Priority


class Effects:
    """One method for each kind of action."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._table: dict[type, Callable[[Any], None]] = {
            act.StartWorker: lambda action: driver.start_worker(action.seat),
            act.Retire: lambda action: driver.retire(action.count),
            act.Park: lambda action: driver.park(action.count),
            act.MarkSurplus: self._mark_surplus,
            act.Renew: self._renew,
            act.Refreshed: lambda action: driver.refreshes.over(action.number),
            act.GiveUp: self._give_up,
            act.Requeue: self._requeue,
            act.Delay: self._delay,
            act.Resume: self._resume,
            act.ReportDelayed: self._report_delayed,
            act.FailTask: self._fail_task,
            act.Quarantine: self._quarantine,
            act.DropTask: lambda action: driver.drop_returned(action.task),
            act.FailQueued: self._fail_queued,
            act.HoldTasks: lambda _: driver.hold_tasks(),
            act.ReleaseTasks: lambda _: driver.release_tasks(),
            act.HandBack: self._hand_back,
            act.RefuseTasks: lambda action: driver.close(action.reason),
            act.DropQueued: self._drop_queued,
            act.CancelRunning: self._cancel_running,
            act.Interrupt: self._interrupt,
            act.Abandon: self._abandon,
            act.RefillPool: lambda _: driver.refill_pool(),
            act.OutdatePool: lambda _: driver.pool.ages.outdate(),
            act.RenewPool: lambda _: driver.renew_pool(),
            act.ProbePool: lambda _: driver.prober.probe(),
            act.GiveUpPoolProbe: lambda _: driver.prober.give_up(),
            act.ClosePool: lambda _: driver.close_pool(),
            act.Finish: self._finish,
            act.RestartAlarm: self._restart_alarm,
            act.Log: lambda action: driver.log.log(action.level, action.message, *action.args),
        }

    def carry_out(self, action: act.Action) -> None:
        """Carries out one action. A fault on the way is logged and counted, so that the next action still follows."""
        try:
            self._table[type(action)](action)
        except BaseException as error:
            self._driver.log.fault(type(action).__name__, error)

    def _mark_surplus(self, action: act.MarkSurplus) -> None:
        # A worker that looks just before this is written serves, and reports that it is ready: the supervisor then
        # retires one that is ready. One that has ended is not in the table any more.
        worker = self._driver.workers.get(action.seat)
        if worker is not None:
            worker.surplus = action.surplus

    def _renew(self, action: act.Renew) -> None:
        worker = self._driver.workers.get(action.seat)
        if worker is not None:
            worker.renew()

    def _give_up(self, action: act.GiveUp) -> None:
        if action.error is not None:
            self._driver.creation_error = TimeoutError(action.error)
        worker = self._driver.workers.get(action.seat)
        if worker is not None:
            # A child is asked, which most often answers at once, since it is about to be killed.
            place = worker.where(PATIENCE_OF_LOOPS) or UNKNOWN
            self._driver.log.log("warning", "worker %s is at\n%s", worker.name, place)
            worker.give_up(creating=action.error is not None, checking=bool(action.checks))
            self._driver.check_drained()  # a pause waits for no check that hangs

    def _restart_alarm(self, action: act.RestartAlarm) -> None:
        limit = f"more than {action.most} in {action.seconds:g} seconds (restart_intensity)"
        if action.raised:
            text = "workers are replaced again and again, %s; the last one because %s"
            self._driver.log.log("error", text, limit, action.reason)
        else:
            text = "workers are not replaced %s any more; there were %d"
            self._driver.log.log("info", text, limit, action.restarts)

    def _requeue(self, action: act.Requeue) -> None:
        if self._count_as_queued(action.task):
            self._count_retry(action)
            self._driver.enqueue(action.task, Priority.HIGH)

    def _delay(self, action: act.Delay) -> None:
        task: Any = action.task
        if not self._count_as_queued(task, snoozed=action.snoozed):
            return
        if action.snoozed:
            task._note_snooze()
            self._driver.counters.note("snoozed")
        else:
            self._count_retry(action)

    def _count_retry(self, action: act.Requeue | act.Delay) -> None:
        self._driver.counters.note("retried")
        self._driver.hooks.retry()
        if action.loan is not None:
            self._driver.lend(action.task, action.loan)

    def _count_as_queued(self, task: Any, *, snoozed: bool = False) -> bool:
        """Counts a task as queued again. Returns False if it has its outcome instead."""
        driver = self._driver
        error = driver.claim(task)
        if error is None:
            return False
        if not snoozed:
            # Before it counts as queued: from then on a cancellation may end it.
            driver.remember(task, error, Verdict.TRY_AGAIN)
        if not driver.returned(task):
            # Cancelled between the supervisor's verdict and this moment: as if the verdict had known of it.
            driver.remember(task, error, Verdict.ENDED)
            driver.fail_queued(task, error)
            return False
        if not snoozed:
            forget_frames(error)
        return True

    def _resume(self, action: act.Resume) -> None:
        task: Any = action.task
        if not task.done():  # else cancelled meanwhile; one that is cancelled from here on is one of the queue
            self._driver.enqueue(task, Priority.HIGH)

    def _report_delayed(self, action: act.ReportDelayed) -> None:
        driver, task = self._driver, cast("Any", action.task)
        if task.done():
            return
        error = action.error
        if error is None:
            error = task.attempts_made[-1].error
            driver.remember(task, error, Verdict.ENDED)
        driver.fail_queued(task, error)
        driver.shutdown_counts.delayed_tasks += not task.cancelled()  # else that was a moment before
        driver.check_drained()

    def _fail_task(self, action: act.FailTask) -> None:
        driver = self._driver
        if action.fault is not None:
            driver.log.fault("the retry policy", action.fault)
        error = driver.claim(action.task)
        if error is None:
            return
        driver.remember(action.task, error, Verdict.ENDED if action.own else Verdict.EXHAUSTED)
        driver.shutdown_counts.delayed_tasks += action.late
        driver.fail_returned(
            action.task, error if action.own else exhausted(action.task, driver.max_retries_of(action.task), error)
        )

    def _quarantine(self, action: act.Quarantine) -> None:
        driver = self._driver
        task: Any = action.task
        cause = driver.claim(task)
        if cause is None:
            return
        driver.remember(task, cause, Verdict.QUARANTINED)
        error = poisoned(task, action.harmed, cause)
        # Before the task ends, and its arguments are dropped.
        info = quarantined(task, *driver.call_of(task), error)
        driver.quarantine.add(task.label)
        driver.counters.note("quarantined")
        driver.log.log("error", "%s", error)
        driver.fail_returned(task, error)
        driver.quarantined(task, info)

    def _fail_queued(self, action: act.FailQueued) -> None:
        driver = self._driver
        if serves_unheard(driver.workers, driver.supervisor.table):
            return  # its report is on the way, and with that the supervisor looks again
        for task in driver.waiting():
            if action.before is None or task._queued_at <= action.before:
                error = ResourceError(f"no resource could be made for {task.label}: {action.error}")
                error.__cause__ = driver.creation_error
                self._end(task, driver.fail_queued, error)
        driver.check_drained()

    def _cancel_running(self, action: act.CancelRunning) -> None:
        # First no task starts, and then those that run are cancelled: none starts in between and is missed.
        self._driver.bar()
        self._driver.cancel_running()

    def _drop_queued(self, action: act.DropQueued) -> None:
        # In slices: between two of them the engine handles what else has happened, the deadline of this kill above all, for
        # which it has to be woken: there is no moment without something to do.
        if self._drop_some(SLICE):
            self._driver.report(ev.Wakeup())
            self._driver.soon(lambda: self.carry_out(action))

    def _hand_back(self, action: act.HandBack) -> None:
        driver = self._driver
        if driver.killed:  # meanwhile: the rest is dropped, or would be in no report
            return
        taken = driver.take_unstarted(SLICE)
        for task, level in taken:
            self._end(task, driver.hand_back, Priority(level))
        if len(taken) == SLICE:  # in slices, as above
            driver.report(ev.Wakeup())
            driver.soon(lambda: self.carry_out(action))
            return
        driver.release_tasks()
        driver.check_drained()

    def _finish(self, action: act.Finish) -> None:
        # The deadline of a kill may have come before all were dropped. Every accepted task gets its outcome all the same.
        self._driver.emptied.set()
        if self._drop_some(SLICE):
            self._driver.soon(lambda: self.carry_out(action))
        else:
            try:
                self._driver.refreshes.end()  # first: who waits for the end waits for their callbacks
                self._driver.finish()
                self._driver.refreshes.end()  # of those that were begun meanwhile
            finally:  # after the end: who subscribes from here on finds that it has come
                if (teller := self._driver.hooks.teller) is not None:
                    teller.end()

    def _drop_some(self, most: int) -> bool:
        """Drops queued tasks; returns whether there may be more."""
        driver = self._driver
        tasks = driver.take_queued(most)
        for task in tasks:
            self._end(task, driver.drop)
        return len(tasks) == most

    def _end(self, task: Any, end: Callable[..., None], *args: object) -> None:
        """Ends one of several tasks. What a notified waiter raises is logged and counted, and the next task follows."""
        try:
            end(task, *args)
        except BaseException as error:
            self._driver.log.fault(f"the end of task #{task.id}", error)

    def _interrupt(self, action: act.Interrupt) -> None:
        if self._driver.backend is not None:
            self._driver.backend.terminate_all()

    def _abandon(self, action: act.Abandon) -> None:
        driver = self._driver
        counts = driver.shutdown_counts
        if driver.backend is not None:
            try:
                driver.backend.kill_all()
            except BaseException as error:  # the tasks of these workers need their outcomes all the same
                driver.log.fault("the end of the backend's sessions", error)
        self._abandon_workers([one for seat in action.seats if (one := driver.workers.pop(seat, None)) is not None])
        hooks = {"on_create": action.refill, "check_resource": action.probe, "on_destroy": action.pool}
        left = [hook for hook, is_left in hooks.items() if is_left]
        if left and driver.backend is None:  # else its sessions have just been ended by force
            counts.abandoned.append(f"the pool of run_task (in {' or '.join(left)})")
            if action.pool:
                driver.abandon_pool()
            if action.probe:
                driver.prober.abandon()
        counts.abandoned += driver.abandon_callbacks()
        if counts.abandoned:
            driver.log.log("warning", "left behind: %s", ", ".join(counts.abandoned))

    def _abandon_workers(self, workers: list[WorkerPort]) -> None:
        driver = self._driver
        ended: list[WorkerPort] = []
        left: list[WorkerPort] = []
        for worker in workers:
            (ended if self._cut_off(worker) else left).append(worker)
        # What was ended by force elsewhere may still hang here, in a callback.
        hung = driver.hung(ended) if ended else []
        driver.shutdown_counts.cut_off += len(ended) - len(hung)
        for worker in (*left, *hung):
            try:
                self._leave_behind(worker)
            except BaseException as error:  # the others follow all the same
                driver.log.fault(f"the end of worker {worker.name}", error)

    def _cut_off(self, worker: WorkerPort) -> bool:
        try:
            is_ended = worker.cut_off()
            if is_ended:
                self._driver.left(worker)
            return is_ended
        except BaseException as error:  # the worker counts as left behind
            self._driver.log.fault(f"the forced end of worker {worker.name}", error)
            return False

    def _leave_behind(self, worker: WorkerPort) -> None:
        driver, task = self._driver, worker.shard.future
        hook = "between two tasks" if worker.state is WorkerState.READY else "in on_create or on_destroy"
        hook = f"in {worker.checking}" if worker.checking else hook
        doing = worker.overdue or hook if task is None else task.label
        driver.shutdown_counts.abandoned.append(f"{worker.name} ({doing})")
        if where := worker.where():
            driver.shutdown_counts.stacks.append(f"{worker.name} is at\n{where}")
        if task is not None:
            self._end_behind(task, "did not end when it was killed")
        for ahead in worker.ahead():
            self._end_behind(ahead, "was killed before it started")

    def _end_behind(self, task: Any, what: str) -> None:
        if self._driver.abandon(task, TaskKilled(f"{task.label} {what}: {self._driver.refusal}")):
            self._driver.shutdown_counts.add_killed()


def exhausted(task: Any, max_retries: int, cause: BaseException) -> MaxRetriesExceeded:
    """Returns the error of a task whose last permitted attempt has failed with ``cause``."""
    times = "once" if task.attempts == 1 else f"{task.attempts} times"
    text = f"max retries exceeded: {task.label} failed {times} (max_retries={max_retries})"
    error = MaxRetriesExceeded(f"{text}, last with {describe(cause)}", task.attempts)
    error.__cause__ = cause
    return error


def fault_at(event: ev.Event, error: BaseException, effects: Effects, log: GuardedLogger) -> None:
    """Logs that the supervisor has failed at an event. A task that this was about has no other way to an outcome, and ends with its
    own error."""
    log.fault(f"the supervisor, at {shown(event)},", error)  # some contain errors of the user's
    if isinstance(event, ev.AttemptFailed | ev.TaskSnoozed):
        effects.carry_out(act.FailTask(event.task, own=True))
