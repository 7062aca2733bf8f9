"""The numbers that one worker writes, cheaper than with threads: nobody looks while they are being written."""

from __future__ import annotations

from tasker.core.counters import Shard
from tasker.metrics.meter import BATCH

_BATCH = 4 * BATCH
"""A larger batch has fewer buckets for each value."""


class AsyncShard(Shard):
    """What ``Counters`` and ``metrics`` read of a slot's workers."""

    __slots__ = ()

    @property
    def taken(self) -> int:
        """Not counted: what was taken has ended, went back, or runs."""
        return self.done + self.sent_back + (self.future is not None)

    @taken.setter
    def taken(self, value: int) -> None: ...

    def flush(self) -> None:
        """Empties the meter's lists where they have become long."""
        if len(self.meter.execution) >= _BATCH:
            self.meter.flush()
