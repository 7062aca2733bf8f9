"""Upkeep: what a worker does with its resource between two tasks.

It stands between the worker's loop and the tokens of the queue, and only where something is to be done there: so a pool
without these options pays nothing for them.
"""

from __future__ import annotations

from time import monotonic

from tasker.control import events as ev

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

    @staticmethod
    def of(worker: HostedWorker, handle: ResourceHandle) -> Upkeep | None:
        """Returns what is to be done with a resource, or None if that is nothing."""
        if handle.wear is None and worker.engine.config.on_return is None:
            return None
        return Upkeep(worker, handle)

    def next_token(self) -> object:
        """Waits for the next token, as the queue's ``get`` does. Raises ``ResourceWorn``."""
        self.settle()
        token = self._get()
        if token is None and self._worn():  # too old by now: this task is for another worker
            self._worker.engine.queue.tokens.put(token)
            self._end_worn()
        return token

    def settle(self) -> None:
        """Sees to the resource after a task. Raises ``ResourceWorn``."""
        taken = self._worker.shard.taken
        if taken != self._taken:  # not where the last one was skipped
            self._taken = taken
            self._after_task()

    def _after_task(self) -> None:
        worker, wear = self._worker, self._handle.wear
        if not worker.engine.hooks.reset(self._handle.resource):
            worker.engine.log.log("warning", "worker %s replaces its resource: on_return failed", worker.name)
            worker.engine.report(ev.WorkerUnhealthy(worker.seat))
            raise ResourceWorn
        if wear is not None:
            wear.served += 1
        if self._worn():
            self._end_worn()

    def _worn(self) -> bool:
        wear = self._handle.wear
        return self._worker.outdated or (wear is not None and wear.worn(monotonic()))

    def _end_worn(self) -> None:
        self._worker.engine.report(ev.WorkerWorn(self._worker.seat))
        raise ResourceWorn
