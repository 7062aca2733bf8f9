"""What every backend has to know of the functions that users hand in."""

from __future__ import annotations

from types import CoroutineType
from typing import Any


def refused(coroutine: CoroutineType[Any, Any, Any]) -> TypeError:
    """Closes a coroutine that nothing will run, and returns the error of its task."""
    coroutine.close()
    return TypeError(
        f"{coroutine.__qualname__} is an async task: it needs an AsyncTaskManager, a TaskManager can't run it"
    )
