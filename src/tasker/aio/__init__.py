"""The asyncio face and engine: the same contract in one event loop."""

from tasker.async_manager import AsyncTaskManager as AsyncTaskManager

from .future import AsyncTaskFuture as AsyncTaskFuture
