"""For tests of code that uses this library: scripted resources, a manager without threads, a clock, and a look for what
was left behind. ``docs/testing.md`` shows how they are used. Nothing here needs pytest, except ``tasker.testing.plugin``.
"""

from .clock import ManualClock
from .faults import Fault, Hangs, Raises, Takes, hangs, raises, takes
from .inline_future import InlineFuture
from .inline_manager import InlineTaskManager
from .leaks import ManagerWatch, assert_no_leaks
from .plan import FaultPlan
from .records import ResourceRecord, ScriptedResource
from .resources import ScriptedResources

__all__ = [
    "Fault",
    "FaultPlan",
    "Hangs",
    "InlineFuture",
    "InlineTaskManager",
    "ManagerWatch",
    "ManualClock",
    "Raises",
    "ResourceRecord",
    "ScriptedResource",
    "ScriptedResources",
    "Takes",
    "assert_no_leaks",
    "hangs",
    "raises",
    "takes",
]
