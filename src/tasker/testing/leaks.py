"""Finds managers that were not ended, or not completely: what ``--tasker-leaks`` and ``assert_no_leaks`` look for."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tasker.control.lifecycle import Phase
from tasker.core import census

GRACE = 1.0
"""The seconds that a manager whose end has begun, and a thread that is about to return, have for it."""
_POLL = 0.005
_PRUNED = 64
_FACES = {"Engine": "TaskManager", "AsyncEngine": "AsyncTaskManager", "InlineEngine": "InlineTaskManager"}
_NOT_STOPPED = ("it was collected without stop()", "its event loop ends")
"""Why a manager was killed that the program has not ended."""


class ManagerWatch:
    """Takes note of the managers that start between ``begin`` and ``end``. Watches can be nested: the innermost one has
    a manager. Managers may start in any thread; the methods belong to one."""

    def __init__(self) -> None:
        self._engines: list[Any] = []
        # Bound once: ``list.remove`` compares by equality, which two watches never have.
        self._listener = self._add

    def begin(self) -> None:
        """Begins to take note of managers."""
        census.listeners.append(self._listener)

    def end(self) -> None:
        """Takes note of no more managers. Harmless if repeated."""
        if self._listener in census.listeners:
            census.listeners.remove(self._listener)

    def leaks(self, grace: float = GRACE) -> list[str]:
        """Returns what is wrong with the managers that it has noted, a text for each fault: one that was not stopped, a
        ledger that does not add up, a thread that still runs. Waits up to ``grace`` seconds for what is about to end."""
        deadline = time.monotonic() + grace
        while True:
            found = [text for engine in self._engines for text in _faults_of(engine)]
            if not found or time.monotonic() >= deadline:
                return found
            time.sleep(_POLL)

    def check(self, grace: float = GRACE) -> None:
        """Raises ``AssertionError`` if ``leaks`` finds something, with all that it finds."""
        found = self.leaks(grace)
        if found:
            raise AssertionError("\n".join(["managers were left behind:", *found]))

    def _add(self, engine: Any) -> None:
        # A strong reference, or a manager that was dropped without a stop would be gone. So that a test of many managers
        # does not keep them all, those that have ended well are forgotten at times.
        if len(self._engines) >= _PRUNED:
            self._engines = [one for one in self._engines if any(True for _ in _faults_of(one))]
        self._engines.append(engine)


@contextmanager
def assert_no_leaks(grace: float = GRACE) -> Iterator[ManagerWatch]:
    """A context manager that raises ``AssertionError`` at its end if a manager that started inside was not stopped, has a
    ledger that does not add up (``created != destroyed + lost``), or left threads that still run. Waits up to ``grace``
    seconds for what is about to end. For tests without pytest; with it, use ``--tasker-leaks``. An error that is raised
    inside goes first."""
    watch = ManagerWatch()
    watch.begin()
    try:
        yield watch
    finally:
        watch.end()
    watch.check(grace)


def _faults_of(engine: Any) -> Iterator[str]:
    """Yields what is wrong with a manager."""
    if engine.is_forked:  # it is the parent's
        return
    view = engine.view
    name = f"{_FACES.get(type(engine).__name__, type(engine).__name__)} {engine.config.name!r}"
    if view.phase is not Phase.STOPPED:
        if view.phase is not Phase.RUNNING or view.active:  # else it has never started
            text = f"has not ended, {view.phase.value}: {engine.refusal}" if engine.closed else "was not stopped"
            yield f"{name} {text}; {_numbers(engine)}{_whose(engine)}"
        return
    if engine.refusal.endswith(_NOT_STOPPED):
        yield f"{name} was not stopped, but killed: {engine.refusal.rpartition(': ')[2]}; {_numbers(engine)}"
    ledger = engine.counters.ledger
    if ledger.created != ledger.destroyed + ledger.lost:
        yield f"{name} has not destroyed each of its resources; {_numbers(engine)}{_whose(engine)}"
    for thread in threading.enumerate():
        if _runs_for(thread, engine):
            yield f"{name} has ended, and its thread {thread.name!r} still runs"


def _numbers(engine: Any) -> str:
    flow, ledger = engine.counters.flow(), engine.counters.ledger
    return (
        f"tasks: {flow.queued} queued, {flow.running} running, {flow.done} done; resources: {ledger.created} created,"
        f" {ledger.destroyed} destroyed, {ledger.lost} lost"
    )


def _whose(engine: Any) -> str:
    """Returns whose resources are left, where that is known."""
    origins = engine.counters.origins
    return "" if origins is None else "".join(f"\n{text}" for text in origins.living)


def _runs_for(thread: threading.Thread, engine: Any) -> bool:
    """Returns whether a thread runs a worker, the supervisor or user code of this engine."""
    # Not by its name, which the threads of two managers may share. ``Thread`` keeps its target while it runs.
    target = getattr(thread, "_target", None)
    target = getattr(target, "func", target)  # of a partial
    owner = getattr(target, "__self__", None)
    if owner is engine or getattr(owner, "engine", None) is engine:
        return True
    if any(cell.cell_contents is engine for cell in getattr(target, "__closure__", None) or () if _is_full(cell)):
        return True
    # The thread of a resource of an event loop knows its loop alone.
    loop = getattr(engine, "loop", None)
    return loop is not None and getattr(owner, "_loop", None) is loop and thread.name.startswith(engine.config.name)


def _is_full(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True
