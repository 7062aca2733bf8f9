"""Who holds the loop: names the worker and the task whose step took longer than ``Config.slow_callback``.

Each step of a task is timed where it is made, so the culprit is known and not guessed; it is logged when the step is
over. A step that never ends is not seen here (nothing in its thread runs any more): that is what ``faulthandler`` is
for.
"""

from __future__ import annotations

from math import inf
from time import monotonic

from tasker.logs import GuardedLogger, task_name


class SlowCallbacks:
    """The watch of one manager."""

    def __init__(self, limit: float, log: GuardedLogger) -> None:
        self.limit: float = limit or inf
        self._log = log

    def check(self, begun: float, worker: str, number: int, task: object) -> None:
        """A step that began then is over."""
        took = monotonic() - begun
        if took > self.limit:
            self.report(took, worker, number, task)

    def report(self, took: float, worker: str, number: int, task: object) -> None:
        """Says so."""
        text = (
            "the event loop was held for %.2f s (slow_callback=%s) by task #%d %s in worker %s: nothing else could run"
        )
        self._log.log("warning", text, took, self.limit, number, task_name(task), worker)
