"""Traces: each attempt is a span under that of whoever has submitted the task, wherever the attempt runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import pytest

from support.observers import RecordingLogger
from support.waiting import failure

pytest.importorskip("opentelemetry.sdk")

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from tasker import Snooze
from tasker.exporters.traces import traced

HERE = os.getpid()


class Seen(NamedTuple):
    """What a span says, and the process that says it."""

    name: str
    trace: int
    span: int
    parent: int
    state: dict[str, str]
    attributes: dict[str, Any]
    events: list[str]
    status: str
    pid: int


class ToTest(SpanExporter):
    """Passes spans on to the test, from whatever process."""

    def __init__(self, seen: list[Seen]) -> None:
        self._seen = seen

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Those that have ended."""
        for span in spans:
            context = span.get_span_context()
            assert context is not None
            parent = 0 if span.parent is None else span.parent.span_id
            state, attributes = {**context.trace_state}, {**(span.attributes or {})}
            events = [event.name for event in span.events]
            status = span.status.status_code.name
            ids = context.trace_id, context.span_id, parent
            self._seen.append(Seen(span.name, *ids, state, attributes, events, status, os.getpid()))
        return SpanExportResult.SUCCESS


def provider_to(seen: list[Seen], **options: Any) -> TracerProvider:
    """A provider whose spans the test sees as soon as they end."""
    provider = TracerProvider(shutdown_on_exit=False, **options)
    provider.add_span_processor(SimpleSpanProcessor(ToTest(seen)))
    return provider


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Seen]]:
    """The spans of a provider that is in place of the global one, which can be set once a process."""
    spans: list[Seen] = []
    provider = provider_to(spans)
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield spans
    provider.shutdown()


def sets_up(kit: Any, seen: list[Seen], make: Callable[[list[Seen]], TracerProvider] = provider_to) -> Any:
    """An `on_create` that sets the global provider, if the resource has a process of its own."""

    def create() -> object:
        if os.getpid() != HERE:
            trace.set_tracer_provider(make(seen))
        return object()

    return kit.hook(create)


def works(ctx: Any, resource: Any, *args: Any) -> str:
    """Does something that is traced, too."""
    trace.get_tracer("test").start_span("inner").end()
    return "done"


async def test_the_submitter_is_the_parent(engine: Any, kit: Any, seen: list[Seen]) -> None:
    """By each way in; what the task does is under its attempt. It says where it ran, and how long the task had waited."""
    state = TraceState([("vendor", "kept")])
    root = NonRecordingSpan(SpanContext(0xABC, 0xDEF, True, TraceFlags(TraceFlags.SAMPLED), state))
    async with engine.manager(on_create=sets_up(kit, seen), resource_pool_size=1) as m:
        with trace.use_span(root), trace.get_tracer("test").start_as_current_span("request") as request:
            task = traced(kit.calls(works), name="work")
            assert await (await m.submit(task)).result() == "done"
            assert await m.queue_task(task) == "done"
            assert await m.run_task(task) == "done"
            assert [value async for value in m.map(task, range(2))] == ["done", "done"]
        name = m.raw.name
    attempts = [one for one in seen if one.name == "work"]
    inner = [one for one in seen if one.name == "inner"]
    assert len(attempts) == len(inner) == 5
    assert [one.parent for one in inner] == [one.span for one in attempts]
    assert {one.parent for one in attempts} == {request.get_span_context().span_id}
    assert {one.trace for one in seen} == {0xABC}
    assert [one.state for one in seen] == [{"vendor": "kept"}] * 11
    assert [one.attributes["tasker.worker"] for one in attempts].count(f"{name}-1") == 4
    assert {one.attributes["tasker.outcome"] for one in attempts} == {"completed"}
    assert all(0 <= one.attributes["tasker.wait"] < 600 for one in attempts)
    assert ({one.pid for one in attempts} != {HERE}) is engine.pickles


async def test_each_attempt_has_a_span(engine: Any, kit: Any, seen: list[Seen]) -> None:
    """All under the same one, though each had another resource; those that failed say why."""
    task = kit.script(OSError("away"), ValueError("wrong"))
    healthy = kit.hook(lambda error: not isinstance(error, OSError))
    async with engine.manager(on_create=sets_up(kit, seen), check_health=healthy, max_retries=3) as m:
        with trace.get_tracer("test").start_as_current_span("request") as request:
            future = await m.submit(traced(task, name="twice"))
        assert isinstance(await future.exception(), ValueError)
    attempts = [one for one in seen if one.name == "twice"]
    assert [one.attributes["error.type"] for one in attempts] == ["OSError", "ValueError"]
    assert [one.attributes["tasker.outcome"] for one in attempts] == ["failed"] * 2
    assert [(one.events, one.status) for one in attempts] == [(["exception"], "ERROR")] * 2
    assert [one.parent for one in attempts] == [request.get_span_context().span_id] * 2
    assert len({one.pid for one in attempts}) == (2 if engine.pickles else 1)


async def test_a_snooze_is_no_failure(engine: Any, kit: Any, seen: list[Seen]) -> None:
    """A task that gives itself back has done nothing wrong, and its span says what it did."""
    async with engine.manager(on_create=sets_up(kit, seen)) as m:
        assert await m.queue_task(traced(kit.script(Snooze(0, "too early"), "done"), name="early")) == "done"
    assert [one.attributes["tasker.outcome"] for one in seen] == ["snoozed", "completed"]
    assert [(one.events, one.status) for one in seen] == [([], "UNSET")] * 2
    assert "error.type" not in seen[0].attributes


@pytest.mark.parametrize("why", ["cancelled", "timed_out"])
async def test_an_attempt_that_was_cancelled(engine: Any, kit: Any, seen: list[Seen], why: str) -> None:
    """It says whether that was by somebody or by its time limit."""
    gate = engine.gate()
    async with engine.manager(on_create=sets_up(kit, seen)) as m:
        await m.queue_task(kit.returns())  # so that the limit begins with the task
        limit = {} if why == "cancelled" else {"timeout": 0.3}
        future = await m.submit(traced(kit.until_cancelled(gate), name="stopped"), **limit)
        await gate.arrivals(1)
        if why == "cancelled":
            future.cancel()
        await failure(future)
    (attempt,) = seen
    assert attempt.attributes["tasker.outcome"] == why


def by_parent(seen: list[Seen]) -> TracerProvider:
    """A provider that keeps what comes from another process if the parent was kept, and what has no parent."""
    return provider_to(seen, sampler=ParentBased(ALWAYS_ON, local_parent_sampled=ALWAYS_OFF))


async def test_the_parent_says_what_is_kept(
    engine: Any, kit: Any, seen: list[Seen], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its flag arrives with the task, and so does that it is the span of another process."""
    if not engine.pickles:
        pytest.skip("the parent is in the same process")
    async with engine.manager(on_create=sets_up(kit, seen, by_parent)) as m:
        for flags in (TraceFlags.DEFAULT, TraceFlags.SAMPLED):
            with trace.use_span(NonRecordingSpan(SpanContext(0xABC, 0xDEF, False, TraceFlags(flags)))):
                await m.queue_task(traced(kit.returns(), name=f"flags {flags}"))
    assert [one.name for one in seen] == ["flags 1"]


def in_batches(seen: list[Seen]) -> TracerProvider:
    """A provider as they are in production, which exports now and then."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(ToTest(seen), schedule_delay_millis=1e9))
    return provider


async def test_spans_that_wait_for_their_export(engine: Any, kit: Any, seen: list[Seen]) -> None:
    """They are sent by the end of the resource, if `on_destroy` says so: whatever ends a process need not."""
    if not engine.pickles:
        pytest.skip("the process goes on")

    def flush(resource: object) -> None:
        trace.get_tracer_provider().force_flush()  # type: ignore[attr-defined]

    log = RecordingLogger()
    config = {"on_create": sets_up(kit, seen, in_batches), "on_destroy": kit.hook(flush), "logger": log}
    async with engine.manager(**config) as m:
        assert [await m.queue_task(traced(kit.returns(n), name="each")) for n in range(3)] == [0, 1, 2]
        assert seen == []
    assert [one.name for one in seen] == ["each"] * 3
    assert log.text("warning", "error") == ""
