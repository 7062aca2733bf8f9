"""The main thread's loop: writes what was completed, shows progress, answers signals."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from tasker import ResourceError, StopReport, TaskCancelled, TaskFuture, TaskStats
from tasker.cli import exit_codes

from . import records
from .errors_as_data import describe
from .feeds import TICK_S, Completion
from .items import Item
from .jobs import MisfitError
from .output import OutputError
from .run_parts import RunEnd, RunParts
from .run_stats import ProgressSnapshot, RateMeter, RunStats
from .stop_signals import StopSignals
from .submitter import reading_error
from .task_wrapper import REFUSED, ItemResult

KILL_GRACE_S = 2.0
SUBMITTER_GRACE_S = 0.5
AT_ONCE = 256
"""Lines that are written at once."""

Result = tuple[Item, bytes, float, float]
"""What a lane has done: an item, its line, and the seconds that it waited and ran."""


class JobRunner:
    """One run, from the first item to the last line."""

    def __init__(self, parts: RunParts, run_stats: RunStats, signals: StopSignals) -> None:
        """``signals``: received already, and closed at the end of the run."""
        self._parts = parts
        self._run_stats = run_stats
        self._started = time.monotonic()
        self._rate = RateMeter(self._started)
        self._next_tick = self._next_look = self._started
        self._kill_at: float | None = None
        self._killed: StopReport | None = None
        self._error_message: str | None = None
        self._exit_code = exit_codes.DONE
        self._signals = signals
        signals.kill = self._kill_now

    def run(self) -> RunEnd:
        """Runs the job to its end. When this returns, everything is written and the manager has ended."""
        try:
            return self._run()
        finally:
            self._parts.feed.dispose()

    def _run(self) -> RunEnd:
        self._parts.reporter.start()
        self._parts.submitter.start()
        self._guarded(self._loop)
        last = self._snapshot(time.monotonic())  # before the manager ends: then there are no workers to count
        report = self._end_manager()
        self._parts.reporter.close(last)
        self._signals.close()
        return self._run_end(self._snapshot(time.monotonic()), report)

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except OutputError as error:
            # Results can no longer be written, so there is no point in letting running items finish.
            if error.broken_pipe and self._parts.output.name == "standard output":
                self._stop(None, exit_codes.BROKEN_PIPE)
            else:
                self._stop(str(error), exit_codes.FAILED)
            self._killed = self._parts.manager.kill(KILL_GRACE_S)

    def _loop(self) -> None:
        while not self._is_over():
            self._take(min(self._next_tick, self._next_look) - time.monotonic())
            self._look()
            self._answer_signals()
            self._watch_submitter()
            self._tick()
        # Once more: `finished` may have been seen in `_is_over` after the loop had last looked for an error.
        self._watch_submitter()
        if self._parts.order is not None:
            self._complete(self._parts.order.rest())

    def _look(self) -> None:
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + self._parts.feed.look()

    def _is_over(self) -> bool:
        if self._killed is not None:
            return True
        in_flight = self._parts.in_flight
        if in_flight.gate.closed:
            # Again and again: the submitter may have added one more item meanwhile.
            in_flight.release(self._parts.feed.close())
            return in_flight.holds(len(self._parts.order or ()))
        # In this order: the submitter adds its last item before it has finished, so no item can be missed.
        return self._parts.submitter.finished and in_flight.holds(0)

    # Completed items.

    def _take(self, timeout: float) -> bool:
        """Takes what was completed, and writes what is due. Returns whether there was anything."""
        entries = self._parts.in_flight.take(timeout)
        order = self._parts.order
        if order is None:
            self._complete(entries)
            return bool(entries)
        for entry in entries:
            # Lanes take no further item until this is decided, not even one in front of it.
            if isinstance(entry, records.Record):
                order.has_results = order.has_results or entry.is_done
                self._check_fit(entry)
            if self._parts.halt is not None and not self._is_creation(entry):
                order.count(entry)
                self._judge(order.failed, order.finished)
        self._complete(order.sort(entries))
        return bool(entries)

    def _complete(self, entries: Sequence[Any]) -> None:
        """Writes what was completed, in its order: results from lanes, many at a time; records; and ends of tasks."""
        start = 0
        for place, entry in enumerate(entries):
            if type(entry) is tuple:
                continue
            self._write_results(entries[start:place])
            start = place + 1
            if entry is not None:
                self._complete_one(entry)
        self._write_results(entries[start:])

    def _write_results(self, results: Sequence[Result]) -> None:
        """Writes results from lanes."""
        for start in range(0, len(results), AT_ONCE):
            items, lines, waits, executions = zip(*results[start : start + AT_ONCE], strict=True)
            written = len(items)
            try:
                self._parts.output.write(b"".join(lines))
            except OutputError as error:
                written = error.written
                raise
            finally:
                self._run_stats.add_done(waits[:written], executions[:written])
            ledger = self._parts.ledger
            if ledger is not None:
                for item in items:
                    ledger.add_line(item.index, item.fingerprint, True)
            # Only now: a slot bounds the items that are not written yet.
            self._parts.in_flight.release(written)
            self._check_halt(written)

    def _complete_one(self, entry: records.Record | Completion) -> None:
        if isinstance(entry, Completion):
            item, record = entry.ticket.item, self._record_of(entry)
        else:
            item, record = entry.item, entry
        if record is not None:
            self._write(record)
            self._run_stats.add(record)
            self._check_fit(record)
            self._check_halt()
        if item is not None:
            self._parts.in_flight.release(1)

    def _write(self, record: records.Record) -> None:
        parts, item = self._parts, record.item
        parts.output.write(record.line(parts.version))
        if parts.ledger is not None:
            parts.ledger.add_line(item.index, item.fingerprint, record.is_done)
        if record.error is not None and parts.failed is not None:
            parts.failed.write(item)

    def _record_of(self, completion: Completion) -> records.Record | None:
        ticket, future = completion
        if self._was_not_run(future):
            return None
        error = None if future.cancelled() else future.exception()
        if isinstance(error, ResourceError) and (ticket.item is None or self._is_creation(completion)):
            self._give_up(error)
            return None
        if ticket.item is None:
            self._stop(f"items cannot be run: {error!r}", exit_codes.FAILED)
            return None
        return records.executed(ticket.item, ticket, future)

    def _is_creation(self, entry: object) -> bool:
        """Returns whether a task has ended with the ResourceError of the manager, and not with one that it has raised itself."""
        if not isinstance(entry, Completion) or not isinstance(records.error_of(entry.future), ResourceError):
            return False
        return entry.future.attempts == 0 or self._parts.manager.stats().failing_creations > 0

    def _was_not_run(self, future: TaskFuture[ItemResult]) -> bool:
        """Returns whether the run was stopped before the item ran. It gets no line then, so --resume runs it."""
        if not self._parts.in_flight.gate.closed:
            return False
        if future.cancelled():
            return True
        error = future.exception()
        if error is not None:
            # Only after a kill: a task may raise TaskCancelled by itself, which is a failure like any other.
            return self._killed is not None and isinstance(error, TaskCancelled)
        return future.result() is REFUSED

    def _give_up(self, error: ResourceError) -> None:
        """Stops the run because no resource can be made: every further item would wait in vain."""
        cause = describe(error.__cause__ or error)
        limit = f"{self._parts.ready_timeout:g} s (--ready-timeout)"
        self._stop(f"no resource could be made for {limit}: {cause.type}: {cause.message}", exit_codes.FAILED)

    def _check_fit(self, record: records.Record) -> None:
        """Stops the run if its first result is of a type that cannot be written: the others would be no better."""
        # Once an item is done, the job has shown that it can: then the failure is that of one item.
        gate = self._parts.in_flight.gate
        if not record.is_misfit or gate.closed:
            return
        if self._run_stats.done or (self._parts.order is not None and self._parts.order.has_results):
            gate.shut = False
            self._parts.feed.reopen()
            return
        assert record.error is not None
        message = f"stopped at the first result: item {record.item.index}: {record.error.message}"
        self._stop(message, exit_codes.USAGE)
        if running := self._parts.manager.stats().running_tasks:
            self._parts.reporter.note(f"{message}; finishing {running} running items; two signals kill them")

    def _check_halt(self, results: int = 0) -> None:
        """Stops the run if too many items have failed. ``results``: so many that have just been completed did not fail."""
        if self._parts.halt is not None and self._parts.order is None:  # else it has been judged, see `_take`
            self._judge(self._run_stats.failed, self._parts.halt.judged_at(self._run_stats.finished, results))

    def _judge(self, failed: int, finished: int) -> None:
        halt = self._parts.halt
        if halt is not None and halt.is_reached(failed, finished):
            self._stop(f"stopped: {failed:,} of {finished:,} items failed (--halt {halt})", exit_codes.FAILED)

    # Other reasons to end the run.

    def _answer_signals(self) -> None:
        if self._signals.signum is None:
            return
        if not self._parts.in_flight.gate.closed:
            self._announce_stop()
            self._stop(None, self._signals.exit_code or exit_codes.FAILED)
        late = self._kill_at is not None and time.monotonic() >= self._kill_at
        if (self._signals.count > 1 or late) and self._killed is None:
            # StopSignals calls `kill` too, in case this thread is blocked. Here it is called for its report.
            self._kill()

    def _announce_stop(self) -> None:
        name, running = self._signals.name, self._parts.manager.stats().running_tasks
        self._parts.reporter.note(f"{name}: finishing {running} running items; a second signal kills them")

    def _stop(self, error_message: str | None, exit_code: int) -> None:
        """Stops submitting. Only the first reason is reported."""
        if self._parts.in_flight.gate.closed:
            return
        self._error_message, self._exit_code = error_message, exit_code
        self._close()
        if self._parts.stop_timeout is not None:
            self._kill_at = time.monotonic() + self._parts.stop_timeout

    def _kill_now(self) -> StopReport:
        # First the gate, which the main thread cannot close while it is blocked.
        self._parts.in_flight.gate.shut = True
        return self._parts.manager.kill(KILL_GRACE_S)

    def _kill(self) -> None:
        self._killed = self._kill_now()
        # Items that were completed before the kill have a result, and it is written.
        while self._take(0):
            pass

    def _watch_submitter(self) -> None:
        error = self._parts.submitter.error
        if error is None or self._parts.in_flight.gate.closed:
            return
        is_usage = isinstance(error, exit_codes.UsageError)
        self._stop(reading_error(error), exit_codes.USAGE if is_usage else exit_codes.FAILED)

    def _close(self) -> None:
        self._parts.in_flight.close()
        self._parts.in_flight.release(self._parts.feed.close())

    def _end_manager(self) -> StopReport:
        if self._parts.in_flight.gate.closed:
            # Closed twice: the submitter may have submitted one more item while `close` was going through the futures.
            self._parts.submitter.join(SUBMITTER_GRACE_S)
            self._close()
        if self._killed is not None:
            return self._killed
        manager = self._parts.manager
        if self._parts.in_flight.gate.closed and manager.stats().starting_workers:
            # Nothing runs any more. A resource that is still being made is not needed, and `stop` would wait for it,
            # possibly for ever.
            return manager.kill(KILL_GRACE_S)
        return manager.stop(self._parts.stop_timeout)

    # Progress and the end.

    def _tick(self) -> None:
        now = time.monotonic()
        if now < self._next_tick:
            return
        self._next_tick = now + TICK_S
        self._parts.in_flight.top_up()
        self._parts.output.flush()
        if self._parts.failed is not None:
            self._parts.failed.flush()
        snapshot = self._snapshot(now)
        self._parts.reporter.update(snapshot)
        kind, _, message = (snapshot.stats.creation_error or "").partition(": ")
        if kind == MisfitError.__name__:  # every further attempt would fail in the same way
            self._stop(message, exit_codes.USAGE)

    def _snapshot(self, now: float) -> ProgressSnapshot:
        stats: TaskStats = self._parts.manager.stats()
        run_stats = self._run_stats
        run_stats.most_workers = max(run_stats.most_workers, stats.base_workers + stats.burst_workers)
        return ProgressSnapshot(
            elapsed=now - self._started,
            done=run_stats.done,
            failed=run_stats.failed,
            skipped=self._parts.submitter.skipped,
            total=self._parts.inputs.estimated_total(),
            rate=self._rate.update(now, run_stats.finished),
            stats=stats,
            stopping=self._parts.in_flight.gate.closed,
            queued=self._parts.feed.waiting,
        )

    def _run_end(self, snapshot: ProgressSnapshot, report: StopReport) -> RunEnd:
        # An error that stopped the run takes precedence over a signal that came later.
        code = self._signals.exit_code if self._error_message is None else None
        if code is None:
            code = self._exit_code
        if code == exit_codes.DONE and self._run_stats.failed:
            code = exit_codes.FAILED
        return RunEnd(
            exit_code=code,
            error_message=self._error_message,
            snapshot=snapshot,
            interrupted_by=self._signals.name,
            abandoned=report.abandoned,
            total=self._parts.inputs.items_read if self._parts.inputs.at_end and self._parts.inputs.is_whole else None,
            is_orderly=self._killed is None,
        )
