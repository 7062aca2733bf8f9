"""Traces: a span for each attempt of a task, under the span of whoever has submitted it. By the API of OpenTelemetry alone, which
comes with the extra ``otel``.

The task is wrapped, and nothing else knows of it: a task that is not traced costs nothing. What is wrapped can be pickled, since
only the ``SpanContext`` of the parent travels.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

try:
    from opentelemetry import trace
    from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode
except ImportError as _error:
    raise ImportError("tasker.exporters.traces needs opentelemetry-api: pip install 'tasker-pool[otel]'") from _error

from tasker.core.outcomes import snooze_of
from tasker.core.user_functions import is_async
from tasker.errors import TaskCancelled, TaskTimeout
from tasker.logs import describe

__all__ = ["traced"]


def traced(task: Callable[..., Any], *, name: str | None = None) -> Callable[..., Any]:
    """Returns the task with a span around each of its attempts, whose parent is the span that is current now. To be called where
    the task is submitted: ``manager.submit(traced(task), ...)``.

    ``name``: of the spans; default: the ``__qualname__`` of the task. The spans have the attributes ``tasker.worker``,
    ``tasker.wait`` (seconds since this call, up to the start of the attempt) and ``tasker.outcome``; one that has failed has
    ``error.type`` and an event with the error, too.

    The spans go to the global tracer provider of the process in which the attempt runs; the sampler of that decides which are
    kept. An attempt whose process dies has no span. Thread-safe.
    """
    shown = name or getattr(task, "__qualname__", None) or type(task).__qualname__
    parent = trace.get_current_span().get_span_context()
    return (_AsyncTraced if is_async(task) else _Traced)(task, shown, parent, time.time_ns())


class _Traced:
    """A task that is a plain function."""

    def __init__(self, task: Callable[..., Any], name: str, parent: SpanContext, submitted: int) -> None:
        self.task = task
        self.parent = parent
        self.submitted = submitted
        self.__name__ = self.__qualname__ = name

    def __setstate__(self, state: dict[str, Any]) -> None:
        """In another process, to whose sampler the parent is a remote one, as if it had come in the head of a request."""
        self.__dict__.update(state)
        parent = self.parent
        self.parent = SpanContext(parent.trace_id, parent.span_id, True, parent.trace_flags, parent.trace_state)

    def __call__(self, ctx: Any, resource: Any, *args: Any) -> Any:
        with self._span(ctx):
            return self.task(ctx, resource, *args)

    @contextmanager
    def _span(self, ctx: Any) -> Iterator[None]:
        context = trace.set_span_in_context(NonRecordingSpan(self.parent))
        worker = ctx.worker
        start = time.time_ns()
        span = trace.get_tracer("tasker").start_span(
            self.__name__,
            context,
            SpanKind.CONSUMER,
            # The wait is from one clock of one machine to, maybe, that of another one.
            {
                "tasker.wait": max(0, start - self.submitted) / 1e9,
                "tasker.worker": "" if worker is None else worker.name,
            },
            start_time=start,
        )
        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield
            except BaseException as error:
                _failed(span, error, ctx)
                raise
            span.set_attribute("tasker.outcome", "completed")


class _AsyncTraced(_Traced):
    """A task that is a coroutine function."""

    async def __call__(self, ctx: Any, resource: Any, *args: Any) -> Any:
        with self._span(ctx):
            coroutine: Awaitable[Any] = self.task(ctx, resource, *args)
            return await coroutine


def _failed(span: trace.Span, error: BaseException, ctx: Any) -> None:
    outcome = _outcome(error, ctx)
    span.set_attribute("tasker.outcome", outcome)
    if outcome == "snoozed":  # which is no failure
        return
    span.set_attribute("error.type", f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins."))
    try:
        span.record_exception(error)
        text = str(error)
    except BaseException:  # out of a method of the error, which is what the task has come to all the same
        text = describe(error)
    span.set_status(Status(StatusCode.ERROR, text))


def _outcome(error: BaseException, ctx: Any) -> str:
    if snooze_of(error) is not None:
        return "snoozed"
    if issubclass(type(error), TaskTimeout):
        return "timed_out"
    if not issubclass(type(error), TaskCancelled | asyncio.CancelledError):
        return "failed"
    # A coroutine gets a CancelledError in either case.
    return "timed_out" if issubclass(type(ctx.cause), TaskTimeout) else "cancelled"
