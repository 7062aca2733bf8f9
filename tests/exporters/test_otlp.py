"""What OpenTelemetry's exporter sends by OTLP arrives as it was meant: straight from here, and through a collector."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tasker import Config, TaskManager

pytest.importorskip("opentelemetry.sdk")
pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from support.otlp import Receiver, collecting, receiving
from tasker.exporters import catalogue
from tasker.exporters.otel import register
from tasker.exporters.traces import traced


@pytest.fixture(params=["directly", "through a collector"])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Receiver]]:
    """Where to send to, and where it arrives."""
    with ExitStack() as stack:
        receiver = stack.enter_context(receiving())
        direct = request.param == "directly"
        yield receiver.address if direct else stack.enter_context(collecting(receiver.address, tmp_path)), receiver


def plain(attributes: Any) -> dict[str, str]:
    """Attributes of a message, as text."""
    return {one.key: one.value.string_value for one in attributes}


def nothing(ctx: Any, resource: Any) -> None:
    """A task."""


def fails(ctx: Any, resource: Any) -> None:
    """A task that fails."""
    raise ValueError("wrong")


def settings() -> Config[Any]:
    """A small pool."""
    return Config(on_create=object, name="shown", worker_count=2, max_worker_count=2, resource_pool_size=0)


def test_metrics(way: tuple[str, Receiver]) -> None:
    """Names, units, attributes, kinds and buckets are those that are documented."""
    address, receiver = way
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{address}/v1/metrics"), export_interval_millis=1e9)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    try:
        with TaskManager(settings()) as m:
            register(m, provider)
            for _ in range(20):
                m.queue_task(nothing)
            m.submit(fails).exception()
            provider.force_flush()
        found = receiver.metrics()
    finally:
        provider.shutdown()
    outcomes = {
        plain(point.attributes).get("error.type"): point.as_int for point in found["tasker.tasks"].sum.data_points
    }
    assert outcomes == {None: 20, "error": 1, "timeout": 0, "quarantined": 0, "cancelled": 0}
    assert {plain(point.attributes)["tasker.manager"] for point in found["tasker.tasks"].sum.data_points} == {"shown"}
    assert found["tasker.tasks"].sum.is_monotonic
    assert (found["tasker.tasks"].unit, found["tasker.workers"].unit) == ("{task}", "{worker}")
    assert not found["tasker.workers"].sum.is_monotonic
    wait = found["tasker.task.wait.duration"]
    assert wait.unit == "s"
    (point,) = wait.histogram.data_points
    assert (tuple(point.explicit_bounds), point.count, sum(point.bucket_counts)) == (catalogue.BOUNDS, 21, 21)


def test_traces(way: tuple[str, Receiver], monkeypatch: pytest.MonkeyPatch) -> None:
    """The attempt is under the span of whoever has submitted the task, and says how it went."""
    address, receiver = way
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{address}/v1/traces")))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    try:
        with TaskManager(settings()) as m, trace.get_tracer("test").start_as_current_span("request"):
            m.submit(traced(fails)).exception()
        found = receiver.spans(2)
    finally:
        provider.shutdown()
    request, attempt = found["request"], found["fails"]
    assert (attempt.parent_span_id, attempt.trace_id) == (request.span_id, request.trace_id)
    said = plain(attempt.attributes)
    assert said["tasker.worker"].startswith("shown-")
    assert (said["tasker.outcome"], said["error.type"]) == ("failed", "ValueError")
    assert (attempt.status.message, [event.name for event in attempt.events]) == ("wrong", ["exception"])
    (wait,) = [one.value.double_value for one in attempt.attributes if one.key == "tasker.wait"]
    assert 0 <= wait < 60
