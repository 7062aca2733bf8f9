"""Makes an event loop that runs in a worker visible to the search for deadlocks: ``asyncio.run`` in a task, with an
``await`` of tasks of the same manager.

The thread sleeps in the loop's selector, whatever the loop waits for. It counts as blocked only if nothing else can wake
it: no call is due, no timer is set, no file is watched, and each task of the loop waits for tasks of the manager, in one of
the ways of asyncio (``loop_futures``). A loop that does not show that (uvloop) is never taken for blocked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from tasker.control.deadlock import Need
from tasker.errors import DeadlockError

from .future_log import Callback
from .loop_futures import closed_over


class CallbackOfLoop(Callback):
    """The callback by which ``asyncio.wrap_future`` passes an outcome on to a future of a loop."""

    __slots__ = ()
    # What awaits the task does not wait for callbacks of the user, as a sleeping thread does not.
    first = True


class BridgeToLoop(CallbackOfLoop):
    """One that was added in a worker: ``destination`` is the future of the loop."""

    __slots__ = ("_turn", "destination", "future")

    def __init__(self, future: Any, fn: Callable[[Any], object], destination: Any) -> None:
        super().__init__(fn)
        self.future: Any = future
        self.destination: Any = destination
        self._turn = [None]

    def notify(self, future: Any) -> None:
        if self.claim():
            super().notify(future)

    def claim(self) -> bool:
        """Returns True once: to what passes on the outcome, or to what refuses the wait."""
        try:
            self._turn.pop()  # atomic
        except IndexError:
            return False
        return True


class LoopWait:
    """See ``BlockingWait``: the wait of one thread in its loop. ``add`` is called in that thread."""

    def __init__(self, loop: Any, thread: int) -> None:
        self.loop: Any = loop
        self._thread = thread
        self._bridges: list[BridgeToLoop] = []

    def add(self, bridge: BridgeToLoop) -> None:
        """Notes a future that may be awaited."""
        self._bridges = [one for one in self._bridges if not one.destination.done()]
        self._bridges.append(bridge)

    def need(self) -> Need[Any] | None:
        """See ``BlockingWait``."""
        bridges = {one.destination: one for one in self._bridges if not one.future.done()}
        try:
            if not bridges or not self._sleeps():
                return None
            asyncio = sys.modules["asyncio"]
            tasks = asyncio.all_tasks(self.loop)
            known = closed_over({*tasks, *bridges})
            if any(task._fut_waiter not in known for task in tasks):
                return None
            own = tuple(bridge.future for one, bridge in bridges.items() if one._callbacks)
            # Again: it may have run meanwhile, and then what was read is of two moments.
            return Need(own, any=True) if own and self._sleeps() else None
        except (AttributeError, KeyError, RuntimeError):  # another loop, another future, or it has just changed
            return None

    def _sleeps(self) -> bool:
        """Returns whether the thread sleeps until another thread wakes its loop."""
        loop, frame = self.loop, sys._current_frames().get(self._thread)
        return (
            frame is not None
            and frame.f_code.co_name == "select"
            and not loop._ready
            and all(timer.cancelled() for timer in tuple(loop._scheduled))
            and len(loop._selector.get_map()) == 1  # by which it is woken
        )

    def refuse(self, error: DeadlockError) -> None:
        """See ``BlockingWait``."""
        for bridge in self._bridges:
            if not bridge.destination.done() and bridge.claim():
                try:
                    self.loop.call_soon_threadsafe(_fail, bridge.destination, error)
                except RuntimeError:  # the loop was closed in the meantime
                    pass
                return

    def __repr__(self) -> str:
        return "an event loop"


def destination_of(fn: Any) -> Any:
    """Returns the future of a loop to which a callback of ``asyncio`` passes an outcome; None for any other callback."""
    if getattr(fn, "__qualname__", "") != "_chain_future.<locals>._call_set_state":
        return None
    cells = dict(zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True))
    return cells["destination"].cell_contents if "destination" in cells else None


def _fail(destination: Any, error: DeadlockError) -> None:
    if not destination.done():
        destination.set_exception(error)
