"""The books: what was accepted, started and ended, and the ledger of resources.

True at every moment, without a lock on the path of a task that succeeds:

- a task passes ``accepted``, ``taken``, ``done`` in this order, and each number only grows;
- ``taken`` and ``done`` have one writer each a worker (its ``Shard``); a reader adds them up;
- the reader reads *backwards*: first done, then taken, then accepted. Whatever happens meanwhile, it sees
  ``done <= taken <= accepted``; so ``queued = accepted - taken`` and ``running = taken - done`` are never negative,
  and the three add up to ``accepted`` exactly;
- then it looks whether taken and done are still the same; if so, all of it was true at one moment, and queued is within
  its bound and running within the number of workers. If not, it reads again, a few times.
- What is rare (an attempt that goes back to the queue, a task that ends in the queue, one refused at the last moment)
  is counted under ``lock``, which the reader holds; what may be counted from a finalizer or a signal handler, which
  must not wait for a lock, is left as a note that the next holder of the lock enters.

Without the GIL: integers are read and written whole; each has one writer or is written under the lock.
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tasker.metrics.meter import Meter
from tasker.metrics.protocol import TaskLifecycleTimestamps

from .creations import CreationTimes
from .origins import Origins

_TRIES = 10
_STOCK = 1000


class Shard:
    """The numbers that one worker writes. Its slot's next worker goes on with it."""

    __slots__ = ("_progress", "done", "elsewhere", "future", "meter", "sent_back", "taken")

    def __init__(self) -> None:
        self.meter: Meter = Meter()
        self.taken: int = 0
        self.done: int = 0
        self.sent_back: int = 0
        self.future: Any = None
        """The task that runs here now."""
        self._progress: tuple[int, int, float, float | None] | None = None
        """What was last said of a task's progress, with the number of the task and of its attempt."""
        self.elsewhere: Callable[[], tuple[float, float | None] | None] | None = None
        """Returns the same, of the task that runs now, where the resource lives in a session."""

    def note_progress(self, done: float, total: float | None) -> None:
        """Takes the progress of the task that runs here. From any thread."""
        future = self.future
        if future is not None:
            self._progress = (future.id, future.attempts, done, total)

    def progress_of(self, task: Any) -> tuple[float, float | None] | None:
        """Returns what this attempt of a task has said of its progress. Nothing is cleared when an attempt ends."""
        if self.elsewhere is not None:
            return None if task is None else self.elsewhere()
        noted = self._progress
        if noted is None or task is None or noted[:2] != (task.id, task.attempts):
            return None
        return noted[2:]

    def failed(
        self, stamps: TaskLifecycleTimestamps, *, cancelled: bool, timed_out: bool, unused: bool = False
    ) -> None:
        """Counts a task that ended here with an error or a cancellation. By the worker. ``unused``: it was not called, so
        nothing is measured."""
        meter = self.meter
        if cancelled:
            meter.cancelled += 1
        else:
            meter.count_failed(None if unused else stamps, timed_out)
        self.done += 1


@dataclass(frozen=True, slots=True)
class Flow:
    """Where the accepted tasks are."""

    accepted: int
    queued: int
    running: int
    done: int
    inline_running: int = 0
    """Those of ``run_task`` among the running."""
    inline_done: int = 0

    @property
    def outstanding(self) -> int:
        """Accepted, and without an outcome."""
        return self.accepted - self.done


class _ExactCounter:
    """For CPython 3.13 without the GIL, whose ``itertools.count`` is not atomic. ``list.pop`` is: so there are numbers in
    stock. Ctrl-C that strikes ``more``, once in so many tasks, may leave a number that no task has, so that a stop waits
    until it is killed; in all other interpreters there is no such moment."""

    def __init__(self) -> None:
        self._stock: list[int] = []
        self._highest = 0
        self._lock = threading.RLock()  # reentrant: a signal handler may submit in the middle of this
        self._fill_up(_STOCK)

    def __iter__(self) -> Iterator[int]:
        return iter(self._stock.pop, 0)  # C code alone; raises IndexError where ``more`` has to be asked

    def more(self) -> int:
        with self._lock:
            while True:
                try:
                    return self._stock.pop()
                except IndexError:
                    self._fill_up(_STOCK)

    def endless(self) -> Iterator[int]:
        return iter(self.more, 0)

    def _fill_up(self, amount: int) -> None:
        low, self._highest = self._highest, self._highest + amount
        self._stock.extend(range(self._highest, low, -1))

    def value(self) -> int:
        with self._lock:
            return self._highest - len(self._stock)


class _FastCounter:
    """``itertools.count`` advances atomically, with the GIL, and without it from CPython 3.14 on."""

    def __init__(self) -> None:
        self._count = itertools.count(1)

    def __iter__(self) -> Iterator[int]:
        return self._count

    def more(self) -> int:
        return next(self._count)

    def endless(self) -> Iterator[int]:
        """As ``iter``, but never raises ``IndexError``."""
        return self._count

    def value(self) -> int:
        # Its repr, ``count(7)``, is the one way to read it without taking a number.
        return int(repr(self._count)[6:-1]) - 1


_gil = getattr(sys, "_is_gil_enabled", lambda: True)
Counter: type[_FastCounter | _ExactCounter] = _FastCounter if _gil() or sys.version_info >= (3, 14) else _ExactCounter


@dataclass(slots=True)
class ResourceCounts:
    """Resources made and ended; alive is what remains."""

    created: int = 0
    destroyed: int = 0
    lost: int = 0


class Counters:
    """The numbers of one manager."""

    def __init__(self) -> None:
        # Reentrant, because a signal handler may ask for the numbers in the middle of this thread's own asking.
        self.lock: threading.RLock = threading.RLock()
        self.numbers: _FastCounter | _ExactCounter = Counter()
        """Gives each accepted task its number, and so knows how many there were."""
        self.shards: dict[int, Shard] = {}
        self.ledger: ResourceCounts = ResourceCounts()
        self.creation_times: CreationTimes = CreationTimes()
        self.origins: Origins | None = None
        """Where the living resources were made, if that is to be known."""
        self.refused: int = 0
        """Took a number, but the manager closed before they were in."""
        self.sent_back: int = 0
        """Attempts that ended without an outcome."""
        self.ended_in_queue: int = 0
        """Ended while no attempt ran: cancelled, killed, out of retries."""
        self.cancelled_in_queue: int = 0
        """Those of them that were cancelled or killed."""
        self.timed_out_in_queue: int = 0
        """Those of them whose error is a ``TaskTimeout``."""
        self.inline_accepted = 0
        self.inline_done = 0
        self.retried: int = 0
        self.refused_retries: int = 0
        """Of ``run_task``; the supervisor counts the others."""
        self.quarantined: int = 0
        self.snoozed: int = 0
        self.user_errors: int = 0
        self.failed_checks: int = 0
        self.notes: deque[tuple[str, ...]] = deque()
        """What ``note`` was given and was not entered yet."""

    def shard(self, slot: int) -> Shard:
        """The shard of a worker's slot."""
        with self.lock:
            return self.shards.setdefault(slot, Shard())

    def renew_locks(self) -> None:
        """In a forked child."""
        self.lock = threading.RLock()
        self.creation_times.renew_lock()
        for shard in self.shards.values():
            shard.meter.lock = threading.RLock()

    def note(self, *names: str) -> None:
        """Adds one to each of the named numbers, at the next reading. Takes no lock."""
        self.notes.append(names)

    def add(self, name: str, amount: int = 1) -> None:
        """Adds to one of the rare numbers."""
        with self.lock:
            setattr(self, name, getattr(self, name) + amount)

    def resource(self, created: int = 0, destroyed: int = 0, lost: int = 0) -> None:
        """Enters creations, destructions and losses into the ledger."""
        ledger = self.ledger
        with self.lock:
            # The lock is reentrant, so no call between reading and writing: a signal handler or a finalizer that makes
            # or destroys a resource in this thread would come in between.
            ledger.created += created
            ledger.destroyed += destroyed
            ledger.lost += lost

    def enter_notes(self) -> None:
        """Brings the numbers up to date. Called with the lock held."""
        notes = self.notes
        while notes:
            try:
                names = notes[0]
            except IndexError:  # a signal handler that has asked for the numbers in between has entered the rest
                return
            # From here to ``del``, nothing is called, so neither Ctrl-C nor a signal handler that asks for the numbers
            # comes in between: each note is entered exactly once.
            self.refused += "refused" in names
            self.sent_back += "sent_back" in names
            self.ended_in_queue += "ended_in_queue" in names
            self.cancelled_in_queue += "cancelled_in_queue" in names
            self.timed_out_in_queue += "timed_out_in_queue" in names
            self.retried += "retried" in names
            self.refused_retries += "refused_retries" in names
            self.quarantined += "quarantined" in names
            self.snoozed += "snoozed" in names
            self.user_errors += "user_errors" in names
            del notes[0]

    def flow(self) -> Flow:
        """Where the tasks are, now."""
        with self.lock:
            self.enter_notes()
            done, taken, numbered = self._read()
            accepted = numbered - self.refused
            queued = accepted - taken + self.sent_back - self.ended_in_queue
            # Without a reading of one moment, a task may be seen as taken again whose return is a note that was not entered.
            returned = self.sent_back + max(0, -queued)
            return Flow(
                accepted=accepted + self.inline_accepted,
                queued=max(0, queued),
                running=taken - returned - done + self.inline_accepted - self.inline_done,
                done=done + self.ended_in_queue + self.inline_done,
                inline_running=self.inline_accepted - self.inline_done,
                inline_done=self.inline_done,
            )

    def _read(self) -> tuple[int, int, int]:
        """Done, taken and numbered: of one moment where it can be had within a few tries, else read backwards."""
        shards = list(self.shards.values())
        readings: list[tuple[int, tuple[int, int, int]]] = []
        for _ in range(_TRIES):
            if self.notes:  # what ended in the queue made room for what was numbered since
                self.enter_notes()
                readings.clear()  # they may lack tasks that have just been entered as ended, and queued would be negative
            done = sum(shard.done for shard in shards)
            taken = sum(shard.taken for shard in shards)
            numbered = self.numbers.value()
            still = taken == sum(shard.taken for shard in shards) and done == sum(shard.done for shard in shards)
            if still and not self.notes:
                return done, taken, numbered
            readings.append((numbered - taken, (done, taken, numbered)))
        return min(readings)[1]  # the one that was disturbed least
