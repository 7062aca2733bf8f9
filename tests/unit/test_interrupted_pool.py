"""Ctrl-C while the pool of ``run_task`` is closed, or replaces a resource that is worn, at each moment."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest

from support.resources import ScriptedResources
from tasker import Config
from tasker.core.counters import Counters
from tasker.logs import GuardedLogger
from tasker.threads.resource_pool import Lease, ResourcePool
from tasker.threads.resources import Maker
from unit.interrupts import each_moment

STEPS = (
    ResourcePool.close,
    ResourcePool.renew,
    ResourcePool._make,
    ResourcePool._report,
    ResourcePool.release,
    Maker.make,
    Maker.end,
)


class Rig:
    """A pool, filled anew for each moment."""

    def __init__(self) -> None:
        self.resources, self.books = ScriptedResources(), Counters()
        config = Config(worker_count=1, on_create=self.resources.create, on_destroy=self.resources.destroy)
        self._maker = Maker(config, self.books, GuardedLogger(config.logger, "pool", lambda: None))
        self._engine: Any = SimpleNamespace(
            now=monotonic, report=lambda event: None, view=SimpleNamespace(in_vain=None, refusal=lambda now: None)
        )
        self.pool = self._filled()
        self.lease = Lease()

    def _filled(self) -> ResourcePool:
        pool = ResourcePool(self._engine, self._maker, 2, None)
        pool._gate = SimpleNamespace(refusal=lambda *_: None, ended=lambda *_: None, dropped=lambda _: None)  # type: ignore[assignment]
        pool.fill()
        return pool

    def close(self) -> None:
        """Closes it."""
        self.pool.close()

    def renew(self) -> None:
        """Lends a resource that is worn, and has it replaced."""
        self.pool.acquire(self.lease)
        self.pool.renew(self.lease)

    def end(self) -> None:
        """Does what follows, whatever was done before, and begins anew."""
        self.pool.release(self.lease, healthy=True)
        if not self.pool.closed:
            assert self.pool.available + self.lease.lacks == 2
        self.pool.close()
        assert (self.pool.available, self.pool.emptied) == (0, True)
        self.pool, self.lease = self._filled(), Lease()


@pytest.mark.parametrize("call", [Rig.close, Rig.renew])
def test_each_is_destroyed_once(call: Callable[[Rig], None]) -> None:
    """Whatever was made is destroyed by the end of the call, or by what follows an interrupted one."""
    rig, struck = Rig(), []
    for where, _, _ in each_moment(lambda: call(rig), *STEPS):
        struck.append(where)
        rig.end()
        assert rig.books.ledger.created - rig.books.ledger.destroyed == 2, where
        assert len(rig.resources.alive) == 2, where
    rig.close()
    rig.resources.check_all_ended_once()
    assert len(struck) > 10
