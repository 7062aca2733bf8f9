"""Opens the backend that a ``Config`` asks for, importing what it needs only then."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasker.aio.engine import AsyncEngine
    from tasker.threads.engine import Engine

    from .aio_backend import AsyncBackend
    from .threads_backend import ThreadsBackend


def threads_backend(engine: Engine) -> ThreadsBackend | None:
    """The children of a threaded manager; None where resources live in this process."""
    if engine.config.backend is None:
        return None
    from .threads_backend import ThreadsBackend  # noqa: PLC0415  what it needs comes with an extra

    return ThreadsBackend(engine)


def async_backend(engine: AsyncEngine) -> AsyncBackend | None:
    """The same for an asyncio manager."""
    if engine.config.backend is None:
        return None
    from .aio_backend import AsyncBackend  # noqa: PLC0415  as above

    return AsyncBackend(engine)
