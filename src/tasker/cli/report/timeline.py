"""What happened when: sums for each step of time, in constant memory.

Steps are kept only where something happened, so a night between two runs of one output costs nothing. When there are too many,
each becomes twice as long, and two neighbours become one: the number of steps is bounded, whatever the length of the run.
"""

from __future__ import annotations

from math import ceil

from tasker.metrics.histogram import Histogram

LEAST_STEP = 2.0**-10
"""Seconds. A power of two, as is each step: so that times in steps are exact."""
MOST_STEPS = 512


class Step:
    """What ended in one step of time, and how long workers were busy in it."""

    __slots__ = ("_runs", "_waits", "busy", "done", "executions", "failed", "waits")

    def __init__(self) -> None:
        self.done: int = 0
        self.failed: int = 0
        self.busy: float = 0.0
        """Seconds, of all workers together."""
        self.waits: Histogram = Histogram()
        self.executions: Histogram = Histogram()
        self._waits: list[float] = []
        self._runs: list[float] = []

    def add(self, wait: float | None, execution: float, is_done: bool) -> None:
        if is_done:
            self.done += 1
        else:
            self.failed += 1
        if wait is not None:
            self._waits.append(wait)
        self._runs.append(execution)

    def flush(self) -> None:
        """Counts what was added: in batches, because that costs less for each."""
        if self._runs:
            self.waits.add_all(self._waits)
            self.executions.add_all(self._runs)
            self._waits, self._runs = [], []

    def merge(self, other: Step) -> None:
        """Adds another step, both flushed."""
        self.done += other.done
        self.failed += other.failed
        self.busy += other.busy
        self.waits.merge(other.waits)
        self.executions.merge(other.executions)


class Timeline:
    """Sums over time. For one thread."""

    def __init__(self, most: int = MOST_STEPS) -> None:
        self.step: float = LEAST_STEP
        """Seconds."""
        self.steps: dict[int, Step] = {}
        """By number: step ``n`` is from ``n * step`` on, in seconds since 1970."""
        self._most = most

    def add(self, started: float, wait: float | None, execution: float, is_done: bool) -> None:
        """Takes an attempt that ended an item. ``started``: seconds since 1970; the other times are seconds."""
        # Not one step for each 1 ms of an item of a day, only to merge them.
        while execution > self.step * self._most:
            self.fold()
        ended = started + execution
        first, last = int(started / self.step), int(ended / self.step)
        found = self.steps.get(last)
        if found is None:
            found = self.steps[last] = Step()
        found.add(wait, execution, is_done)
        if first == last:
            found.busy += execution
        else:
            self._spread(started, ended, first, last)
        while len(self.steps) > self._most:
            self.fold()

    def _spread(self, started: float, ended: float, first: int, last: int) -> None:
        step = self.step
        for number in range(first, last + 1):
            part = min(ended, (number + 1) * step) - max(started, number * step)
            if (found := self.steps.get(number)) is None:
                found = self.steps[number] = Step()
            found.busy += part

    def flush(self) -> None:
        """Counts what was added. Call it now and then: what was added is kept one by one until then."""
        for step in self.steps.values():
            step.flush()

    def fold(self) -> None:
        """Makes each step twice as long."""
        self.flush()
        self.step *= 2
        old, self.steps = self.steps, {}
        for number, step in old.items():
            if (other := self.steps.get(number >> 1)) is None:
                self.steps[number >> 1] = step
            else:
                other.merge(step)

    def shorten(self, most: int) -> None:
        """Makes steps longer until at most ``most`` would be drawn: with those in which nothing happened, but without pauses."""
        self.flush()
        while len(self.steps) > 1 and len(self.drawn()) > most:
            self.fold()

    def drawn(self) -> list[int | None]:
        """Returns the numbers of steps to draw, in order: all but those of pauses, for each of which there is a ``None``.

        A pause is a time without anything that is longer than a quarter of the time with something.
        """
        longest = max(4, ceil(len(self.steps) / 4))
        shown: list[int | None] = []
        before = None
        for number in sorted(self.steps):
            if before is not None and number - before - 1 > longest:
                shown.append(None)
            elif before is not None:
                shown.extend(range(before + 1, number))
            shown.append(number)
            before = number
        return shown
