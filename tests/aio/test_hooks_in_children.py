"""What an asyncio engine does not do in a forked child."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tasker import Config
from tasker.aio.hooks import reset
from tasker.aio.upkeep import AsyncUpkeep


async def test_nothing_is_done_with_the_resource_of_the_parent() -> None:
    """on_return is not called, and a resource that is worn is not reported: nothing would handle that."""
    called: list[Any] = []
    config = Config(on_create=object, worker_count=1, on_return=called.append)
    engine: Any = SimpleNamespace(is_forked=True, config=config, report=called.append, torn_down=False)
    handle: Any = SimpleNamespace(resource="resource", wear=SimpleNamespace(served=0, worn=lambda now: True))
    assert await reset(engine, handle)
    worker: Any = SimpleNamespace(seat=None, name="crew-1")
    assert await AsyncUpkeep(engine, worker, handle).after_task()
    assert not called
