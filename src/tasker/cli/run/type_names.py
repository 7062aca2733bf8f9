"""The names of types as users know them."""

from __future__ import annotations

MODULE_PREFIX = "_tasker_job_"
"""How the made-up names of job files' modules begin."""


def type_name(kind: type) -> str:
    """Returns the name of a type with its module; without it for builtins and for types of the job file."""
    module = str(kind.__module__)
    if module == "builtins" or module.startswith(MODULE_PREFIX):
        return kind.__qualname__
    return f"{module}.{kind.__qualname__}"
