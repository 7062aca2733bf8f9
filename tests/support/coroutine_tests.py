"""Runs tests that are coroutine functions, for the `conftest.py` of a folder that has some."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
from collections.abc import Callable
from typing import Any

import pytest


def run(item: pytest.Function, limit: float) -> bool | None:
    """Run such a test, for `limit` seconds at most; leave any other to pytest."""
    if not inspect.iscoroutinefunction(item.obj):
        return None
    # In a task of its own: some tests raise GeneratorExit through `await`, which closes every coroutine that it passes.
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_within(item, limit))
    return True


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The loops of the package that TASKER_TEST_LOOP names (``make test-uvloop``), or asyncio's own."""
    package = os.environ.get("TASKER_TEST_LOOP")
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if package:
        factory = importlib.import_module(package).new_event_loop
    return factory


async def _within(item: pytest.Function, limit: float) -> None:
    arguments: dict[str, Any] = {name: item.funcargs[name] for name in item._fixtureinfo.argnames}
    await asyncio.wait_for(asyncio.create_task(item.obj(**arguments)), limit)
