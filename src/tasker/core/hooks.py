"""Calls of user code that must not harm the pool: each is guarded, a fault is logged with its traceback and
counted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tasker.attempt import Quarantined
from tasker.config import Config
from tasker.control.attempts import Verdict, health_of
from tasker.control.health import Health
from tasker.control.retries import RetryPolicy
from tasker.core.outcomes import starts_once
from tasker.logs import GuardedLogger
from tasker.metrics.protocol import TaskLifecycleTimestamps

if TYPE_CHECKING:  # loaded with the first subscription
    from tasker.core.teller import Teller


class Hooks:
    """``check_health``, ``on_return``, ``on_quarantine`` and the collector of one manager. Thread-safe as far as they are."""

    def __init__(self, config: Config[Any], log: GuardedLogger) -> None:
        self._check_health = config.check_health
        self._on_return = config.on_return
        self._retry = config.retry
        self._forked = False
        self._on_quarantine = config.on_quarantine
        self._collector = config.collector
        self._log = log
        self.teller: Teller | None = None
        """Tells subscribers of events; None while there are none."""
        self.telling: threading.RLock = threading.RLock()
        """Held while a subscriber is added, or while those that are gone are removed."""

    def health(self, error: BaseException) -> Health:
        """What an error says of the resource. If ``check_health`` itself raises, or returns what means nothing, the error is
        the task's own fault."""
        if self._check_health is None:
            return Health.OK
        try:
            return health_of(self._check_health(error))
        except BaseException as fault:
            self._log.fault("check_health", fault)
            return Health.OK

    def retryable(
        self,
        error: BaseException,
        verdict: Verdict | None,
        *,
        once: bool,
        cancelled: bool,
        policy: RetryPolicy | None = None,
    ) -> bool:
        """Whether a task may be tried again after an error of its own. ``verdict`` is that of ``after_error``: where it is one,
        the library itself has raised the error. ``policy``: that of the task, if it has one. If ``RetryPolicy.retry_on`` itself
        raises, it may not."""
        policy = policy or self._retry
        if policy is None or verdict is not None or cancelled or starts_once(error, once=once):
            return False
        try:
            return not self._forked and policy.wants(error)
        except BaseException as fault:
            self._log.fault("retry_on", fault)
            return False

    def reset(self, resource: Any) -> bool:
        """Calls ``on_return`` between two tasks. Returns False if it has raised: then the resource is to be replaced."""
        if self._on_return is None:
            return True
        try:
            self._on_return(resource)
        except BaseException as fault:
            self._log.fault("on_return", fault)
            return False
        return True

    def quarantined(self, info: Quarantined) -> object:
        """Calls ``on_quarantine``; returns what it returns."""
        if self._on_quarantine is None:
            return None
        try:
            return self._on_quarantine(info)
        except BaseException as fault:
            self._log.fault("on_quarantine", fault)
            return None

    def arrival(self) -> None:
        """A task was accepted."""
        if self._collector is not None:
            self._guarded(self._collector.record_arrival)

    def completion(self, stamps: TaskLifecycleTimestamps) -> None:
        """A task ended with a result."""
        if self._collector is not None:
            self._guarded(self._collector.record_completion, stamps)

    def failure(
        self, stamps: TaskLifecycleTimestamps, task: Any, error: BaseException, *, cancelled: bool = False
    ) -> None:
        """A task ended with an error; not if it was cancelled. ``task``: its future, or None for one of ``run_task``."""
        if cancelled:
            return
        if self._collector is not None:
            self._guarded(self._collector.record_failure, stamps)
        if (teller := self.teller) is not None:
            teller.failed(task, error, stamps.finished_at)

    def retry(self) -> None:
        """A task is going to be started again."""
        if self._collector is not None:
            self._guarded(self._collector.record_retry)

    def forked(self) -> None:
        """In a forked child: the numbers and the resources are the parent's, and nothing here would try a task again."""
        if self.teller is not None:
            self.teller.close()
        self._collector = self._on_return = self.teller = None
        self._forked = True
        self.telling = threading.RLock()  # may be held by a thread that does not exist here

    def _guarded(self, hook: Callable[..., object], *args: object) -> None:
        try:
            hook(*args)
        except BaseException as error:
            self._log.fault(f"collector.{getattr(hook, '__name__', 'method')}", error)
