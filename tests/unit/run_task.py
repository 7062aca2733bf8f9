"""What the tests that interrupt ``run_task`` share: the functions to be interrupted, and tasks."""

from __future__ import annotations

from typing import Any

from tasker.core.inline_tries import InlineTries
from tasker.threads import tries
from tasker.threads.resource_pool import ResourcePool
from tasker.threads.resources import Maker
from tasker.threads.run_task import Call, RunTask

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
    Call.enter,
)

TRIES = (
    tries.run_tries,
    tries._attempts,
    tries._raise,
    tries._leave,
    tries.AttemptCall.enter,
    tries.AttemptCall.judge,
    InlineTries.begin,
    InlineTries.judge,
    InlineTries.missed,
)
"""Those of a call that is tried again."""


def returns(ctx: Any, resource: Any) -> str:
    """Succeeds."""
    return "value"


def harms(ctx: Any, resource: Any) -> None:
    """Leaves its resource unhealthy."""
    raise OSError
