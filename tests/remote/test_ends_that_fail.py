"""A backend one of whose calls fails at the end: the manager ends all the same, with a ledger that is right."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.toy_session import ToyBackend, ToySession, ToySessions
from support.waiting import Call
from tasker import AsyncTaskManager, Config, TaskManager


@pytest.fixture(params=["leave", "close", "death", "events", "release"])
def failing(request: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a method that fails after it has done its work; `events` once it was asked to leave."""
    name: str = request.param
    kind: Any = ToySessions if name == "release" else ToySession
    method = f"_{name}" if name == "release" else name
    real = getattr(kind, method)

    def call(self: Any, *args: Any) -> Any:
        value = real(self, *args)
        if name != "events" or self._leaving:
            raise OSError(f"{name} fails")
        return value

    monkeypatch.setattr(kind, method, call)
    return name


def config(pool: int) -> Config[Any]:
    """One worker over a toy."""
    return Config(on_create=object, worker_count=1, max_worker_count=1, resource_pool_size=pool, backend=ToyBackend())


def lose_sessions(m: Any, failing: str) -> None:
    """So that it is asked how they died."""
    if failing == "death":
        m._engine.backend.kill_all()


def check(m: Any) -> None:
    """It has ended, and each resource is accounted for."""
    assert repr(m).endswith("stopped>")
    ledger = m.stats().resources
    assert ledger.alive == 0
    assert ledger.created == ledger.destroyed + ledger.lost


@pytest.mark.parametrize("pool", [0, 1])
def test_threads(failing: str, pool: int) -> None:
    """`stop` returns."""
    m = TaskManager(config(pool))
    m.queue_task(lambda ctx, resource: 1)
    lose_sessions(m, failing)
    Call(m.stop).outcome(30)
    check(m)


@pytest.mark.parametrize("pool", [0, 1])
def test_asyncio(failing: str, pool: int) -> None:
    """`stop` returns."""

    async def main() -> None:
        m = await AsyncTaskManager(config(pool))
        await m.queue_task(lambda ctx, resource: 1)
        lose_sessions(m, failing)
        async with asyncio.timeout(30):
            await m.stop()
        check(m)

    asyncio.run(main())
