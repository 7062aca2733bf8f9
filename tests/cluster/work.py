"""Resources and tasks for actors, which import them."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from tasker import Context


class Thing:
    """A resource that knows its thread."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.pid = os.getpid()


def pid(ctx: Context, thing: Any) -> int:
    """The process of the resource."""
    return os.getpid()


def same_thread(ctx: Context, thing: Thing) -> bool:
    """Whether tasks run where the resource was made."""
    return thing.thread == threading.get_ident()


def double(ctx: Context, thing: Any, number: Any) -> Any:
    """Twice as much."""
    return number * 2


def note(ctx: Context, thing: Any, path: str, line: str) -> None:
    """Append a line to a file."""
    with Path(path).open("a") as file:
        file.write(line + "\n")


def note_and_die(ctx: Context, thing: Any, path: str, how: str) -> None:
    """The same, and then this process ends in the middle of the task."""
    note(ctx, thing, path, "started")
    die(how)


def die(how: str) -> None:
    """End this process."""
    if how == "exit":
        os._exit(3)
    os.kill(os.getpid(), signal.SIGSEGV if how == "segfault" else signal.SIGKILL)
    time.sleep(60)


def waits(ctx: Context, thing: Any, path: str) -> float:
    """Wait for the cancellation; return when it came."""
    note(ctx, thing, path, "started")
    ctx.wait(120)
    return time.time()


def deaf(ctx: Context, thing: Any, path: str) -> None:
    """Heed no cancellation."""
    note(ctx, thing, path, "started")
    for _ in range(12_000):
        time.sleep(0.01)


async def waits_in_a_loop(ctx: Context, thing: Any, path: str) -> None:
    """Wait in a coroutine."""
    note(ctx, thing, path, "started")
    await asyncio.sleep(120)


def tells(ctx: Context, thing: Any) -> int:
    """Say how far it is, far more often than that is passed on."""
    for number in range(100_000):
        ctx.progress(number, 100_000)
    return os.getpid()


class Noting:
    """Hooks that write down what they do."""

    def __init__(self, path: str) -> None:
        self.path = path

    def make(self) -> Thing:
        note(None, None, self.path, "made")  # type: ignore[arg-type]
        return Thing()

    def end(self, thing: Thing) -> None:
        note(None, None, self.path, "ended")  # type: ignore[arg-type]

    def refuse(self) -> Thing:
        raise ValueError("no such thing")


def unpicklable(ctx: Context, thing: Any) -> Any:
    """A result that cannot travel."""
    return threading.Lock()


def own_error(ctx: Context, thing: Any) -> None:
    """An error with a cause."""
    try:
        raise KeyError("inner")
    except KeyError as error:
        raise ValueError("outer") from error
