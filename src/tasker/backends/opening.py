"""Opens the backend that a ``Config`` asks for, importing what it needs only then."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasker.aio.engine import AsyncEngine
    from tasker.engine import Engine

    from .process.looped import LoopHouse
    from .process.threaded import ThreadedHouse


def threaded_house(engine: Engine) -> ThreadedHouse | None:
    """The children of a threaded manager; None where resources live in this process."""
    if engine.config.backend is None:
        return None
    from .process.threaded import ThreadedHouse  # noqa: PLC0415  what it needs comes with an extra

    return ThreadedHouse(engine)


def loop_house(engine: AsyncEngine) -> LoopHouse | None:
    """The same for an asyncio manager."""
    if engine.config.backend is None:
        return None
    from .process.looped import LoopHouse  # noqa: PLC0415  as above

    return LoopHouse(engine)
