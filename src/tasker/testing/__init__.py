"""For tests of code that uses this library: scripted resources, a manager without threads, a clock, and a look for what
was left behind. ``docs/testing.md`` shows how they are used. Nothing here needs pytest, except ``tasker.testing.plugin``.
"""

import importlib
import typing

if typing.TYPE_CHECKING:
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

_HOMES = {
    "clock": ("ManualClock",),
    "faults": ("Fault", "Hangs", "Raises", "Takes", "hangs", "raises", "takes"),
    "inline_future": ("InlineFuture",),
    "inline_manager": ("InlineTaskManager",),
    "leaks": ("ManagerWatch", "assert_no_leaks"),
    "plan": ("FaultPlan",),
    "records": ("ResourceRecord", "ScriptedResource"),
    "resources": ("ScriptedResources",),
}


def __getattr__(name: str) -> typing.Any:
    # pytest imports this package, for the plugin, also where no test uses it; what is in here imports the engines.
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f".{home}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
