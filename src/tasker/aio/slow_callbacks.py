"""SlowCallbacks: logs the worker and the task of a step that held the loop for longer than ``Config.slow_callback``.

Each step of a task is timed where it is made, and logged when it is over. A step that never ends is not seen, because
nothing else in its thread runs any more; ``faulthandler`` finds it.
"""

from __future__ import annotations

from math import inf
from time import monotonic

from tasker.logs import GuardedLogger, task_name


class SlowCallbacks:
    """Checks the duration of steps for one manager."""

    def __init__(self, limit: float, log: GuardedLogger) -> None:
        self.limit: float = limit or inf
        self._log = log

    def check(self, begun: float, worker: str, number: int, task: object) -> None:
        """Logs a step that began at ``begun`` (``monotonic``) and has just ended, if it took too long."""
        took = monotonic() - begun
        if took > self.limit:
            self.report(took, worker, number, task)

    def report(self, took: float, worker: str, number: int, task: object) -> None:
        """Logs a step that took ``took`` seconds."""
        text = (
            "the event loop was held for %.2f s (slow_callback=%s) by task #%d %s in worker %s: nothing else could run"
        )
        self._log.log("warning", text, took, self.limit, number, task_name(task), worker)
