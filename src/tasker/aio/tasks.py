"""Starts the tasks of the loop that belong to the library."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def start_task(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, T],
    name: str,
    variables: contextvars.Context | None = None,
) -> asyncio.Task[T]:
    """Starts a task of the loop, in an empty context unless ``variables`` are given. Its first step is always a later
    one: whatever keeps the task, and needs to, has it by then."""
    # Not ``loop.create_task``: the task factory of the loop may be ``asyncio.eager_task_factory``, with which the task
    # would run, and perhaps end, before the caller has it. An empty context by default, because what the library does
    # has nothing to do with the code that happens to start it.
    return asyncio.Task(coroutine, loop=loop, name=name, context=variables or contextvars.Context())
