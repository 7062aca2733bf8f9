"""A logger and a metrics collector of your own.

Any object with the right methods works: `Logger` and `MetricsCollector` are protocols, so there is no base class to inherit
from. A `logging.Logger`, a `LoggerAdapter` and a structlog logger work as they are.
Run it with: python examples/custom_logging.py
"""

from __future__ import annotations

import itertools
import threading

from tasker import Config, Context, TaskLifecycleTimestamps, TaskManager, TaskMetrics


class MyLogger:
    """Receives messages with %-style arguments, as in the logging module."""

    def debug(self, msg: str, *args: object) -> None:
        self._print("DEBUG", msg, args)

    def info(self, msg: str, *args: object) -> None:
        self._print("INFO", msg, args)

    def warning(self, msg: str, *args: object) -> None:
        self._print("WARN", msg, args)

    def error(self, msg: str, *args: object) -> None:
        self._print("ERROR", msg, args)

    def _print(self, level: str, msg: str, args: tuple[object, ...]) -> None:
        print(f"[{level}] {msg % args if args else msg}")


class MyCollector:
    """Keeps its own counts. Workers call it from their threads, so it needs a lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._done = self._failed = self._retried = 0
        self._seconds = 0.0

    def record_arrival(self) -> None:
        print("Metric: task arrived")

    def record_completion(self, stamps: TaskLifecycleTimestamps) -> None:
        with self._lock:
            self._done += 1
            self._seconds += stamps.finished_at - stamps.started_at
        print("Metric: task completed")

    def record_failure(self, stamps: TaskLifecycleTimestamps) -> None:
        with self._lock:
            self._failed += 1
        print("Metric: task failed")

    def record_retry(self) -> None:
        with self._lock:
            self._retried += 1
        print("Metric: task retried")

    def metrics(self) -> TaskMetrics:
        with self._lock:
            return TaskMetrics(
                total_tasks_completed=self._done,
                total_tasks_failed=self._failed,
                total_tasks_retried=self._retried,
                average_execution_time=self._seconds / self._done if self._done else 0.0,
            )


serial_numbers = itertools.count(1)


class MyResource:
    def __init__(self) -> None:
        self.id = next(serial_numbers)
        print(f"MyResource {self.id} created")

    def close(self) -> None:
        print(f"MyResource {self.id} destroyed")


class Broken(Exception):
    pass


def greet(_ctx: Context, resource: MyResource, name: str) -> str:
    if resource.id == 1 and name == "breaker":
        raise Broken("resource 1 broke")
    return f"hello {name} from resource {resource.id}"


def main() -> None:
    config = Config(
        on_create=MyResource,
        on_destroy=MyResource.close,
        check_health=lambda error: not isinstance(error, Broken),
        worker_count=1,
        resource_pool_size=0,
        burst_interval=0,
        logger=MyLogger(),
        collector=MyCollector(),
    )
    with TaskManager(config) as manager:
        print(manager.queue_task(greet, "world"))
        print(manager.queue_task(greet, "breaker"))
    metrics = manager.metrics()
    print(
        f"completed {metrics.total_tasks_completed}, failed {metrics.total_tasks_failed}, retried {metrics.total_tasks_retried}"
    )


if __name__ == "__main__":
    main()
