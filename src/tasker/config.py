"""Config: every option, its default, its unit and its check."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Generic, TypedDict, TypeVar, Unpack, overload

from .context import Context
from .control.scaling import ScalingPolicy
from .errors import ConfigError
from .logs import Logger
from .metrics.protocol import MetricsCollector
from .options import Backend

R = TypeVar("R")

_default_logger = logging.getLogger("tasker")
_default_logger.addHandler(logging.NullHandler())


class ConfigOptions(TypedDict, total=False):
    """The options that have nothing to do with the type of the resource, for type checkers; a test compares them with
    the fields of ``Config``."""

    ctx: Context | None
    check_health: Callable[[BaseException], bool] | Callable[[BaseException], Awaitable[bool]] | None
    max_worker_count: int | None
    burst_interval: float
    max_retries: int
    resource_pool_size: int | None
    max_temporary_resources: int | None
    max_queue_size: int | None
    logger: Logger
    collector: MetricsCollector | None
    name: str
    creation_timeout: float | None
    creation_backoff: float
    cancel_grace: float
    rate_window: float
    target_wait: float
    scaling: ScalingPolicy | None
    sync_in_thread: bool
    slow_callback: float
    backend: Backend | None


@dataclass(frozen=True)
class Config(Generic[R]):
    """The options of a manager. All are keyword-only; all durations are float seconds.

    A wrong value raises ``ConfigError`` that names the field, the value and what is allowed.
    """

    _: KW_ONLY
    worker_count: int
    """Base workers, always kept alive. Positive."""
    on_create: Callable[[], R] | Callable[[], Awaitable[R]] | None = None
    """Makes a resource, in the thread of the worker that will own it. Required, unless ``resource`` is given. May be
    asynchronous for ``AsyncTaskManager``, as ``on_destroy`` and ``check_health``."""
    on_destroy: Callable[[R], object] | None = None
    """Ends a resource, in the thread that made it; called exactly once for each."""
    resource: Callable[[], AbstractContextManager[R]] | Callable[[], AbstractAsyncContextManager[R]] | None = None
    """A context-manager factory, instead of ``on_create`` and ``on_destroy``: entered to make a resource, left to
    end it, both in the worker's thread. May be asynchronous for ``AsyncTaskManager``."""
    ctx: Context | None = None
    """The parent context: when it is cancelled or its deadline passes, the manager stops gracefully. Tasks see its
    values."""
    check_health: Callable[[BaseException], bool] | Callable[[BaseException], Awaitable[bool]] | None = None
    """Asked with the error of a failed task: False blames the resource, which is then replaced and the task retried.
    None: every error is the task's own fault."""
    max_worker_count: int | None = None
    """Base and burst workers together, those that start or end included. None: twice ``worker_count``."""
    burst_interval: float = 0.1
    """Seconds between two scaling decisions; 0 turns scaling off."""
    max_retries: int = 3
    """How often a task is started again after an unhealthy error; 0 means never."""
    resource_pool_size: int | None = None
    """Resources kept ready for ``run_task``. None: ``worker_count``; 0: none, each call makes its own."""
    max_temporary_resources: int | None = None
    """How many resources ``run_task`` may make beyond its pool at one time. None: as many as there are callers."""
    max_queue_size: int | None = None
    """How many accepted tasks may wait to be started. None: no bound."""
    logger: Logger = _default_logger
    """Where the manager logs; a ``logging.Logger``, a ``LoggerAdapter`` and a structlog logger fit as they are."""
    collector: MetricsCollector | None = None
    """Receives the metrics instead of the built-in collector."""
    name: str = "tasker"
    """Names the manager in logs and its threads, ``<name>-<n>``."""
    creation_timeout: float | None = None
    """How many seconds a task waits, while no worker can be made, before it fails with ``ResourceError``. None: it
    waits until one can."""
    creation_backoff: float = 0.1
    """Seconds to wait after a first failed creation; doubled for each further one, with jitter, up to 30 s."""
    cancel_grace: float = 5.0
    """Seconds that running tasks are given to notice a kill that names no timeout of its own."""
    rate_window: float = 10.0
    """Seconds over which arrival and completion rates are taken."""
    target_wait: float = 0.1
    """Seconds for which hardly a task (by default one in a hundred) should wait to be started: workers are added where
    more would have to wait longer."""
    scaling: ScalingPolicy | None = None
    """Decides the number of workers. None: ``RatePolicy()``."""
    sync_in_thread: bool = True
    """For ``AsyncTaskManager``: whether tasks, ``on_create`` and ``on_destroy`` that are not coroutine functions run in
    a thread of their worker's, so that they may block; False: in the event loop, which saves the way there and back."""
    slow_callback: float = 0.1
    """For ``AsyncTaskManager``: after how many seconds in which a task held the event loop that is logged, with its
    name; 0: never."""
    backend: Backend | None = None
    """Where the resources live. None: in this process; ``ProcessBackend()``: each in a child process of its own."""

    if TYPE_CHECKING:  # so that R is the resource also where it has to be awaited; dataclass makes the real one

        @overload
        def __init__(
            self,
            *,
            worker_count: int,
            on_create: Callable[[], Coroutine[Any, Any, R]],
            on_destroy: Callable[[R], object] | None = None,
            **options: Unpack[ConfigOptions],
        ) -> None: ...
        @overload
        def __init__(
            self,
            *,
            worker_count: int,
            on_create: Callable[[], R] | None = None,
            on_destroy: Callable[[R], object] | None = None,
            **options: Unpack[ConfigOptions],
        ) -> None: ...
        @overload
        def __init__(
            self,
            *,
            worker_count: int,
            resource: Callable[[], AbstractAsyncContextManager[R, Any]],
            **options: Unpack[ConfigOptions],
        ) -> None: ...
        @overload
        def __init__(
            self,
            *,
            worker_count: int,
            resource: Callable[[], AbstractContextManager[R, Any]],
            **options: Unpack[ConfigOptions],
        ) -> None: ...
        def __init__(self, *, worker_count: int, **options: Any) -> None: ...

    def __post_init__(self) -> None:
        _check_resource(self)
        _check_types(self)
        _integer(self, "worker_count", 1)
        for field, default in (("max_worker_count", 2 * self.worker_count), ("resource_pool_size", self.worker_count)):
            if getattr(self, field) is None:
                object.__setattr__(self, field, default)
        _integer(self, "max_worker_count", self.worker_count, " (worker_count)")
        _integer(self, "max_retries", 0)
        _integer(self, "resource_pool_size", 0)
        _integer(self, "max_temporary_resources", 0, optional=True)
        _integer(self, "max_queue_size", 1, optional=True)
        _duration(self, "burst_interval", zero=True)
        _duration(self, "cancel_grace", zero=True)
        _duration(self, "rate_window")
        _duration(self, "target_wait")
        _duration(self, "creation_backoff")
        _duration(self, "creation_timeout", optional=True)
        _duration(self, "slow_callback", zero=True)

    @property
    def most_workers(self) -> int:
        """``max_worker_count`` with its default filled in."""
        assert self.max_worker_count is not None
        return self.max_worker_count

    @property
    def pool_size(self) -> int:
        """``resource_pool_size`` with its default filled in."""
        assert self.resource_pool_size is not None
        return self.resource_pool_size


def _wrong(field: str, value: object, allowed: str) -> ConfigError:
    return ConfigError(f"Config.{field} must be {allowed}, got {value!r}")


def _check_resource(config: Config[Any]) -> None:
    if config.resource is None and config.on_create is None:
        raise ConfigError(
            "Config.on_create is required: a function that makes a resource (or give resource=), got None"
        )
    if config.resource is not None:
        for field in ("on_create", "on_destroy"):
            if getattr(config, field) is not None:
                raise _wrong(field, getattr(config, field), "left out where resource= is given")


def _check_types(config: Config[Any]) -> None:
    for field in ("on_create", "on_destroy", "resource", "check_health"):
        value = getattr(config, field)
        if value is not None and not callable(value):
            raise _wrong(field, value, "callable")
    if config.ctx is not None and not isinstance(config.ctx, Context):
        raise _wrong("ctx", config.ctx, "a tasker.Context or None")
    if config.backend is not None and not isinstance(config.backend, Backend):
        raise _wrong("backend", config.backend, "a backend (such as ProcessBackend()) or None")
    if not isinstance(config.sync_in_thread, bool):
        raise _wrong("sync_in_thread", config.sync_in_thread, "True or False")
    if not isinstance(config.name, str) or not config.name:
        raise _wrong("name", config.name, "a non-empty string")
    for field, protocol, methods in (
        ("logger", "Logger", ("debug", "info", "warning", "error")),
        (
            "collector",
            "MetricsCollector",
            ("record_arrival", "record_completion", "record_failure", "record_retry", "metrics"),
        ),
        ("scaling", "ScalingPolicy", ("decide",)),
    ):
        value = getattr(config, field)
        missing = [name for name in methods if not callable(getattr(value, name, None))]
        if missing and (value is not None or field == "logger"):
            raise _wrong(field, value, f"a {protocol} (it lacks {', '.join(missing)})")


def _integer(config: Config[Any], field: str, least: int, note: str = "", *, optional: bool = False) -> None:
    value = getattr(config, field)
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        allowed = "a positive integer" if least == 1 else f"an integer of at least {least}{note}"
        raise _wrong(field, value, allowed + (" or None" if optional else ""))


def _duration(config: Config[Any], field: str, *, zero: bool = False, optional: bool = False) -> None:
    value = getattr(config, field)
    if value is None and optional:
        return
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value < 0 or (value == 0 and not zero):
        allowed = "a finite number of seconds, " + ("at least 0" if zero else "more than 0")
        raise _wrong(field, value, allowed + (" (or None)" if optional else ""))
