"""TaskQueue: orders tasks strictly by priority, and first in, first out at the same priority.

There is a deque for each priority, a *level*. ``tokens`` holds one token for each task in a level. A worker blocks on
``tokens``, which ``SimpleQueue`` does in C (many without the GIL: see ``lookouts``); with the token it takes the first task of
the most urgent level, which is not necessarily the task that the token was put for. Tokens of other kinds are orders: a worker
that takes ``RETIRE`` ends, one that takes ``PARK`` asks the ``ParkingLot``, and one that takes ``HOLD`` the ``TaskHold``.

Atomic without the GIL: ``deque.append``, ``deque.popleft``, ``SimpleQueue.put`` and ``get``, each on its own object.

Rejected: ``queue.PriorityQueue``, which takes a lock and two conditions in Python for each task, and has no order among
tasks of the same priority. A ``SimpleQueue`` for each level, because a worker cannot block on three. Tasks in place of
tokens, because a worker that took a task of low priority would keep it while it runs an urgent one.
"""

from __future__ import annotations

import itertools
import queue
from collections import deque
from collections.abc import Callable
from typing import Any

from tasker.core import tombstones
from tasker.core.parking import ParkingLot
from tasker.core.snapshots import copied, snapshot
from tasker.options import Priority

from .cooling import CoolingWorkers
from .future import TaskFuture
from .lookouts import TokensWithLookouts, tokens_for

RETIRE = object()
"""A token: ends the worker that takes it."""
PARK = object()
"""A token: parks the worker that takes it, if that is still wanted."""
CALL = object()
"""A token: ends the worker that takes it, if its resource is outdated, see ``renewals``."""
HOLD = object()
"""A token: has the worker that takes it wait for the end of a pause."""
CHECK_SESSION = object()
"""A token: wakes the worker whose resource has died in its process, see ``remote.targeted_wakeup``."""
_FRONT = 1_000
"""The number of tasks at the front of a level that a sweep leaves to the workers."""
_MAX_SCANS = 1_000
"""How often the levels are scanned for the task of a token."""


class TaskQueue:
    """Holds the tasks that wait to be started. All methods are thread-safe."""

    def __init__(self, workers: int = 1) -> None:
        """``workers``: how many there will be at most, as far as that is known."""
        self.tokens: queue.SimpleQueue[object] = tokens_for(workers)
        self.levels: tuple[deque[TaskFuture[Any]], ...] = tuple(deque() for _ in Priority)
        self.lot: ParkingLot = ParkingLot()
        self.cooling: CoolingWorkers = CoolingWorkers(self.tokens, (RETIRE, PARK, HOLD))
        self._tombstones = tombstones.Tombstones()

    def put(self, future: TaskFuture[Any], level: int) -> None:
        """Appends a task to a level."""
        # The token after the task, so that whatever takes a token finds a task.
        self.levels[level].append(future)
        self.tokens.put(None)

    def take(self) -> TaskFuture[Any] | None:
        """Removes and returns the task for a token that was taken: the first one of the most urgent level that has any.
        Returns None if there is none: then the token was one too many, see ``replace_token``."""
        # A scan may miss a task: after it saw an urgent level empty, a task is added there, and another worker takes
        # the one in the level that this scan reaches next. So it scans again.
        for _ in range(_MAX_SCANS):
            for level in self.levels:
                try:
                    return level.popleft()
                except IndexError:
                    continue
        return None

    def take_for_token(self, taken: list[tuple[TaskFuture[Any], int]]) -> None:
        """As ``take``, but appends the task, if there is one, to a list, with the level from which it came."""
        for _ in range(_MAX_SCANS):
            for number, level in enumerate(self.levels):
                try:
                    # By a step of an iterator, for the reason that ``ThreadHost._serve`` has: it cannot be lost on its way there.
                    for future in iter(level.popleft, None):
                        taken.append((future, number))
                        return
                except IndexError:
                    continue

    def take_some(self, most: int, taken: list[tuple[TaskFuture[Any], int]]) -> object:
        """Takes tasks without waiting, and appends them with their levels to a list until it has ``most``. Returns the last token
        if it was an order, which the caller then has to obey; else None."""
        # No tasks of low priority: these are taken to be sent ahead, and any other task may overtake them until then.
        next_token, (high, normal, _) = self.tokens.get_nowait, self.levels
        firsts = iter(high.popleft, None), iter(normal.popleft, None)
        try:
            while len(taken) < most:
                token = next_token()
                if token in (RETIRE, PARK, HOLD):
                    return token
                if token is CHECK_SESSION:  # for an idle worker, which this one is not
                    self.tokens.put(token)
                    break
                number = 0 if high else 1
                try:
                    for future in firsts[number]:  # as above
                        taken.append((future, number))
                        break
                except IndexError:  # the token's task is of low priority, or another worker took it
                    self.tokens.put(token)
                    break
        except queue.Empty:
            pass
        return None

    def put_back(self, future: TaskFuture[Any], level: int) -> None:
        """Puts a task that was taken, and not begun, back where it was: before the tasks that were accepted after
        it."""
        tasks, index = self.levels[level], 0
        # Other threads may take tasks meanwhile; then this one gets a little further to the back, and none is lost.
        try:
            while tasks[index].id < future.id:
                index += 1
        except IndexError:
            pass
        tasks.insert(index, future)
        self.tokens.put(None)

    def replace_token(self) -> None:
        """Puts a token in place of one that a worker may have lost when an asynchronous exception struck it."""
        # One token too many does no harm (``take`` returns None); one too few would leave a task in the queue for ever.
        self.tokens.put(None)
        if isinstance(self.tokens, TokensWithLookouts):
            self.tokens.mend()

    def mend(self) -> None:
        """Puts the tokens that are missing: there was no memory for one, or an asynchronous exception struck whatever had it. For
        the supervisor's thread, now and then."""
        # One that a worker has just taken looks as if it were missing; one too many does no harm.
        for _ in range(sum(map(len, self.levels)) if self.tokens.empty() else 0):
            self.tokens.put(None)

    def discard(self, future: TaskFuture[Any]) -> Callable[[], None] | None:
        """Removes a task that has ended. In a long queue it stays for a while, without its function and arguments:
        until its turn comes, or half of the queue has ended. Returns what the supervisor's thread then has to do, in
        which, other than in this one, no interrupt strikes; None if that is nothing."""
        queued = sum(map(len, self.levels))
        if queued > tombstones.LONG:
            return self.sweep if self._tombstones.add(queued) else None
        token: object = None
        try:
            # A token is taken first, as a worker does, so that the numbers of tokens and tasks still match afterwards.
            # By a step of an iterator, for the reason that ``ThreadHost._serve`` has: it cannot be lost on its way here.
            for token in iter(self.tokens.get_nowait, self):  # noqa: B007
                break
        except queue.Empty:  # workers have taken all tokens: one of them will find the task
            return None
        if token is not None:
            # Back at once, by a call of C: a ``RETIRE`` that is lost is one worker that never ends. It is now behind tokens
            # of tasks, and its place is before them.
            self.tokens.put(token)
            return None if token is CHECK_SESSION else self.orders_first
        try:
            if not self.remove(future):
                self.tokens.put(None)
        except BaseException:  # interrupted; one token too many does no harm, see ``replace_token``
            self.tokens.put(None)
            raise
        return None

    def remove(self, future: TaskFuture[Any]) -> bool:
        """Takes a task out of its level. Returns False if a worker has taken it."""
        for level in self.levels:
            try:
                level.remove(future)
                return True
            except ValueError:
                continue
        return False

    def sweep(self) -> None:
        """Removes the tasks that have ended. For the supervisor's thread alone, in which no asynchronous exception
        strikes: the tasks behind the front of a level are for a moment only here."""
        self._tombstones.swept()
        # Without tokens, workers take no tasks meanwhile, except those that have taken a token just before.
        tokens = self._take_tokens()
        removed = sum(map(_sweep_level, self.levels))
        # One less for each task that was removed. What others queue or take meanwhile brings, or has, a token of its own.
        others = [token for token in tokens if token is not None]
        for token in (*others, *itertools.repeat(None, max(0, len(tokens) - len(others) - removed))):
            self.tokens.put(token)

    def _take_tokens(self) -> list[object]:
        tokens: list[object] = []
        try:
            for _ in range(self.tokens.qsize()):
                tokens.append(self.tokens.get_nowait())  # noqa: PERF401 (what was taken before the error counts)
        except queue.Empty:
            pass
        return tokens

    def count(self, level: int) -> int:
        """Returns how many tasks wait in a level. Costs O(level) if ended tasks may be among them."""
        tasks = self.levels[level]
        copy = copied(tasks) if self._tombstones else None
        return len(tasks) if copy is None else sum(not future.done() for future in copy)

    def retire(self, count: int) -> None:
        """Has ``count`` workers end: idle ones at once, otherwise those that first finish a task. Costs O(queued). For
        the supervisor's thread alone."""
        self.orders_first(RETIRE, count)

    def park(self, count: int) -> None:
        """Has so many workers be parked, and the others serve. As ``retire``."""
        missing = self.lot.want(count)
        if missing:
            self.orders_first(PARK, missing)

    def orders_first(self, order: object = RETIRE, count: int = 0, *, least: int = 0) -> None:
        """Puts all orders, and ``count`` further ones, before the tokens of the tasks; and more, where there would be fewer than
        ``least`` of these. For the supervisor's thread alone: the tokens are for a moment only here."""
        # Tokens of tasks are all alike, so they can be taken out and put behind. A worker that finds no token meanwhile waits
        # a moment.
        found = {CHECK_SESSION: 0, CALL: 0, HOLD: 0, RETIRE: 0, PARK: 0, None: 0}
        found[order] += count
        for token in self._take_tokens():
            found[token] += 1
        found[order] = max(found[order], least)
        for token, times in found.items():
            for _ in range(times):
                self.tokens.put(token)
        self.cooling.wake()

    def take_many(self, most: int) -> list[TaskFuture[Any]]:
        """Removes and returns up to ``most`` tasks whose tokens no worker has taken, most urgent first."""
        taken: list[TaskFuture[Any]] = []
        others = []
        while len(taken) < most:
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

    def take_unstarted(self, most: int) -> list[tuple[TaskFuture[Any], int]]:
        """Removes and returns up to ``most`` tasks with their levels, most urgent first, and the tokens of all tasks: for a queue
        that is emptied while no worker takes any. For the supervisor's thread alone."""
        # The tokens first: a task that is queued or put back meanwhile is in its level before it has a token. And a worker that
        # has taken a token before finds a task or none, as always.
        for token in self._take_tokens():
            if token is not None:
                self.tokens.put(token)
        taken: list[tuple[TaskFuture[Any], int]] = []
        for number, level in enumerate(self.levels):
            try:
                while len(taken) < most:
                    taken.append((level.popleft(), number))
            except IndexError:
                continue
        return taken

    def waiting(self) -> list[TaskFuture[Any]]:
        """Returns the queued tasks, most urgent first, including those that have ended and were not discarded."""
        return [future for level in self.levels for future in snapshot(level)]


def _sweep_level(level: deque[TaskFuture[Any]]) -> int:
    """Removes ended tasks, except from the front, and keeps the order of the others. Returns how many were removed."""
    before = copied(level) or []
    behind = before[_FRONT:]
    if not behind:  # or too much goes on there
        return 0
    # From the right end, so that a worker finds the oldest task at the left one all the time. Submitters may append
    # meanwhile, and workers may put tasks back.
    taken: list[TaskFuture[Any]] = []
    while len(level) > _FRONT and not (taken and taken[-1] is behind[0]):
        taken.append(level.pop())
    there = set(map(id, taken))
    known = set(map(id, behind))
    waiting = [future for future in behind if id(future) in there and not future.done()]
    waiting += sorted((future for future in taken if id(future) not in known), key=_number)
    level.extend(waiting)
    if waiting:
        _put_behind(level, waiting[0], before)
    return len(taken) - len(waiting)


def _put_behind(level: deque[TaskFuture[Any]], first: TaskFuture[Any], before: list[TaskFuture[Any]]) -> None:
    """Moves what a submitter has appended just before ``first`` came back behind what is older. ``before``: what was in
    the level then."""
    known = set(map(id, before))
    ahead = itertools.takewhile(lambda future: future is not first, copied(level) or ())
    for future in [future for future in ahead if id(future) not in known and future.id > first.id]:
        try:
            level.remove(future)
        except ValueError:  # a worker has taken it
            continue
        # Its place counts from the right end: workers take tasks from the left one meanwhile.
        newer = 0
        while newer < len(level) and level[-1 - newer].id > future.id:
            newer += 1
        level.insert(len(level) - newer, future)


def _number(future: TaskFuture[Any]) -> int:
    return future.id
