"""PoolKeeper: refills the pool of ``run_task`` and closes it, in threads that hold up neither the supervisor nor a caller
with a limit."""

from __future__ import annotations

import threading

from tasker.control import events as ev
from tasker.core.ports import Reports
from tasker.logs import describe

from .helpers import HelperThreads, seconds_until
from .resource_pool import ResourcePool


class PoolKeeper:
    """Carries out what the supervisor decides about the pool, and what threads that wait for the end have to do."""

    def __init__(self, pool: ResourcePool, reports: Reports, helpers: HelperThreads) -> None:
        self._pool = pool
        self._reports = reports
        self._helpers = helpers
        self.waiter_closes: bool = False
        """Whether a thread that waits for the end without a limit closes the pool; otherwise a thread of its own does.
        The waiting thread most often made the pool's resources, and some insist on that thread."""
        self._thread: threading.Thread | None = None
        self._abandoned = False
        self._to_abandon = [True]
        """Emptied by the thread with a limit that gives the pool up: of several, one can."""

    # -- in the supervisor's thread -------------------------------------------------------------------------------

    def refill(self) -> None:
        """Makes one resource, and reports that."""
        # In a thread of its own: ``on_create`` may take long, and the supervisor must not wait for it.
        try:
            self._helpers.start(self._refill, "refill", "on_create for the pool of run_task")
        except Exception as error:  # no more threads
            self._reports.report(ev.PoolRefillFailed(describe(error)))

    def _refill(self) -> None:
        try:
            self._pool.refill()
        except BaseException as error:
            self._reports.report(ev.PoolRefillFailed(describe(error)))
        else:
            self._reports.report(ev.PoolRefilled())

    def renew(self) -> None:
        """Replaces one idle outdated resource, and reports that."""
        try:
            self._helpers.start(self._renew, "renew", "on_create for the pool of run_task")
        except Exception as error:  # no more threads
            self._reports.report(ev.PoolRefillFailed(describe(error)))

    def _renew(self) -> None:
        try:
            renewed = self._pool.renew_idle()
        except BaseException as error:
            self._reports.report(ev.PoolRefillFailed(describe(error)))
        else:
            self._reports.report(renewed)

    def close(self, *, killing: bool) -> None:
        """Begins to destroy the idle resources, and reports the end of that, unless a waiting thread sees to it."""
        # A kill has a deadline, at which it names what has not ended; what the waiting thread does could not be given up.
        if self.waiter_closes and not killing:
            self._reports.report(ev.PoolClosed())
        else:
            self._close_apart()

    def _close_apart(self) -> None:
        # In a thread of its own: ``on_destroy`` may hang, and the supervisor keeps the deadline.
        try:
            self._thread = self._helpers.start(self._close, "pool", "on_destroy for the pool of run_task")
        except Exception:  # no more threads
            self._close()

    def _close(self) -> None:
        try:
            self._pool.close()
        finally:
            self._reports.report(ev.PoolClosed())

    def abandon(self) -> None:
        """Stops waiting for what ``close`` has begun."""
        self._abandoned = True
        self._helpers.forget(self._thread)

    def ended(self) -> None:
        """Closes what the supervisor has never closed: a pool without resources, or one whose closing thread was
        interrupted."""
        if not self.waiter_closes and not self._pool.closed:
            self._close_apart()

    # -- in a thread that waits for the end -----------------------------------------------------------------------

    def complete(self, end: float | None) -> bool:
        """Closes the pool, or waits up to ``end`` (None: without a limit) until another thread has closed it. Returns False
        if the caller, the first for whom that lasts too long, has to abandon it."""
        if self._abandoned or self._pool.emptied:
            return True
        if end is None:
            self._pool.close()
            return True
        # Another thread closes it, or was interrupted while it did. A thread with a limit must not call ``on_destroy``
        # itself, which may hang.
        self._close_apart()
        if self._thread is not None:
            self._thread.join(seconds_until(end))
        try:
            return self._pool.emptied or not self._to_abandon.pop()
        except IndexError:
            return True
