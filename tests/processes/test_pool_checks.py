"""A check of an idle resource of run_task's pool that hangs in its process: that is killed."""

from __future__ import annotations

from typing import Any

from support.files_between_processes import FileGate
from support.waiting import Call, eventually, wait_until

HANGING = {
    "worker_count": 0,
    "max_worker_count": 1,
    "resource_pool_size": 1,
    "check_after_idle": 60.0,
    "check_interval": 0.05,
    "check_timeout": 0.3,
}


def test_a_stop_waits_until_it_is_killed(make: Any, door: FileGate) -> None:
    """Nothing is left behind, and the resource is lost."""
    with make(check_resource=lambda thing: door.pass_through(), **HANGING) as m:
        door.wait_arrivals(1)
        report = Call(m.stop).outcome(60)
        assert [*report.abandoned] == []
        assert (m.stats().resources.lost, m.stats().failed_checks) == (1, 1)


async def test_a_stop_in_a_loop_waits_until_it_is_killed(amake: Any, door: FileGate) -> None:
    """The same."""
    async with amake(check_resource=lambda thing: door.pass_through(), **HANGING) as m:
        await eventually(lambda: len(door.pids) == 1)
        report = await m.stop()
        assert [*report.abandoned] == []
        assert (m.stats().resources.lost, m.stats().failed_checks) == (1, 1)


def test_the_pool_gets_another_one(make: Any, door: FileGate) -> None:
    """Whose check is the next, since the process of the former is gone."""
    with make(check_resource=lambda thing: door.pass_through(), **HANGING) as m:
        first, second = door.wait_arrivals(2)[:2]
        assert first != second
        wait_until(lambda: m.stats().resources.lost >= 1)
