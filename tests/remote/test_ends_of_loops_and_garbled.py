"""A loop that ends while sessions destroy their resources, and a report that cannot be read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.gates import Gate
from support.toy_session import ToyBackend
from tasker import AsyncTaskManager, Config, TaskManager, TravelError
from tasker.remote.events import ERROR, GARBLED
from tasker.remote.mailbox import Mailbox


class Slow:
    """Hooks; resources are destroyed in their sessions once the gate is open."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.made = self.destroyed = 0

    async def create(self) -> int:
        self.made += 1
        return self.made

    async def destroy(self, resource: int) -> None:
        self.gate.pass_through()
        self.destroyed += 1


def test_the_end_of_the_loop_does_not_cut_the_end_of_a_session_short() -> None:
    """``asyncio.run`` cancels all tasks while a session destroys its resource: that is waited for, and counts as
    destroyed."""
    hooks = Slow()

    async def main() -> AsyncTaskManager[Any]:
        config = Config(
            on_create=hooks.create, on_destroy=hooks.destroy, worker_count=1, max_worker_count=1, resource_pool_size=0,
            backend=ToyBackend(),
        )  # fmt: skip
        m = await AsyncTaskManager(config)
        main.kept = asyncio.create_task(m.stop())  # type: ignore[attr-defined]
        await hooks.gate.arrivals(1)
        asyncio.get_running_loop().call_later(0.05, hooks.gate.open)
        return m

    m = asyncio.run(main())
    assert (hooks.destroyed, m.stats().resources.destroyed, m.stats().resources.lost) == (1, 1, 0)


@pytest.fixture
def garbled_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors that sessions report cannot be read."""
    real = Mailbox.take

    def take(self: Mailbox) -> list[Any]:
        return [(GARBLED, OSError("no descriptor left")) if e[0] == ERROR else e for e in real(self)]

    monkeypatch.setattr(Mailbox, "take", take)


def fails(ctx: Any, resource: Any) -> None:
    """A task that raises."""
    raise LookupError


def returns(ctx: Any, resource: Any) -> str:
    """A task that does not."""
    return "next"


def config(**options: Any) -> Config[Any]:
    """One worker, whose session pauses after errors, until they are judged."""
    return Config(
        on_create=object, check_health=lambda error: True, worker_count=1, max_worker_count=1, backend=ToyBackend(),
        **options,
    )  # fmt: skip


@pytest.mark.usefixtures("garbled_errors")
def test_after_an_error_that_cannot_be_read() -> None:
    """The session, which waits for a judgement, is replaced, and the next task runs; so it is for ``run_task``."""
    with TaskManager(config(resource_pool_size=1)) as m:
        for run in (m.queue_task, m.run_task):
            with pytest.raises(TravelError):
                run(fails)
            assert run(returns) == "next"


@pytest.mark.usefixtures("garbled_errors")
def test_after_an_error_that_cannot_be_read_in_a_loop() -> None:
    """The same on asyncio."""

    async def afails(ctx: Any, resource: Any) -> None:
        fails(ctx, resource)

    async def areturns(ctx: Any, resource: Any) -> str:
        return returns(ctx, resource)

    async def main() -> None:
        async with AsyncTaskManager(config(resource_pool_size=1)) as m:
            for run in (m.queue_task, m.run_task):
                with pytest.raises(TravelError):
                    await asyncio.wait_for(run(afails), 20)
                assert await asyncio.wait_for(run(areturns), 20) == "next"

    asyncio.run(main())
