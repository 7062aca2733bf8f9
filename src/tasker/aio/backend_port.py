"""The interface between an engine in an event loop and its backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tasker.core.ports import RemoteBackend

from .resource_handle import AsyncResourceMaker
from .worker import AsyncWorker


class AsyncBackendPort(RemoteBackend, AsyncResourceMaker, Protocol):
    """The part of a backend that an asyncio engine uses: makes workers, and resources for ``run_task``."""

    @property
    def worker(self) -> Callable[..., AsyncWorker]:
        """Makes a worker whose resource lives there."""
        ...

    async def released(self, limit: float | None) -> None:
        """Waits until what ``finish_apart`` has begun is over, ``limit`` seconds at most (None: no limit)."""
