"""What the methods of ``TaskManager`` need, and ``import tasker`` does not: loaded with the first manager.

Not by the methods themselves, where Ctrl-C that strikes the import may leave the module locked for ever, and a signal handler
that calls the method in the middle of one finds half a module.
"""

from __future__ import annotations

from tasker.control.notices import ManagerEvent
from tasker.core.report import explained, metrics_of, stats_of
from tasker.core.worker_reports import PATIENCE, stack_of, workers_of

from . import standard_waits
from .pauses import pause, resume
from .reentrancy import forbid_reentry
from .refreshing import RefreshFuture
from .refusals import refused
from .subscription import Subscription
from .tries import run_tries

__all__ = [
    "PATIENCE",
    "ManagerEvent",
    "RefreshFuture",
    "Subscription",
    "explained",
    "forbid_reentry",
    "metrics_of",
    "pause",
    "refused",
    "resume",
    "run_tries",
    "stack_of",
    "standard_waits",
    "stats_of",
    "workers_of",
]
