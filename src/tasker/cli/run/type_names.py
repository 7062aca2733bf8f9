"""The names of types as users know them."""

from __future__ import annotations

import re

MODULE_PREFIX = "_tasker_job_"
"""How the made-up names of job files' modules begin."""

_MODULE = re.compile(rf"\b{MODULE_PREFIX}\w+\.")


def without_job_module(text: str) -> str:
    """Returns the name of a task or a message without the made-up names of job files' modules."""
    return _MODULE.sub("", text)


def type_name(kind: type) -> str:
    """Returns the name of a type with its module; without it for builtins and for types of the job file."""
    module = str(kind.__module__)
    if module == "builtins" or module.startswith(MODULE_PREFIX):
        return kind.__qualname__
    return f"{module}.{kind.__qualname__}"
