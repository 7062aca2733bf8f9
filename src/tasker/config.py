"""Config: the options of a manager, with their defaults, units and checks."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypedDict, TypeVar, Unpack, overload

from .attempt import Quarantined
from .config_checks import check
from .context import Context
from .control.health import Health
from .control.retries import RetryPolicy
from .control.scaling import ScalingPolicy
from .logs import Logger
from .metrics.protocol import MetricsCollector
from .options import Backend
from .worker_info import WorkerInfo, takes_worker

R = TypeVar("R")

_default_logger = logging.getLogger("tasker")
_default_logger.addHandler(logging.NullHandler())


class ConfigOptions(TypedDict, total=False):
    """The options whose types do not depend on the resource, for type checkers. A test compares them with the fields of
    ``Config``."""

    per_worker: Sequence[Any] | None
    check_after_idle: float
    check_interval: float | None
    check_timeout: float | None
    return_timeout: float | None
    ctx: Context | None
    check_health: Callable[[BaseException], bool | Health] | Callable[[BaseException], Awaitable[bool | Health]] | None
    max_worker_count: int | None
    burst_interval: float
    max_retries: int
    retry: RetryPolicy | None
    quarantine_after: int | None
    on_quarantine: Callable[[Quarantined], object] | None
    resource_pool_size: int | None
    max_temporary_resources: int | None
    max_queue_size: int | None
    logger: Logger
    collector: MetricsCollector | None
    name: str
    ready_timeout: float | None
    when_unavailable: Literal["wait", "fail"]
    creation_timeout: float | None
    create_timeout: float | None
    destroy_timeout: float | None
    max_stuck_workers: int | None
    task_timeout: float | None
    task_deadline: float | None
    stuck_after: float | None
    max_tasks_per_resource: int | None
    max_resource_lifetime: float | None
    creation_backoff: float
    restart_intensity: tuple[int, float] | None
    cancel_grace: float
    rate_window: float
    target_wait: float
    scaling: ScalingPolicy | None
    idle_timeout: float | None
    max_memory: float | None
    sync_in_thread: bool
    slow_callback: float
    backend: Backend | None
    debug: bool


@dataclass(frozen=True)
class Config(Generic[R]):
    """The options of a manager. Immutable, so it can be shared by threads and managers.

    All options are keyword-only, and all durations are in seconds. The constructor raises ``ConfigError``, which names
    the field, the value and what is allowed, for a wrong value.
    """

    _: KW_ONLY
    worker_count: int
    """The number of base workers, which are always kept alive. 0: none is kept while there is nothing to do; a task has the
    first one started, which ends when it was idle for ``idle_timeout`` (None: for as long as the policy holds it)."""
    on_create: (
        Callable[[], R]
        | Callable[[], Awaitable[R]]
        | Callable[[WorkerInfo], R]
        | Callable[[WorkerInfo], Awaitable[R]]
        | None
    ) = None
    """Makes a resource, in the thread of the worker that will own it. Required, unless ``resource`` is given. If it has
    a required parameter that is called ``worker``, it gets the ``WorkerInfo``; so may ``resource``. For
    ``AsyncTaskManager``, this function, ``on_destroy`` and ``check_health`` may be asynchronous."""
    on_destroy: Callable[[R], object] | None = None
    """Destroys a resource, in the thread that made it. Called exactly once for each resource. An error that it raises
    is logged and counted."""
    resource: (
        Callable[[], AbstractContextManager[R]]
        | Callable[[], AbstractAsyncContextManager[R]]
        | Callable[[WorkerInfo], AbstractContextManager[R]]
        | Callable[[WorkerInfo], AbstractAsyncContextManager[R]]
        | None
    ) = None
    """Returns a context manager, in place of ``on_create`` and ``on_destroy``: entered to make a resource and left to
    destroy it, both in the worker's thread. For ``AsyncTaskManager``, it may be an asynchronous one."""
    on_return: Callable[[R], object] | None = None
    """Called with the resource after each task that leaves it in use, in the thread of the worker: rolls back, clears cookies,
    resets. If it raises, the error is logged and counted, and the resource is replaced; the result of the task stands."""
    return_timeout: float | None = None
    """The seconds that ``on_return`` of a worker may take. After that the worker is stuck, as after ``create_timeout``. Not with a
    backend, where it is a part of the attempt, and so has the ``timeout`` of the task. None: no limit."""
    check_resource: Callable[[R], object] | None = None
    """Called with a resource that has been idle for longer than ``check_after_idle``, before it is used again, where
    ``on_return`` is called. If it returns False or raises, that is logged, and the resource is replaced; the task that waits
    goes to another worker, and has lost no attempt. For ``AsyncTaskManager`` it may be asynchronous."""
    check_after_idle: float = 1.0
    """The seconds after which an idle resource is checked before use. 0: always where it has waited for a task."""
    check_interval: float | None = None
    """The seconds after which an idle resource of a worker, or of ``run_task``'s pool, is checked though no task waits, again and
    again. None: it is not."""
    check_timeout: float | None = 5.0
    """The seconds that ``check_resource`` of a worker may take, or one at an interval. After that the worker is stuck, as after
    ``create_timeout``, and ``run_task``'s pool replaces the resource. None: no limit."""
    per_worker: Sequence[Any] | None = None
    """A value for each worker, which ``on_create(worker)`` and tasks find as ``worker.value``: a GPU, a port, a profile. At
    least ``max_worker_count`` of them; no two workers that are alive have the same one. ``run_task`` is not possible then."""
    ctx: Context | None = None
    """The parent context. When it is cancelled or its deadline passes, the manager stops gracefully. The contexts of
    tasks have its values."""
    check_health: (
        Callable[[BaseException], bool | Health] | Callable[[BaseException], Awaitable[bool | Health]] | None
    ) = None
    """Called with the error of a failed task, or with the cancellation that a running task has obeyed. False, or
    ``Health.REPLACE``, blames the resource, which is then replaced; a task that failed is retried, one that was cancelled stays
    cancelled. ``Health`` has more answers. None: no error is blamed on the resource. If the function itself raises, or returns
    neither a bool nor a ``Health``, that is logged as an error, and the resource is not blamed."""
    max_worker_count: int | None = None
    """The maximum number of workers: base and burst workers, including those that start or end. At least
    ``worker_count``, and at least 1. None: twice ``worker_count``, or 1 if that is 0."""
    burst_interval: float = 0.1
    """The seconds between two scaling decisions. 0: no scaling."""
    max_retries: int = 3
    """How many times a task is started again after an error that is blamed on the resource, or that ``retry`` names. 0:
    never."""
    retry: RetryPolicy | None = None
    """How often, after which pauses and after which errors of its own a task is tried again. None: ``max_retries`` times, at
    once, and after none."""
    quarantine_after: int | None = None
    """How many resources a task may leave unhealthy, one after the other, or how many processes it may end, before it is
    quarantined: it ends with ``PoisonTask`` and is not tried again. At least 1; matters if it is at most ``max_retries`` + 1. A
    ``once`` task ends with its own error. None: no limit but ``max_retries``."""
    on_quarantine: Callable[[Quarantined], object] | None = None
    """Called with each task that is quarantined, after its outcome is set, where the callbacks of tasks are called. For
    ``AsyncTaskManager``, it may be asynchronous. An error that it raises is logged and counted."""
    resource_pool_size: int | None = None
    """The number of resources that are kept ready for ``run_task``. None: ``worker_count``, or 0 if ``on_create`` takes the
    worker. 0: each call makes one."""
    max_temporary_resources: int | None = None
    """How many resources ``run_task`` may make beyond its pool at the same time. None: one for each caller."""
    max_queue_size: int | None = None
    """How many accepted tasks may wait to be started. At least 1. None: no limit."""
    logger: Logger = _default_logger
    """Receives the log messages of the manager: a ``logging.Logger``, a ``LoggerAdapter`` or a structlog logger."""
    collector: MetricsCollector | None = None
    """Receives the metrics in place of the built-in collector."""
    name: str = "tasker"
    """The name of the manager in logs; its threads are named ``<name>-<n>``."""
    ready_timeout: float | None = None
    """The seconds that a task waits while no worker is ready before it fails with ``ResourceError``. None: no limit."""
    when_unavailable: Literal["wait", "fail"] = "wait"
    """What tasks do while no worker is ready and creations fail, so that the circuit breaker is not closed. ``"wait"``: they wait,
    up to ``ready_timeout``. ``"fail"``: those that are queued, and those that are submitted meanwhile, fail at once with
    ``ResourceError``. A task never fails in this way while a worker is ready, or may still become ready that began to start
    before the first failure."""
    creation_timeout: float | None = None
    """The former name of ``ready_timeout``. None once a configuration is made, whichever name was used."""
    create_timeout: float | None = None
    """The seconds that ``on_create`` of a worker may take, each time. After that the worker is *stuck*: the creation counts
    as failed, and another worker may take its place. A child process is killed and a coroutine is cancelled; a function in a
    thread is left alone, and if it returns a resource after all, that is destroyed. None: no limit."""
    destroy_timeout: float | None = None
    """The same for ``on_destroy``. None: no limit."""
    max_stuck_workers: int | None = None
    """How many stuck workers may be replaced, at least 0, and not more than ``per_worker`` has values to spare; each
    further one counts as one of ``max_worker_count`` until its callback or task returns. None: ``max_worker_count``."""
    task_timeout: float | None = None
    """The ``timeout`` of tasks that were submitted without one: the seconds that each attempt may take, from its start. None: no
    limit."""
    task_deadline: float | None = None
    """The ``deadline`` of tasks that were submitted without one: the seconds from the submission within which a task has to end;
    one that has not started by then never does. None: no limit."""
    stuck_after: float | None = None
    """The seconds after which a task that still runs is logged, once, with the place where it is. None: never."""
    max_tasks_per_resource: int | None = None
    """How many tasks a resource serves before it is replaced, at least 1. None: no limit."""
    max_resource_lifetime: float | None = None
    """The seconds after which a resource is given no more tasks and is replaced, shortened by up to a tenth at random, so that
    resources that were made at the same time are not replaced at the same time. None: no limit."""
    creation_backoff: float = 0.1
    """The seconds to wait after the first failed creation; doubled for each further one, up to 30 s. It is the limit of
    a pause that is random, so that many processes whose server is back do not all connect to it at once."""
    restart_intensity: tuple[int, float] | None = None
    """``(n, seconds)``: if more than ``n`` workers end otherwise than planned within ``seconds``, because their resource was
    unhealthy or could not be made, or they were lost, that is logged as an error, once, and shown by ``stats()`` and
    ``explain()`` until it is over. They are replaced all the same. None: no such alarm."""
    cancel_grace: float = 5.0
    """The seconds that a running task has to end after its cancellation: by a kill without a timeout of its own, or because a
    time limit has passed. With ``ProcessBackend``, also after ``cancel``."""
    rate_window: float = 10.0
    """The seconds over which the arrival and completion rates are measured."""
    target_wait: float = 0.1
    """The seconds that hardly any task (by default one in a hundred) should wait to be started. Workers are added if
    more tasks would wait longer."""
    scaling: ScalingPolicy | None = None
    """Decides the number of workers. None: ``RatePolicy()``."""
    idle_timeout: float | None = None
    """The seconds after which a burst worker that was not used ends, even if the policy would keep it for longer. None: the
    policy alone decides."""
    max_memory: float | None = None
    """The share of the memory, more than 0 and at most 1, above which no burst worker is added: of the container's limit or
    of the machine's memory, whichever is fuller. Known on Linux; elsewhere there is no limit. None: no limit."""
    sync_in_thread: bool = True
    """For ``AsyncTaskManager``: whether tasks, ``on_create`` and ``on_destroy`` that are not coroutine functions run in
    a thread of their worker, so that they may block. False: they run in the event loop, which saves switching
    threads."""
    slow_callback: float = 0.1
    """For ``AsyncTaskManager``: the seconds after which a task that held the event loop is logged, with its name. 0:
    never."""
    backend: Backend | None = None
    """Where the resources live. None: in this process. ``ProcessBackend()``: each in a child process of its own."""
    debug: bool = False
    """Whether it is kept for each resource of this process where it was made, so that ``StopReport.leaked``, the log and
    ``tasker.testing`` can say of one that was not destroyed whose it was. Costs a stack trace for each resource."""

    # Overloads, so that type checkers find R also if the resource has to be awaited. The dataclass makes the real one.
    if TYPE_CHECKING:

        @overload
        def __init__(
            self,
            *,
            worker_count: int,
            on_create: Callable[[], Coroutine[Any, Any, R]] | Callable[[WorkerInfo], Coroutine[Any, Any, R]],
            on_destroy: Callable[[R], object] | None = None,
            on_return: Callable[[R], object] | None = None,
            check_resource: Callable[[R], object] | None = None,
            **options: Unpack[ConfigOptions],
        ) -> None: ...
        @overload
        def __init__(
            self,
            *,
            worker_count: int,
            on_create: Callable[[], R] | Callable[[WorkerInfo], R] | None = None,
            on_destroy: Callable[[R], object] | None = None,
            on_return: Callable[[R], object] | None = None,
            check_resource: Callable[[R], object] | None = None,
            **options: Unpack[ConfigOptions],
        ) -> None: ...
        @overload
        def __init__(
            self,
            *,
            worker_count: int,
            resource: Callable[[], AbstractAsyncContextManager[R, Any]]
            | Callable[[WorkerInfo], AbstractAsyncContextManager[R, Any]],
            on_return: Callable[[R], object] | None = None,
            check_resource: Callable[[R], object] | None = None,
            **options: Unpack[ConfigOptions],
        ) -> None: ...
        @overload
        def __init__(
            self,
            *,
            worker_count: int,
            resource: Callable[[], AbstractContextManager[R, Any]]
            | Callable[[WorkerInfo], AbstractContextManager[R, Any]],
            on_return: Callable[[R], object] | None = None,
            check_resource: Callable[[R], object] | None = None,
            **options: Unpack[ConfigOptions],
        ) -> None: ...
        def __init__(self, *, worker_count: int, **options: Any) -> None: ...

    def __post_init__(self) -> None:
        check(self)

    @property
    def takes_worker(self) -> bool:
        """Whether ``on_create`` or ``resource`` takes the worker."""
        return takes_worker(self.resource or self.on_create)

    @property
    def most_workers(self) -> int:
        """``max_worker_count`` with its default filled in."""
        assert self.max_worker_count is not None
        return self.max_worker_count

    @property
    def replaceable_workers(self) -> int:
        """``max_stuck_workers`` with its default filled in."""
        most = self.most_workers if self.max_stuck_workers is None else self.max_stuck_workers
        # A stuck worker keeps its value.
        return most if self.per_worker is None else min(most, len(self.per_worker) - self.most_workers)

    @property
    def pool_size(self) -> int:
        """``resource_pool_size`` with its default filled in."""
        assert self.resource_pool_size is not None
        return self.resource_pool_size
