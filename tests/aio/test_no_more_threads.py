"""The system has no more threads, or no memory for one."""

from __future__ import annotations

from typing import Any

import pytest

from support.no_threads import ERRORS, refusing
from support.resources import ScriptedResources
from support.waiting import eventually
from tasker import ResourceError


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Any:
    """See ``support.no_threads``."""
    return refusing(monkeypatch)


def value(ctx: Any, resource: Any) -> str:
    """A plain task."""
    return "value"


async def make_resource() -> object:
    """Needs no thread."""
    return object()


@ERRORS
async def test_none_for_a_plain_on_create(make: Any, refuse: Any, error: BaseException) -> None:
    """Tried again later, as any creation that fails; a stop waits for nothing."""
    resources = ScriptedResources()
    refused = refuse("poor-1", error, 2)
    m = await make(
        name="poor",
        on_create=resources.create,
        on_destroy=resources.destroy,
        creation_backoff=0.001,
        burst_interval=0.01,
    )
    assert await m.queue_task(value) == "value"
    assert refused == ["poor-1", "poor-1"]
    assert (await m.stop(20)).killed is False
    resources.check_all_ended_once()


@ERRORS
async def test_none_for_a_plain_task(make: Any, refuse: Any, error: BaseException) -> None:
    """Its caller gets the error; the worker tries again for the next one, and ends."""
    refused = refuse("poor-1", error, 1)
    m = await make(name="poor", on_create=make_resource)
    with pytest.raises(type(error)):
        await m.queue_task(value)
    assert await m.queue_task(value) == "value"
    assert refused == ["poor-1"]
    assert (await m.stop(20)).killed is False


@ERRORS
async def test_none_for_run_task(make: Any, refuse: Any, error: BaseException) -> None:
    """The call fails, the next one does not."""
    refused = refuse("poor-pool-1", error, 1)
    m = await make(name="poor", burst_interval=0.01, creation_backoff=0.001)
    with pytest.raises(ResourceError, match=type(error).__name__):
        await m.run_task(value)
    assert refused == ["poor-pool-1"]
    await eventually(
        lambda: m.stats().active_workers == 1
    )  # which may have been so before; else the breaker is open until then
    assert await m.run_task(value) == "value"
    assert (await m.stop(20)).killed is False
