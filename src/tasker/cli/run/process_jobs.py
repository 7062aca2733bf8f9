"""The job in other processes, for --backend process and --backend ray; here each of them is called a child.

What is pickled is the path of the job file: each child executes the file itself. The functions are
not pickled, as their module has a name that cannot be imported, and they may refer to anything.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

from tasker import Context, ProcessBackend, RayBackend
from tasker.cli import strict_json
from tasker.options import Backend

from .arguments import RunOptions
from .child_lane import run_items
from .chunk_slots import Address
from .jobs import Job, load_job
from .task_wrapper import REFUSED, Encoded, Gate, ItemResult, NotEncodable, Refused, encoded, outcomes_of

CHILD_HOOKS = ("on_create", "on_destroy", "resource")
"""The hooks that run in the child."""


class ChildHook:
    """A function of the job file, to be called in a child."""

    def __init__(self, job: Job, settings: dict[str, Any], name: str) -> None:
        self._job = job.path, settings, job.shown
        self._name = name

    def __call__(self, *args: Any) -> Any:
        return _load_once(*self._job).hooks[self._name](*args)


class ChildTask:
    """The job's task, to be called in a child. Pickled once the gate is closed, it becomes a refusal."""

    def __init__(self, job: Job, settings: dict[str, Any], gate: Gate, *, many: bool = False) -> None:
        """`many`: it is `task_many`, and gets a list of items."""
        self._job = job.path, settings, job.shown
        self._gate = gate
        self._in_child = _ManyInChild if many else _TaskInChild
        functools.update_wrapper(
            self, (job.task_many if many else None) or job.task, ("__module__", "__name__", "__qualname__"), ()
        )

    def __call__(self, ctx: Context, resource: Any, item: Any) -> ItemResult:
        raise AssertionError("only its counterpart in a child is called")

    def __reduce__(self) -> Any:
        # The gate is in this process, so it is checked when the task is sent to the child.
        return (refuser, ()) if self._gate.closed else (self._in_child, self._job)


class _TaskInChild:
    def __init__(self, path: str, settings: dict[str, Any], shown: str) -> None:
        self._job = path, settings, shown

    def __call__(self, ctx: Context, resource: Any, item: Any) -> ItemResult:
        job = _load_once(*self._job)
        return encoded(job.task(ctx, resource, item), job.encoder)


class _ManyInChild:
    def __init__(self, path: str, settings: dict[str, Any], shown: str) -> None:
        self._job = path, settings, shown

    def __call__(self, ctx: Context, resource: Any, items: list[Any]) -> list[Encoded | NotEncodable]:
        job = _load_once(*self._job)
        assert job.task_many is not None
        return outcomes_of(job.task_many, ctx, resource, items, job.encoder)


class ItemInChild:
    """One item, which is given as JSON, as a child has it."""

    def __init__(self, path: str, settings: dict[str, Any], shown: str, text: str) -> None:
        self._job = path, settings, shown
        self._text = text

    def __call__(self, ctx: Context, resource: Any) -> ItemResult:
        job = _load_once(*self._job)
        return encoded(job.task(ctx, resource, strict_json.decode(self._text)), job.encoder)


class ChunkInChild:
    """The items of a lane, as a child has them; see ``run_items``."""

    def __init__(
        self, path: str, settings: dict[str, Any], shown: str, address: Address, seconds: float, texts: list[str]
    ) -> None:
        self._job = path, settings, shown
        self._what = address, seconds, texts

    def __call__(self, ctx: Context, resource: Any) -> ItemResult | None:
        return run_items(_load_once(*self._job), ctx, resource, *self._what)


def refuser() -> Callable[..., Refused]:
    """Returns what is sent in place of a task when the run is being stopped."""
    return _refuse


def _refuse(ctx: Context, resource: Any, item: Any = None) -> Refused:
    return REFUSED


_jobs: dict[str, Job] = {}


def _load_once(path: str, settings: dict[str, Any], shown: str) -> Job:
    """Returns the job of a file, which is executed once in each process."""
    job = _jobs.get(path)
    if job is None:
        # As in the parent: with --quiet, Python's own warnings are not shown, either.
        logging.captureWarnings(True)
        job = _jobs[path] = load_job(path, settings, shown)
    return job


def process_hooks(job: Job, settings: dict[str, Any]) -> dict[str, Any]:
    """Returns the job's hooks for ``Config``: those of the resource run in the child, the others in this process."""
    return {name: ChildHook(job, settings, name) if name in CHILD_HOOKS else hook for name, hook in job.hooks.items()}


def backend(options: RunOptions) -> Backend:
    """Returns the backend for a job in child processes."""
    if options.backend == "ray":
        return RayBackend(**options.ray)
    return ProcessBackend(preload=(__name__, *options.preload))
