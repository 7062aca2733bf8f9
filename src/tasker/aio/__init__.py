"""The asyncio face and engine: the same contract in one event loop."""

from .futures import AsyncTaskFuture as AsyncTaskFuture
from .manager import AsyncTaskManager as AsyncTaskManager
