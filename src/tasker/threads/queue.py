"""TaskQueue: strict priority, first in first out inside a level.

A level is a deque. ``tokens`` holds one token for each task that lies in a level, put *after* the task, so whoever
takes a token finds a task; only not necessarily the one that the token was put for: it takes the first of the most
urgent level. The blocking is done by ``SimpleQueue``, in C. A token may also be ``RETIRE``: the worker that takes it
ends.

Why not ``queue.PriorityQueue``: a lock and two conditions in Python for each task, and no order inside a level. Why
not a ``SimpleQueue`` for each level: a worker cannot block on three. Why not hand the task itself through ``tokens``:
a worker would hold a task of low priority in its hand while it starts an urgent one, and an idle worker could not get
at it.

Atomic without the GIL: ``deque.append``, ``deque.popleft``, ``SimpleQueue.put`` and ``get``, each on its own object.
"""

from __future__ import annotations

import queue
from collections import deque
from typing import Any

from tasker.options import Priority

from .future import TaskFuture

RETIRE = object()
CHECK_SESSION = object()
"""A token for a worker whose resource has died elsewhere, see ``remote.targeted_wakeup``."""
_LONG = 10_000
_PATIENCE = 1_000


class TaskQueue:
    """The tasks that wait to be started. All methods are thread-safe."""

    def __init__(self) -> None:
        self.tokens: queue.SimpleQueue[object] = queue.SimpleQueue()
        self.levels: tuple[deque[TaskFuture[Any]], ...] = tuple(deque() for _ in Priority)

    def put(self, future: TaskFuture[Any], level: int) -> None:
        """Adds a task at the end of a level."""
        self.levels[level].append(future)
        self.tokens.put(None)

    def take(self) -> TaskFuture[Any] | None:
        """The task for a token that was taken: the first of the most urgent level that has one. None if there is none,
        again and again: then the token was one too many, see ``mend``."""
        for _ in range(_PATIENCE):
            for level in self.levels:
                try:
                    return level.popleft()
                except IndexError:
                    continue
        return None

    def take_for_token(self) -> list[tuple[TaskFuture[Any], int]]:
        """``take``, in a list, and with the level that it came from."""
        for _ in range(_PATIENCE):
            for number, level in enumerate(self.levels):
                try:
                    return [(level.popleft(), number)]
                except IndexError:
                    continue
        return []

    def take_some(self, most: int) -> tuple[list[tuple[TaskFuture[Any], int]], bool]:
        """What can be had at once, token and task, with the levels; as much as that at most, and nothing of low priority,
        which everything may overtake. And whether a ``RETIRE`` was among the tokens, which the taker then has to heed."""
        taken: list[tuple[TaskFuture[Any], int]] = []
        next_token, (high, normal, _) = self.tokens.get_nowait, self.levels
        try:
            while len(taken) < most:
                token = next_token()
                if token is RETIRE:
                    return taken, True
                if token is CHECK_SESSION:  # for a worker that is idle
                    self.tokens.put(token)
                    break
                try:
                    taken.append((high.popleft(), 0) if high else (normal.popleft(), 1))
                except IndexError:
                    self.tokens.put(token)
                    break
        except queue.Empty:
            pass
        return taken, False

    def put_back(self, future: TaskFuture[Any], level: int) -> None:
        """Adds a task that was taken and not begun where it was: before those that were accepted after it."""
        tasks, place = self.levels[level], 0
        try:
            while tasks[place].id < future.id:
                place += 1
        except IndexError:
            pass
        tasks.insert(place, future)
        self.tokens.put(None)

    def replace_token(self) -> None:
        """After a worker was struck by an asynchronous exception, which may have cost a token: puts one more."""
        self.tokens.put(None)

    def discard(self, future: TaskFuture[Any]) -> None:
        """Takes out a task that has ended, unless the queue is so long that looking for it would cost more than
        letting it lie until its turn comes (it holds neither its function nor its arguments any more).

        Whoever removes a task must hold a token, as a worker does; else tokens and tasks would no longer match.
        """
        if sum(map(len, self.levels)) > _LONG:
            return
        try:
            token = self.tokens.get_nowait()
        except queue.Empty:
            return
        if token is None:
            for level in self.levels:
                try:
                    level.remove(future)
                    return
                except ValueError:
                    continue
            self.tokens.put(token)
        elif token is RETIRE:
            self.retire(1)
        else:
            self.tokens.put(token)

    def retire(self, count: int) -> None:
        """Lets as many workers end: idle ones now, else those that first have no task. Costs O(queued).

        Tokens are alike; so those of the tasks are taken out and put behind. Meanwhile a worker may find none, and then
        waits for the moment that this takes.
        """
        found = {CHECK_SESSION: 0, RETIRE: count, None: 0}
        try:
            for _ in range(self.tokens.qsize()):
                found[self.tokens.get_nowait()] += 1
        except queue.Empty:
            pass
        for token, times in found.items():
            for _ in range(times):
                self.tokens.put(token)

    def take_all(self) -> list[TaskFuture[Any]]:
        """Removes and returns what nobody has taken yet, most urgent first."""
        taken, others = [], []
        while True:
            try:
                token = self.tokens.get_nowait()
            except queue.Empty:
                break
            if token is not None:
                others.append(token)
            elif (future := self.take()) is not None:
                taken.append(future)
        for token in others:
            self.tokens.put(token)
        return taken

    def waiting(self) -> list[TaskFuture[Any]]:
        """What lies in the queue now, most urgent first, ended ones included."""
        return [future for level in self.levels for future in level.copy()]
