"""EndWaits: the calls of ``stop`` and ``kill`` that wait for the end of an engine, and those of ``pause``.

Such a call is refused at once inside a task of its own manager. But it may be made in a further task of the loop, for
which the manager's task begins to wait only later: so the calls are looked at again at each tick.
"""

from __future__ import annotations

import asyncio
from typing import Any

from tasker.errors import DeadlockError

from .reentrancy import HasWorkers, running_for


class EndWaits:
    """Knows which tasks of the loop wait for the end of an engine."""

    def __init__(self, engine: HasWorkers) -> None:
        self._engine = engine
        self._waits: dict[asyncio.Future[None], tuple[asyncio.Task[Any] | None, str]] = {}

    async def wait(
        self, ending: asyncio.Future[Any], timeout: float | None, what: str = "the end of the manager"
    ) -> None:
        """Waits for ``ending``, at most ``timeout`` seconds (None: no limit). Raises ``DeadlockError`` once a task of the
        manager waits for the caller. ``what`` describes it."""
        refused: asyncio.Future[None] = ending.get_loop().create_future()
        self._waits[refused] = asyncio.current_task(), what
        try:
            await asyncio.wait([ending, refused], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._waits[refused]
        if refused.done() and not ending.done():
            refused.result()

    def judge(self) -> None:
        """Refuses the waits that would never end."""
        for refused, (caller, what) in self._waits.items():
            where = None if refused.done() else running_for(self._engine, caller)
            if where is not None:
                refused.set_exception(DeadlockError(f"{what} is awaited by {where}, which it waits for"))
                refused.exception()  # retrieved, also if the caller is cancelled first
