"""Errand: has another thread make or end a session for the main thread, in which Ctrl-C may strike anywhere.

A session takes sockets, pipes, a process and a place in the ledger, one after the other. Ctrl-C between two of these steps
would lose what the first has made. It never strikes in any thread but the main one; so that one waits for another, and if
it is struck meanwhile, the other thread ends what nothing waits for any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Generic, Protocol, TypeVar

from tasker.core.flag import Flag

T = TypeVar("T")


class StartsThreads(Protocol):
    """The part of an engine that an errand uses."""

    @property
    def help(self) -> Callable[[Callable[[], None], str, str], threading.Thread]:
        """Starts a thread that a stop waits for, with a name, and one for what it does in messages."""
        ...


class Errand(Generic[T]):
    """One call of ``fn`` for one caller. ``undo`` gets what it has returned if the caller was interrupted."""

    def __init__(self, fn: Callable[[], T], undo: Callable[[T], object]) -> None:
        self._fn: Callable[[], T] = partial(copy_context().run, fn)
        self._undo = undo
        self._done = Flag()
        self._made: list[T] = []
        """What it has returned, until the caller has it or it is undone."""
        self._error: BaseException | None = None
        self._given_up = False

    def outcome(self, engine: StartsThreads, name: str, what: str) -> T:
        """Returns what ``fn`` returns, or raises what it raises."""
        try:
            try:
                engine.help(self._run, name, what)
            except (RuntimeError, MemoryError):  # no more threads, as while the interpreter exits
                self._run()
            self._done.wait()
            if self._error is not None:
                raise self._error
            return self._made[0]
        except BaseException:
            # Both threads set theirs first and then look at the other's, so at least one of them undoes it.
            self._given_up = True
            self._undo_if_made()
            raise
        finally:
            self._error = None  # its traceback holds this frame

    def _run(self) -> None:
        try:
            self._made.append(self._fn())
        except BaseException as error:
            self._error = error
        self._done.set()
        if self._given_up:
            self._undo_if_made()

    def _undo_if_made(self) -> None:
        try:
            made = self._made.pop()
        except IndexError:  # nothing was made, or the other thread has it
            return
        self._undo(made)


def interruptible() -> bool:
    """Returns whether Ctrl-C may strike in this thread."""
    return threading.current_thread() is threading.main_thread()
