"""What the tests that interrupt ``run_task`` share: the functions to be interrupted, and tasks."""

from __future__ import annotations

from typing import Any

from tasker.threads.resource_pool import ResourcePool
from tasker.threads.resources import Maker
from tasker.threads.run_task import RunTask, _Call

STEPS = (
    RunTask.run,
    RunTask._close,
    RunTask._count_failure,
    ResourcePool.acquire,
    ResourcePool._make,
    ResourcePool.release,
    Maker.make,
    Maker._make,
    Maker.end,
    _Call.enter,
)


def returns(ctx: Any, resource: Any) -> str:
    """Succeeds."""
    return "value"


def harms(ctx: Any, resource: Any) -> None:
    """Leaves its resource unhealthy."""
    raise OSError
