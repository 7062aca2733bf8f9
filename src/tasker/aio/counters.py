"""AsyncShard: the counters that one worker writes, cheaper than with threads: no reader runs between two writes."""

from __future__ import annotations

from tasker.core.counters import Shard
from tasker.metrics.meter import BATCH

_BATCH = 4 * BATCH
"""The number of values from which on the meter is emptied. A larger batch touches fewer buckets for each value."""


class AsyncShard(Shard):
    """The counters of the workers of one slot, as ``Counters`` and ``metrics`` read them."""

    __slots__ = ()

    @property
    def taken(self) -> int:
        """The number of tasks taken. It is not counted, because each of them has ended, gone back, or runs."""
        return self.done + self.sent_back + (self.future is not None)

    @taken.setter
    def taken(self, value: int) -> None: ...

    def flush(self) -> None:
        """Empties the lists of the meter if they have become long."""
        if len(self.meter.execution) >= _BATCH:
            self.meter.flush()
