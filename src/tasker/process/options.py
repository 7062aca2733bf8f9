"""ProcessBackend: the options of child processes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from tasker.control.finite import is_finite
from tasker.errors import ConfigError
from tasker.options import Backend

if TYPE_CHECKING:
    from tasker.remote.sharing import Shared

T = TypeVar("T")


@dataclass(frozen=True)
class ProcessBackend(Backend):
    """``Config(backend=ProcessBackend())``: each worker's resource lives in a child process of its own.

    ``on_create``, the tasks and ``on_destroy`` run in the main thread of the child; ``check_health``, callbacks, collectors
    and loggers in this process. Tasks, arguments and results are pickled, by cloudpickle where pickle cannot do it. Needs
    the extra ``process``, and a POSIX system.

    A wrong value raises ``ConfigError`` that names the field, the value and what is allowed.
    """

    _: KW_ONLY
    start_method: Literal["forkserver", "spawn"] = "forkserver"
    """``"forkserver"``: forked from a process without threads that has imported ``preload``, in some milliseconds.
    ``"spawn"``: a new interpreter for each, in some tens of them."""
    preload: Iterable[str] = ()
    """Names of modules that are imported once, before children are forked."""
    max_tasks: int | None = None
    """A child is replaced after as many tasks. None: never for that reason."""
    max_age: float | None = None
    """... after as many seconds, between two tasks."""
    max_rss: int | None = None
    """... when it holds more than as many bytes of resident memory after a task."""
    affinity: Iterable[int] | None = None
    """Numbers of the processors that the children may run on. None: all that this process may."""
    nice: int = 0
    """Added to the children's niceness."""
    pipeline: bool = True
    """Whether short tasks are sent to a child ahead of their turn, when many wait."""

    def share(self, value: T) -> Shared[T]:
        """Copies a value once into memory that all children can reach; returns its handle. Passed to tasks of managers with
        child processes, the handle arrives as the value, which each child makes again once. Large arrays in it are
        not copied for that: the children see the same memory, and cannot change it.

        ``TravelError`` if the value cannot be pickled, ``OSError`` if there is no memory or descriptor left. Blocks for as
        long as the copy takes. Thread-safe.
        """
        from .sharing import share  # noqa: PLC0415  not for those who share nothing

        return share(value)

    def __post_init__(self) -> None:
        if self.start_method not in ("forkserver", "spawn"):
            raise _wrong("start_method", self.start_method, "'forkserver' or 'spawn'")
        names = self._several("preload", str, "names of modules")
        object.__setattr__(self, "preload", names)
        if self.affinity is not None:
            cpus = self._several("affinity", int, "numbers of processors")
            if not cpus or min(cpus) < 0:
                raise _wrong("affinity", cpus, "numbers of processors (or None)")
            object.__setattr__(self, "affinity", cpus)
        self._check_limits()
        if isinstance(self.nice, bool) or not isinstance(self.nice, int):
            raise _wrong("nice", self.nice, "an integer")
        if not isinstance(self.pipeline, bool):
            raise _wrong("pipeline", self.pipeline, "True or False")
        if os.name != "posix":
            raise ConfigError(f"ProcessBackend needs a POSIX system, this is {os.name!r}")
        for module in ("cloudpickle", "psutil"):
            if find_spec(module) is None:
                raise ConfigError(f"ProcessBackend needs {module}: pip install 'tasker-pool[process]'")

    def _check_limits(self) -> None:
        for field in ("max_tasks", "max_rss"):
            value = getattr(self, field)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise _wrong(field, value, "a positive integer or None")
        age = self.max_age
        if age is not None and (not is_finite(age) or age <= 0):
            raise _wrong("max_age", age, "a finite number of seconds, more than 0 (or None)")

    def _several(self, field: str, kind: type, allowed: str) -> tuple[Any, ...]:
        value = getattr(self, field)
        if isinstance(value, str):
            raise _wrong(field, value, allowed)
        try:
            several = tuple(value)
        except TypeError:
            raise _wrong(field, value, allowed) from None
        if not all(isinstance(each, kind) and not isinstance(each, bool) for each in several):
            raise _wrong(field, value, allowed)
        return several


def _wrong(field: str, value: object, allowed: str) -> ConfigError:
    return ConfigError(f"ProcessBackend.{field} must be {allowed}, got {value!r}")
