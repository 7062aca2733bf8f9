"""InlineMaker: makes and destroys the resources of an inline manager, whose lifetime is counted on its clock."""

from __future__ import annotations

from typing import Any

from tasker.config import Config
from tasker.control.wear import Wear
from tasker.core.counters import Counters
from tasker.logs import GuardedLogger
from tasker.threads.resources import Maker, ResourceHandle
from tasker.worker_info import WorkerInfo

from .clock import ManualClock
from .inline_mark import depth


class ClockedWear(Wear):
    """Counts on the clock of the manager, whatever the caller's clock is; without the jitter."""

    __slots__ = ("_clock",)

    def __init__(self, most: int | None, lifetime: float | None, clock: ManualClock) -> None:
        super().__init__(most, None if lifetime is None else clock.now() + lifetime)
        self._clock = clock

    def worn(self, now: float) -> bool:
        """See ``Wear``."""
        return super().worn(self._clock.now())


class InlineMaker(Maker):
    """Calls the functions of the configuration, and marks that nothing else can run meanwhile."""

    def __init__(self, config: Config[Any], counters: Counters, log: GuardedLogger, clock: ManualClock) -> None:
        super().__init__(config, counters, log)
        self._clock = clock
        self._now = clock.now

    def make(self, worker: WorkerInfo | None = None) -> ResourceHandle:
        """See ``ResourceMaker``."""
        depth.inside += 1
        try:
            handle = super().make(worker)
        finally:
            depth.inside -= 1
        handle.used = self._clock.now()
        if handle.wear is not None:
            config = self._config
            handle.wear = ClockedWear(config.max_tasks_per_resource, config.max_resource_lifetime, self._clock)
        return handle

    def end(self, handle: ResourceHandle) -> None:
        """See ``ResourceMaker``."""
        depth.inside += 1
        try:
            super().end(handle)
        finally:
            depth.inside -= 1
