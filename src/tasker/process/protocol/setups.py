"""ResourceSetup: what it takes to make one resource elsewhere, use it and end it, on its way there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tasker.config import Config
from tasker.context import Context, RootContext
from tasker.core.identity import WorkerContext, arguments_for
from tasker.worker_info import WorkerInfo

from .pickling import pack


@dataclass(slots=True, kw_only=True)
class ResourceSetup:
    """See the module's docstring."""

    create: Callable[..., Any] | None
    destroy: Callable[[Any], object] | None
    resource: Callable[..., Any] | None
    on_return: Callable[[Any], object] | None
    check_resource: Callable[[Any], object] | None
    arguments: tuple[WorkerInfo, ...]
    """For ``create`` or ``resource``."""
    worker: WorkerInfo | None
    """None: the resource is for ``run_task``."""
    values: list[tuple[Any, Any]]
    """Of ``Config.ctx``."""
    asynchronous: bool
    grace: float
    """Seconds that a cancelled task is given when nothing else can be done, and callbacks before the resource goes."""

    @staticmethod
    def of(config: Config[Any], worker: WorkerInfo | None, *, asynchronous: bool, grace: float) -> ResourceSetup:
        """Returns what a configuration says. ``worker``: whose resource it is; None: one for ``run_task``."""
        return ResourceSetup(
            create=config.on_create,
            destroy=config.on_destroy,
            resource=config.resource,
            on_return=config.on_return,
            check_resource=config.check_resource,
            arguments=arguments_for(config, worker),
            worker=worker,
            values=_values(config),
            asynchronous=asynchronous,
            grace=grace,
        )

    def root(self, note: Callable[[float, float | None], object] | None = None) -> Context:
        """Returns the ancestor of the contexts of all tasks, where the resource is. ``note``: takes the progress of the worker's."""
        context = Context()
        for key, value in self.values:
            context = context.with_value(key, value)
        root = RootContext(context)  # which keeps no callback of a task beyond it
        worker = self.worker
        return root if worker is None else WorkerContext(root, lambda: worker, note)


def _values(config: Config[Any]) -> list[tuple[Any, Any]]:
    """Returns the values of ``Config.ctx`` that can travel, outermost first."""
    values = []
    for key, value in [] if config.ctx is None else config.ctx._items():
        try:
            pack((key, value))
        except Exception:  # noqa: S112  of no use elsewhere
            continue
        values.append((key, value))
    return values
