"""Loggers and collectors that record their calls, and ones that raise."""

from __future__ import annotations

from typing import Any

from tasker import TaskMetrics


class RecordingLogger:
    """A Logger that keeps its lines, formatted."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def _note(self, level: str, msg: Any, args: tuple[Any, ...]) -> None:
        self.lines.append((level, str(msg) % args if args else str(msg)))

    def debug(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Keep a line."""
        self._note("debug", msg, args)

    def info(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Keep a line."""
        self._note("info", msg, args)

    def warning(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Keep a line."""
        self._note("warning", msg, args)

    def error(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Keep a line."""
        self._note("error", msg, args)

    def text(self, *levels: str) -> str:
        """Return all lines of these levels; of every level, if none is named."""
        return "\n".join(line for level, line in self.lines if not levels or level in levels)


class RaisingLogger:
    """A Logger whose every method raises."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def debug(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Raise."""
        raise self._error

    info = warning = error = debug


class RecordingCollector:
    """A MetricsCollector that counts its calls."""

    def __init__(self) -> None:
        self.arrivals: list[None] = []
        self.completions: list[Any] = []
        self.failures: list[Any] = []
        self.retries: list[None] = []

    def record_arrival(self) -> None:
        """Count an arrival."""
        self.arrivals.append(None)

    def record_completion(self, stamps: Any) -> None:
        """Keep the stamps."""
        self.completions.append(stamps)

    def record_failure(self, stamps: Any) -> None:
        """Keep the stamps."""
        self.failures.append(stamps)

    def record_retry(self) -> None:
        """Count a retry."""
        self.retries.append(None)

    def metrics(self) -> TaskMetrics:
        """Return metrics that can be recognised."""
        return TaskMetrics(total_tasks_completed=4321)


class RaisingCollector:
    """A MetricsCollector whose every method raises."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def record_arrival(self) -> None:
        """Raise."""
        raise self._error

    def record_completion(self, stamps: Any) -> None:
        """Raise."""
        raise self._error

    def record_failure(self, stamps: Any) -> None:
        """Raise."""
        raise self._error

    def record_retry(self) -> None:
        """Raise."""
        raise self._error

    def metrics(self) -> TaskMetrics:
        """Raise."""
        raise self._error
