"""Where exporters get the numbers of a manager from."""

from __future__ import annotations

import logging
import threading
from typing import Any, Protocol
from weakref import WeakKeyDictionary, WeakValueDictionary

from tasker.config import Config
from tasker.core.reading import Reading, reading_of
from tasker.stats import TaskStats

_log = logging.getLogger("tasker.exporters")


class Manager(Protocol):
    """A ``TaskManager``, ``AsyncTaskManager`` or ``InlineTaskManager``."""

    @property
    def name(self) -> str:
        """``Config.name``."""
        ...

    @property
    def config(self) -> Config[Any]:
        """What it was made with."""
        ...

    def stats(self) -> TaskStats:
        """Returns its numbers."""
        ...


class ManagerReader:
    """Reads one manager, which it does not keep alive. Thread-safe, as far as ``stats()`` of the manager is."""

    __slots__ = ("__weakref__", "_highest", "_lock", "name", "target_wait")

    def __init__(self, manager: Manager) -> None:
        self.name: str = manager.name
        self.target_wait: float = manager.config.target_wait
        self._highest: dict[str, int] = {}
        self._lock = threading.Lock()

    def read(self, manager: Any) -> Reading:
        """Returns the numbers of this moment; all zeros before the start. Costs O(workers)."""
        engine = manager._engine
        return Reading() if engine is None else reading_of(engine, manager.stats())

    def outcomes(self, reading: Reading) -> dict[str, int]:
        """Returns the outcomes by kind, none less than before: what reads a counter takes a smaller number for a restart."""
        with self._lock:
            for kind, count in reading.outcomes.items():
                self._highest[kind] = max(count, self._highest.get(kind, 0))
            return dict(self._highest)


class Managers:
    """The managers of one exporter, by name. Keeps none of them alive. Thread-safe."""

    def __init__(self) -> None:
        self._managers: WeakValueDictionary[str, Any] = WeakValueDictionary()
        self._readers: WeakKeyDictionary[Any, ManagerReader] = WeakKeyDictionary()
        """Also of those that were removed: one that comes back goes on from what was read of it."""
        self._lock = threading.RLock()

    def add(self, manager: Manager) -> bool:
        """Adds a manager, in place of one of its name that has ended. Returns False if it is there already. Raises
        ``ValueError`` if another one of its name goes on: nobody could tell their numbers apart."""
        with self._lock:
            present = self._managers.get(manager.name)
            if present is manager:
                return False
            if present is not None and not present.closed:
                raise ValueError(
                    f"another manager of the name {manager.name!r} is exported here: give each a Config.name"
                )
            self._managers[manager.name] = manager
            if manager not in self._readers:
                self._readers[manager] = ManagerReader(manager)
            return True

    def remove(self, manager: Manager) -> None:
        """Removes a manager. Harmless if it is not there."""
        with self._lock:
            if self._managers.get(manager.name) is manager:
                del self._managers[manager.name]

    def each(self) -> list[tuple[ManagerReader, Reading]]:
        """Returns the numbers of all that are left. Those of a parent's managers are not a forked child's. One that can't be read
        now is left out, with a warning."""
        with self._lock:
            # By ``values``, and not by key: a manager may be collected in between.
            found = [(self._readers[manager], manager) for manager in self._managers.values()]
        readings = []
        for reader, manager in found:
            if not _inherited(manager):
                try:
                    readings.append((reader, reader.read(manager)))
                except RuntimeError as error:  # its event loop counts all the time, and does not answer
                    _log.warning("manager %s can't be read now, and is not exported: %s", reader.name, error)
        return readings


def _inherited(manager: Any) -> bool:
    return manager._engine is not None and manager._engine.is_forked
