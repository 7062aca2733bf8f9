"""Runs tests that are coroutine functions, for the `conftest.py` of a folder that has some."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest


def run(item: pytest.Function, limit: float) -> bool | None:
    """Run such a test, for `limit` seconds at most; leave any other to pytest."""
    if not inspect.iscoroutinefunction(item.obj):
        return None
    # In a task of its own: some tests raise GeneratorExit through `await`, which closes every coroutine that it passes.
    asyncio.run(_within(item, limit))
    return True


async def _within(item: pytest.Function, limit: float) -> None:
    arguments: dict[str, Any] = {name: item.funcargs[name] for name in item._fixtureinfo.argnames}
    await asyncio.wait_for(asyncio.create_task(item.obj(**arguments)), limit)
