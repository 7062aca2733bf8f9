"""Upkeep: what a worker does with its resource between two tasks.

It stands between the worker's loop and the tokens of the queue, and only where something is to be done there: so a pool
without these options pays nothing for them.
"""

from __future__ import annotations

import queue
from time import monotonic
from typing import Any

from tasker.control import events as ev
from tasker.control.disuse import Disuse
from tasker.control.lifecycle import Door
from tasker.core.probing import disuse_of, interval_of, passes, why_unfit

from .ports import HostedWorker
from .resources import ResourceHandle


class ResourceWorn(Exception):
    """The worker has to stop serving, and has reported why."""


class Upkeep:
    """For the thread of one worker."""

    def __init__(self, worker: HostedWorker, handle: ResourceHandle) -> None:
        self._worker = worker
        self._handle = handle
        self._get = worker.engine.queue.tokens.get
        self._taken = worker.shard.taken
        self._disuse = disuse_of(worker.engine.config, monotonic())
        self._interval = interval_of(worker.engine.config)

    @staticmethod
    def of(worker: HostedWorker, handle: ResourceHandle) -> Upkeep | None:
        """Returns what is to be done with a resource, or None if that is nothing."""
        config = worker.engine.config
        if handle.wear is None and config.on_return is None and config.check_resource is None:
            return None
        return Upkeep(worker, handle)

    def next_token(self) -> object:
        """Waits for the next token, as the queue's ``get`` does. Raises ``ResourceWorn``."""
        self.settle()
        token = self._get() if self._interval is None else self._next_or_check(self._interval)
        if token is None and self._worn():  # too old by now: this task is for another worker
            self._worker.engine.queue.tokens.put(token)
            self._end_worn()
        if token is None and self._disuse is not None and self._disuse.due(monotonic()):
            self._check(self._disuse)
            if self._worker.engine.door is Door.PAUSED:  # meanwhile, so this worker has a HOLD to take first
                self._worker.engine.queue.tokens.put(token)
                return self.next_token()
        return token

    def _next_or_check(self, interval: float) -> object:
        """The same, and has the resource checked now and then meanwhile."""
        assert self._disuse is not None
        while True:
            try:
                return self._get(True, interval)
            except queue.Empty:
                self._check(self._disuse)
                if self._worker.outdated:  # meanwhile, and not called for that
                    self._end_worn()

    def _check(self, disuse: Disuse) -> None:
        """Has the resource checked; the worker may hold the token of a task. Raises ``ResourceWorn``."""
        worker, config, resource = self._worker, self._worker.engine.config, self._handle.resource
        check: Any = config.check_resource
        worker.tends, fit = True, False
        try:
            fit = worker.probe(lambda: passes(worker.engine, worker.name, why_unfit(lambda: check(resource))))
        finally:
            if not fit:
                # For another worker; the task is in the queue. Without one, this is a token too many, which does no harm.
                worker.engine.queue.tokens.put(None)
        if not fit:
            raise ResourceWorn
        worker.tends = False
        disuse.used = monotonic()

    def settle(self) -> None:
        """Sees to the resource after a task. Raises ``ResourceWorn``."""
        taken = self._worker.shard.taken
        if taken != self._taken:  # not where the last one was skipped
            self._taken = taken
            self._after_task()
            if self._disuse is not None:
                self._disuse.used = monotonic()

    def _after_task(self) -> None:
        worker, wear = self._worker, self._handle.wear
        worker.tends = True  # for good, if it has to stop serving
        if worker.engine.config.return_timeout is not None:
            if not worker.probe(self._reset, "on_return"):
                raise ResourceWorn
        elif not self._reset():
            worker.engine.report(ev.WorkerUnhealthy(worker.seat))
            raise ResourceWorn
        if wear is not None:
            wear.served += 1
        worker.tends = False  # first, see ``Renewals.call``
        if self._worn():
            self._end_worn()

    def _reset(self) -> bool:
        worker = self._worker
        if worker.engine.hooks.reset(self._handle.resource):
            return True
        worker.engine.log.log("warning", "worker %s replaces its resource: on_return failed", worker.name)
        return False

    def _worn(self) -> bool:
        wear = self._handle.wear
        return self._worker.outdated or (wear is not None and wear.worn(monotonic()))

    def _end_worn(self) -> None:
        self._worker.engine.report(ev.WorkerWorn(self._worker.seat))
        raise ResourceWorn
