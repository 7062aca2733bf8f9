"""Whether an interpreter that was built without the GIL runs without it."""

from __future__ import annotations

import sys


def gil_came_back() -> bool:
    """Returns whether this interpreter was built without the GIL, but an extension module that does not say that it runs
    without it has been imported: then the interpreter switches the GIL on, until it ends, and warns once.

    False where somebody asked for the GIL (``PYTHON_GIL=1``, ``-X gil=1``), who knows.
    """
    # The version says so: https://docs.python.org/3/howto/free-threading-python.html#identifying-free-threaded-python
    built_without = "free-threading build" in sys.version
    asked_for = getattr(sys.flags, "gil", None) == 1
    switched_on: bool = getattr(sys, "_is_gil_enabled", lambda: True)()
    return built_without and switched_on and not asked_for
