"""WorkerInfo: what a worker is, for ``on_create`` and for tasks."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker, as ``on_create(worker)`` and ``Context.worker`` get it. Immutable."""

    slot: int
    """From 1 on, and the lowest that no present worker has: so slots are few, and used again. 0 for ``run_task``, whose
    resources belong to no worker."""
    name: str
    """The name in logs, ``<Config.name>-<slot>``."""
    generation: int
    """Different for each worker, also for two that have the same slot one after the other; 0 for ``run_task``."""
    value: Any = None
    """What ``Config.per_worker`` has for the slot."""


def takes_worker(fn: object) -> bool:
    """Returns whether a function that makes a resource takes the worker: whether its one required parameter is called so.
    Raises ``TypeError``, which names them, if it has other required parameters."""
    try:
        parameters = inspect.signature(fn).parameters.values()  # type: ignore[arg-type]
    except Exception:  # not every callable in C has one, and a proxy may raise anything
        return False
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    required = [one for one in parameters if one.default is one.empty and one.kind not in variadic]
    if not required:
        return False
    names = ", ".join(one.name for one in required)
    if names != "worker" or required[0].kind is inspect.Parameter.KEYWORD_ONLY:
        raise TypeError(f"must take no argument, or one that is called worker; it requires {names}")
    return True
