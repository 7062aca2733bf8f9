"""What a worker knows of itself, and how ``on_create`` and tasks get to know it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tasker.config import Config
from tasker.context import Context
from tasker.control.events import Seat
from tasker.worker_info import WorkerInfo


class WorkerName(str):
    """The name of a worker, with its slot and generation: a future that notes the name has them at no further cost."""

    __slots__ = ("generation", "slot")
    slot: int
    generation: int

    @classmethod
    def of(cls, pool: str, seat: Seat) -> WorkerName:
        """Returns the name of a worker of the manager that is called ``pool``."""
        name = cls(f"{pool}-{seat.slot}")
        name.slot, name.generation = seat
        return name


class WorkerContext(Context):
    """The parent of the contexts of all tasks of one worker. Nothing cancels it but its ancestors."""

    __slots__ = ("_find", "_info", "_note")
    _forgets_callbacks = True  # it lives longer than its tasks, as the root does

    def __init__(
        self, root: Context, find: Callable[[], WorkerInfo], note: Callable[[float, float | None], object] | None = None
    ) -> None:
        """``find`` returns what the worker is. Called when that is first needed. ``note``: takes the progress of its task."""
        super().__init__(root)
        self._find = find
        self._note = note
        self._info: WorkerInfo | None = None

    @property
    def info(self) -> WorkerInfo:
        """What the worker is. Raises what ``find`` raises."""
        if self._info is None:
            self._info = self._find()
        return self._info

    def _take_progress(self, done: float, total: float | None) -> bool:
        if self._note is not None:
            self._note(done, total)
        return True

    def _lookup(self, key: object) -> Any:
        return self.info if key is WorkerInfo else super()._lookup(key)


def info_of(config: Config[Any], seat: Seat | None) -> WorkerInfo:
    """Returns what a worker is; None: what stands for ``run_task``. Raises ``LookupError`` where ``per_worker`` has nothing
    for it, as a failed ``on_create`` does."""
    values = config.per_worker
    if seat is None:
        if values is not None:
            raise LookupError("Config.per_worker has no value for run_task, whose resources belong to no worker")
        return WorkerInfo(0, f"{config.name}-run_task", 0)
    name = f"{config.name}-{seat.slot}"
    if values is None:
        return WorkerInfo(seat.slot, name, seat.generation)
    if seat.slot > len(values):
        raise LookupError(
            f"Config.per_worker has {len(values)} values and none for {name}: stuck workers keep theirs until they end"
        )
    return WorkerInfo(seat.slot, name, seat.generation, values[seat.slot - 1])


def arguments_for(config: Config[Any], info: WorkerInfo | None) -> tuple[WorkerInfo, ...]:
    """Returns the arguments for ``on_create`` or ``resource``. Raises as ``info_of`` does."""
    if not config.takes_worker:
        return ()
    return (info_of(config, None) if info is None else info,)
