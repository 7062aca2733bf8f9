"""ThreadPoolProber: checks idle resources of ``run_task``'s pool in threads that hold up neither the supervisor nor a caller."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from tasker.control import events as ev
from tasker.core.pool_probing import PoolProbe, PoolProber, ProbingPoolEngine
from tasker.core.probing import fault_of, why_unfit
from tasker.logs import describe

from .resource_pool import ResourcePool
from .resources import ResourceHandle

_WHAT = "check_resource for the pool of run_task"


class ThreadPoolProber(PoolProber[ResourceHandle]):
    """See ``PoolProber``. ``start`` starts a thread for user code, and ``forget`` has nothing wait for one."""

    _pool: ResourcePool

    def __init__(
        self,
        engine: ProbingPoolEngine,
        pool: ResourcePool,
        start: Callable[[Callable[[], None], str, str], threading.Thread],
        forget: Callable[[threading.Thread | None], None],
    ) -> None:
        super().__init__(engine, pool)
        self._start = start
        self._forget = forget
        self._thread: threading.Thread | None = None

    def abandon(self) -> None:
        """See ``PoolProber``."""
        self._forget(self._thread)

    def _begin(self, probe: PoolProbe[ResourceHandle]) -> None:
        try:
            self._thread = self._start(lambda: self._run(probe), "probe", _WHAT)
        except Exception as error:  # no more threads
            self._engine.log.log("warning", "no idle resource of run_task was checked: %s", describe(error))
            self._settle(probe.handle, serves_on=True)
            self._postpone()

    def _run(self, probe: PoolProbe[ResourceHandle]) -> None:
        try:
            handle = probe.handle
            self._settle(handle, serves_on=self._serves_on(probe, self._why_unfit(handle)))
        finally:
            self._over()

    def _why_unfit(self, handle: ResourceHandle) -> str | None:
        check: Any = self._engine.config.check_resource
        if handle.remote is None:
            return why_unfit(lambda: check(handle.resource))
        try:
            return handle.remote.check()
        except BaseException as error:  # no memory, say
            return fault_of(error)

    def _settle(self, handle: ResourceHandle, *, serves_on: bool | None) -> None:
        """Puts a resource back, or destroys it. None: it was given up, and the pool does not lack it."""
        if not (serves_on and self._pool.put_back(handle)):
            lacks = serves_on is not None and not self._pool.closed
            try:
                self._pool.discard(handle)
            finally:
                if lacks:
                    self._engine.report(ev.PoolResourceLost())

    def _interrupt(self, handle: ResourceHandle) -> None:
        if handle.remote is not None:
            handle.remote.kill()
