"""Spans of attempts, as the exporter of the SDK that keeps all in memory has them. Over all engines: `contract/test_traces.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tasker import AsyncTaskManager, Config, TaskManager

pytest.importorskip("opentelemetry.sdk")

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tasker.exporters.traces import traced


class Sick(Exception):
    """Of the resource."""


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What is exported by a provider in place of the global one, which can be set once a process."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


def config(**options: Any) -> Config[Any]:
    """A small pool."""
    return Config(
        on_create=object,
        name="traced",
        worker_count=1,
        max_worker_count=1,
        check_health=lambda error: not isinstance(error, Sick),
        **options,
    )


def adds(ctx: Any, resource: Any, one: int, other: int) -> int:
    """A task."""
    return one + other


def test_the_submitter_is_the_parent(spans: InMemorySpanExporter) -> None:
    """Also where the task runs in another thread; the span says where it ran and how long it had waited."""
    with TaskManager(config()) as m:
        with trace.get_tracer("test").start_as_current_span("request") as request:
            future = m.submit(traced(adds), 1, 2)
        assert future.result() == 3
    span = next(one for one in spans.get_finished_spans() if one.name == "adds")
    assert span.parent is not None and span.attributes is not None
    assert span.parent.span_id == request.get_span_context().span_id
    assert span.context.trace_id == request.get_span_context().trace_id
    assert (span.attributes["tasker.worker"], span.attributes["tasker.outcome"]) == ("traced-1", "completed")
    assert 0 <= float(str(span.attributes["tasker.wait"])) < 60
    assert span.kind is trace.SpanKind.CONSUMER and span.status.is_ok


def test_each_attempt_has_a_span(spans: InMemorySpanExporter) -> None:
    """Those that failed say why."""
    errors: list[Exception] = [Sick("away"), ValueError("wrong")]

    def fails(ctx: Any, resource: Any) -> None:
        raise errors.pop(0)

    with TaskManager(config()) as m:
        assert isinstance(m.submit(traced(fails, name="twice")).exception(), ValueError)
    first, second = spans.get_finished_spans()
    assert first.name == second.name == "twice"
    assert [(one.attributes or {})["error.type"].rpartition(".")[2] for one in (first, second)] == [
        "Sick",
        "ValueError",
    ]
    assert [(one.attributes or {})["tasker.outcome"] for one in (first, second)] == ["failed", "failed"]
    assert (second.status.status_code, second.status.description) == (trace.StatusCode.ERROR, "wrong")
    assert [event.name for event in second.events] == ["exception"]
    assert [(one.attributes or {})["tasker.worker"] for one in (first, second)] == ["traced-1", "traced-1"]


async def run_traced() -> None:
    """Two tasks that are coroutine functions, one of which is cancelled."""

    async def doubles(ctx: Any, resource: Any, value: int) -> int:
        trace.get_tracer("test").start_span("inner").end()
        await asyncio.sleep(0)
        return 2 * value

    started = asyncio.Event()

    async def hangs(ctx: Any, resource: Any) -> None:
        started.set()
        await asyncio.Event().wait()

    async with AsyncTaskManager(config()) as m:
        assert await m.queue_task(traced(doubles), 4) == 8
        future = m.submit(traced(hangs))
        await started.wait()
        future.cancel()
        await asyncio.wait([future])


def test_an_error_that_cannot_be_shown(spans: InMemorySpanExporter) -> None:
    """It is the outcome of the task, as without a span."""

    class Mute(Exception):
        def __str__(self) -> str:
            raise SystemExit

    def fails(ctx: Any, resource: Any) -> None:
        raise Mute

    with TaskManager(config()) as m:
        assert type(m.submit(traced(fails)).exception(20)) is Mute
    (span,) = spans.get_finished_spans()
    assert span.attributes is not None
    assert span.attributes["tasker.outcome"] == "failed"
    assert str(span.attributes["error.type"]).endswith("Mute")
    assert span.status.description == "Mute"


def test_coroutines(spans: InMemorySpanExporter) -> None:
    """What a task does has its span as the parent; a cancelled one says so."""
    asyncio.run(run_traced())
    inner, doubles, hangs = spans.get_finished_spans()
    assert inner.parent is not None and inner.parent.span_id == doubles.context.span_id
    assert (hangs.attributes or {})["tasker.outcome"] == "cancelled"


def test_nothing_is_sampled_without_a_provider() -> None:
    """Where the application has no SDK, the task runs all the same."""
    with TaskManager(config()) as m:
        assert m.queue_task(traced(adds), 1, 2) == 3
