"""A signal handler that cancels the parent context, or begins a refresh, in the midst of a step of the engine."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import Callable
from typing import Any

import pytest
from unit.interrupts import Moments

from support.waiting import WAIT
from tasker import Context, ShutdownError
from tasker.aio.counters import AsyncShard
from tasker.aio.owner import AsyncFutureOwner
from tasker.aio.queue import AsyncTaskQueue
from tasker.aio.submitting import Submitting

from .tasks import idle, quick

STEPS = (Submitting.submit, AsyncFutureOwner.admit, AsyncTaskQueue.wake)


def on_signal_once(call: Callable[[], object]) -> Callable[[], None]:
    """Makes what has a signal handler call `call`, the first time."""
    left = [call]
    signal.signal(signal.SIGUSR1, lambda *_: left.pop()())

    def strike() -> None:
        if left:
            signal.raise_signal(signal.SIGUSR1)

    return strike


@pytest.fixture(autouse=True)
def handler() -> Any:
    """Puts the handler of SIGUSR1 back."""
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("what", ["the parent ends", "refresh"])
async def test_a_worker_that_is_about_to_wait(make: Any, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """It has found nothing to do, and does not wait yet: what is asked of it then is not lost."""
    ctx, begun, flush = Context(), [], AsyncShard.flush
    m = await make(ctx=ctx)
    await m.queue_task(quick)
    await idle(m)
    strike = on_signal_once(ctx.cancel if what == "the parent ends" else lambda: begun.append(m.refresh()))

    def strikes(shard: AsyncShard) -> None:
        flush(shard)
        strike()

    monkeypatch.setattr(AsyncShard, "flush", strikes)
    assert await m.submit(quick) is not None
    await idle(m)
    if what == "refresh":
        assert await asyncio.wait_for(begun[0], WAIT)
        assert m.stats().renewed_workers == 1
    else:
        assert m.closed
    assert not (await asyncio.wait_for(m.stop(), WAIT)).killed


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("what", ["the parent ends", "refresh"])
async def test_at_each_moment_of_a_submit(make: Any, workers: int, what: str) -> None:
    """The task is refused, or it is accepted and runs."""
    outcomes = set()
    for number in itertools.count():
        ctx = Context()
        m = await make(ctx=ctx, worker_count=workers, max_worker_count=1)
        await idle(m, workers)
        begun: list[Any] = []
        moments = Moments(number, STEPS, ctx.cancel if what == "the parent ends" else lambda: begun.append(m.refresh()))  # noqa: B023
        try:
            future = moments.call(lambda: m.submit(quick))  # noqa: B023
        except ShutdownError:
            outcomes.add("refused")
        else:
            assert await asyncio.wait_for(future, WAIT) is not None
            outcomes.add("run")
        if begun:
            assert await asyncio.wait_for(begun[0], WAIT)
        assert not (await asyncio.wait_for(m.stop(), WAIT)).killed, moments.struck
        assert m.stats().accepted_tasks == m.stats().done_tasks
        if moments.struck is None:
            break
    assert number > 5
    assert outcomes == ({"run"} if what == "refresh" else {"run", "refused"})
