"""LongTasks: says of a task that has run for long where it is."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from tasker.core.ports import WorkerPort
from tasker.logs import GuardedLogger

UNKNOWN = "a place that is not known"
LEFT = "a place that it has left since"


class LongTasks:
    """Logs each attempt once that has run for more than ``limit`` seconds. For the thread or loop of the supervisor."""

    def __init__(self, limit: float, log: GuardedLogger) -> None:
        self._limit = limit
        self._log = log
        self._known: set[tuple[int, int]] = set()
        """The task and attempt of those that were logged and still run."""

    def look(self, workers: Iterable[WorkerPort], now: float) -> None:
        """Looks at what each worker runs. Costs O(workers)."""
        running: set[tuple[int, int]] = set()
        for worker in workers:
            task = worker.shard.future
            started = getattr(task, "_started_at", None)
            if started is None or now - started < self._limit:
                continue
            key = (task.id, task.attempts)
            running.add(key)
            if key not in self._known:
                worker.show(partial(self._say, worker, task, now - started))
        self._known = running

    def _say(self, worker: WorkerPort, task: Any, seconds: float, place: str) -> None:
        """``place`` may have come later, when the worker runs something else."""
        if worker.shard.future is not task:
            place = LEFT
        text = "worker %s has run %s for %.1f seconds (stuck_after=%s); it is at\n%s"
        self._log.log("warning", text, worker.name, task.label, seconds, self._limit, place or UNKNOWN)
