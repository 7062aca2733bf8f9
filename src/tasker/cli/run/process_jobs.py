"""The job in child processes: what is sent there stands for the job file, which each child executes for itself.

The job's module has a name that nobody could import, and its functions may hold anything; so neither is pickled.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from tasker import Context, ProcessBackend

from .jobs import Job, load_job
from .task_wrapper import REFUSED, Gate, ItemResult, Refused, encoded

CHILD_HOOKS = ("on_create", "on_destroy", "resource")
"""The hooks that run in the child."""


class ChildHook:
    """A function of the job file, called in a child."""

    def __init__(self, path: str, settings: dict[str, Any], name: str) -> None:
        self._job = path, settings
        self._name = name

    def __call__(self, *args: Any) -> Any:
        return _job(*self._job).hooks[self._name](*args)


class ChildTask:
    """The job's task. What is sent once the gate is closed is refused instead of run."""

    def __init__(self, path: str, settings: dict[str, Any], task: Callable[..., Any], gate: Gate) -> None:
        self._job = path, settings
        self._gate = gate
        functools.update_wrapper(self, task, ("__module__", "__name__", "__qualname__"), ())

    def __call__(self, ctx: Context, resource: Any, item: Any) -> ItemResult:
        raise AssertionError("it is its likeness in a child that is called")

    def __reduce__(self) -> Any:
        return (_refuser, ()) if self._gate.closed else (_TaskInChild, self._job)


class _TaskInChild:
    def __init__(self, path: str, settings: dict[str, Any]) -> None:
        self._job = path, settings

    def __call__(self, ctx: Context, resource: Any, item: Any) -> ItemResult:
        return encoded(_job(*self._job).task(ctx, resource, item))


def _refuser() -> Callable[[Context, Any, Any], Refused]:
    return _refuse


def _refuse(ctx: Context, resource: Any, item: Any) -> Refused:
    return REFUSED


_jobs: dict[str, Job] = {}


def _job(path: str, settings: dict[str, Any]) -> Job:
    """The job, executed once in this process."""
    job = _jobs.get(path)
    if job is None:
        job = _jobs[path] = load_job(path, settings)
    return job


def process_hooks(job: Job, path: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The job's hooks for ``Config``: those of the resource in the child, the others here."""
    return {name: ChildHook(path, settings, name) if name in CHILD_HOOKS else hook for name, hook in job.hooks.items()}


def backend(preload: tuple[str, ...]) -> ProcessBackend:
    """The backend of such a run."""
    return ProcessBackend(preload=(__name__, *preload))
