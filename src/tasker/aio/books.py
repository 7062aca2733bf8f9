"""The numbers that one worker writes, cheaper than with threads: nobody looks while they are being written."""

from __future__ import annotations

from tasker.books import Shard
from tasker.metrics.meter import BATCH

_BATCH = 4 * BATCH
"""A larger batch has fewer buckets for each value."""


class AsyncShard(Shard):
    """What ``Books`` and ``metrics`` read of a slot's workers."""

    __slots__ = ("samples",)

    def __init__(self) -> None:
        super().__init__()
        self.samples: list[float] = []
        """Durations of execution and of waiting in turn, as the lane leaves them."""

    @property
    def taken(self) -> int:
        """Not counted: what was taken has ended, went back, or runs."""
        return self.done + self.sent_back + (self.future is not None)

    @taken.setter
    def taken(self, value: int) -> None: ...

    def sort(self) -> None:
        """Hands the samples on to the meter."""
        meter, samples = self.meter, self.samples
        if samples:
            meter.execution += samples[::2]
            meter.wait += samples[1::2]
            samples.clear()
            if len(meter.execution) >= _BATCH:
                meter.flush()
