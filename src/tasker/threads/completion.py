"""What follows once an outcome is in the log of a future: it is published, counted, and its watchers are notified.

The thread that appended the outcome sees to it. But that thread may be interrupted on the way: by Ctrl-C, by another
asynchronous exception, or because its stack is used up (``RecursionError``). Then the outcome is in the log, the next
steps are missing, and the ending is marked as ``unfinished``. **What finds such an ending finishes it**: a waiter, a
canceller, a kill, or at the latest the worker that takes the task from the queue. So each step may be repeated: it is
harmless the second time (publishing, waking a waiter), or it is claimed by exactly one thread (counting, calling a
callback), where nothing is called between the claim and what it is for, so that nothing can interrupt.

An ending is not marked from the start: then a thread that only looks would call the callbacks of another one that is
at work.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from .callback_runner import callback_runner
from .future_log import SETTLED, Bridge, Ending, Logged, Mark, outcome_in


def complete(future: Any, outcome: Ending | Mark, log: tuple[Any, ...]) -> None:
    """Does what follows an outcome, as far as it is not done. ``log``: a copy that has the outcome."""
    queued = type(outcome) is Ending and not outcome.forced
    # Published and counted before anything is notified: a caller that has the outcome also finds it in the future and
    # in ``stats()``.
    future._publish(outcome)
    if queued:
        future._owner.ended_in_queue(future, outcome)
    callbacks = []
    # Only watchers before the ending: whatever appends one behind it finds the ending in its copy (``_catch_up``).
    for entry in log:
        if entry is outcome:
            break
        if type(entry) is Mark or type(entry) is Ending:
            continue
        if not entry.first:
            callbacks.append(entry)
        elif queued and type(entry) is Bridge:
            _notify_later(future, entry)
        else:  # sleeping threads do not wait for callbacks of the user
            entry.notify(future)
    if callbacks:
        callback_runner.call(future, callbacks)
    if queued:
        # After the watchers: until they are notified, the worker that takes the task would find the ending.
        future._owner.left_queue(future)
    if type(outcome) is Ending:
        outcome.unfinished = False
    else:
        future._log = SETTLED


def finish(future: Logged) -> None:
    """Completes the outcome of a future if the thread that appended it was interrupted."""
    log = (*future._log,)
    outcome = outcome_in(log)
    if type(outcome) is Ending and outcome.unfinished:
        complete(future, outcome, log)


def _notify_later(future: Any, bridge: Bridge) -> None:
    """Has the manager's own thread notify a bridge."""
    # This is a cancellation, perhaps in a signal handler or finalizer that has interrupted ``concurrent.futures.wait`` in
    # this very thread. That holds locks, and relies on nothing changing meanwhile; and what it waits with can't be
    # notified twice, if this thread is interrupted. Nothing interrupts the manager's thread.
    future._owner.soon(partial(bridge.notify, future))
