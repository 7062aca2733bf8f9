"""Where a thread or a coroutine is at this moment: the lines of its traceback, from where the library calls the user."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

_PACKAGE = str(Path(__file__).parents[1])
_MACHINERY = (threading.__file__, str(Path(threading.__file__).parent / "asyncio"), "<frozen")
"""What every thread and every coroutine is called through."""
_MOST = 20
"""Frames that are shown, the innermost ones."""


def stack_of_thread(ident: int | None) -> str:
    """Returns where a thread is; "" if it is not known. The thread runs on meanwhile."""
    frame = sys._current_frames().get(ident or 0)
    if frame is None:
        return ""
    frames = [one for one, _ in traceback.walk_stack(frame)][::-1]
    # What starts a thread comes before what the library calls the user's function through.
    return _formatted(frames, next((n for n, one in enumerate(frames) if _is_ours(one)), 0))


def stack_of_awaitable(awaitable: Any) -> str:
    """Returns where a coroutine or generator is suspended, down to what it waits for; "" if it is not known."""
    return _formatted([*_frames(awaitable)])


def stack_of_worker(awaitable: Any, thread_name: str, owner: object = None) -> str:
    """Returns where a worker of an event loop is: in a coroutine or, if that waits for a function in the worker's thread, in
    that thread. "" if neither is known, as for a hook that is a coroutine function. ``owner``: that of a ``Daemon``."""
    named = [thread for thread in threading.enumerate() if thread.name == thread_name]
    threads = [thread.ident for thread in named if getattr(thread, "owner", None) is owner]
    return stack_of_awaitable(awaitable) or "".join(map(stack_of_thread, threads))


def stack_of_caller() -> str:
    """Returns where this thread has called the library; "" if it is one of the library's own threads."""
    frames = [one for one, _ in traceback.walk_stack(sys._getframe())]
    called = next((n for n, one in enumerate(frames) if not _is_ours(one)), len(frames))
    users = [one for one in frames[called:] if not one.f_code.co_filename.startswith(_MACHINERY)]
    return "".join(traceback.StackSummary.extract((one, one.f_lineno) for one in users[:_MOST][::-1]).format())


def part_of(awaitable: Any, *names: str) -> Any:
    """Returns the first of these attributes that is there, or None: an awaitable may be any object of the user's, of which nothing
    can be asked."""
    for name in names:
        try:
            found = getattr(awaitable, name, None)
        except Exception:  # noqa: S112  a proxy, whose attributes may raise anything
            continue
        if found is not None:
            return found
    return None


def _frames(awaitable: Any) -> Iterator[FrameType]:
    while type(frame := part_of(awaitable, "cr_frame", "gi_frame")) is FrameType:
        yield frame
        awaitable = part_of(awaitable, "cr_await", "gi_yieldfrom")


def _is_ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_PACKAGE)


def _formatted(frames: list[FrameType], first: int = 0) -> str:
    """Returns the lines of frames, the outermost first. Those of the library that begin at ``first`` are left out with what is
    before them, as they are the same every time; those that the user's function calls, as ``Context.wait_async``, are not."""
    inner = next((n for n in range(first, len(frames)) if not _is_ours(frames[n])), len(frames))
    shown = [(frame, frame.f_lineno) for frame in frames[inner:][-_MOST:]]
    return "".join(traceback.StackSummary.extract(shown).format())
