"""A value worth sharing, and tasks that look at it. Not in the test: actors and children import this."""

from __future__ import annotations

import importlib
import pickle
from typing import Any

SIZE = 400_000


class Blob:
    """A value with a large buffer, like an array."""

    def __init__(self, buffer: Any) -> None:
        self.view = memoryview(buffer)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Blob, (pickle.PickleBuffer(self.view),)


def blob() -> Blob:
    """One of SIZE bytes."""
    return Blob(bytes(range(200)) * (SIZE // 200))


def seen(ctx: Any, resource: Any, value: Any) -> tuple[str, int, bool, int]:
    """The kind of a blob, its size, whether it can be changed, and which of those made in this worker it is."""
    return type(value).__name__, value.view.nbytes, value.view.readonly, id(value)


def identity(value: Any, ctx: Any, resource: Any) -> int:
    """Which of the objects made in this worker it is."""
    return id(value)


def kept(ctx: Any, resource: Any) -> int:
    """How many shared values this worker keeps."""
    found = 0
    for name in ("process.protocol.shared_values", "ray.sharing"):
        module = importlib.import_module(f"tasker.{name}")
        found += len(getattr(module, "_values", None) or getattr(getattr(module, "values", None), "_values", ()))
    return found
