"""Handlers of signals that were there before ``stop_on_signals``."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from support.waiting import eventually

SIGNAL = signal.SIGUSR1


@asynccontextmanager
async def handled() -> AsyncIterator[list[str]]:
    """A handler of the loop; gives what it was called with."""
    got: list[str] = []
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(SIGNAL, got.append, "own")
    try:
        yield got
    finally:
        loop.remove_signal_handler(SIGNAL)


async def test_a_handler_of_the_loop(make: Any) -> None:
    """It is not called in the block, and again after it."""
    async with handled() as got:
        async with make() as m:
            with m.stop_on_signals(SIGNAL) as received:
                os.kill(os.getpid(), SIGNAL)
                await eventually(lambda: bool(received))
        assert got == []
        os.kill(os.getpid(), SIGNAL)
        await eventually(lambda: got == ["own"])


async def test_a_block_inside_of_another(make: Any) -> None:
    """The signal goes to the inner manager, and after its block to the outer one."""
    async with handled() as got, make() as outer:
        with outer.stop_on_signals(SIGNAL):
            async with make() as inner:
                with inner.stop_on_signals(SIGNAL):
                    os.kill(os.getpid(), SIGNAL)
                    await eventually(lambda: inner.closed)
            assert not outer.closed
            os.kill(os.getpid(), SIGNAL)
            await eventually(lambda: outer.closed)
        assert got == []
        os.kill(os.getpid(), SIGNAL)
        await eventually(lambda: got == ["own"])


async def test_no_handler_before(make: Any) -> None:
    """Neither has the loop one after it."""
    before = signal.getsignal(SIGNAL)
    async with make() as m:
        with m.stop_on_signals(SIGNAL):
            pass
    assert signal.getsignal(SIGNAL) is before
    assert not asyncio.get_running_loop().remove_signal_handler(SIGNAL)
