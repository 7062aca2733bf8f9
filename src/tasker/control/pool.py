"""PoolState: what the supervisor knows of ``run_task``'s pool of resources."""

from __future__ import annotations

from . import actions as act
from .creation import CreationGate


class PoolState:
    """Has lost resources made again, one at a time, and the pool closed once."""

    def __init__(self, gate: CreationGate, *, exists: bool) -> None:
        self._gate = gate
        self._missing = 0
        self._filling = False
        self._open = exists
        self._kept = exists

    @property
    def alive(self) -> bool:
        """Whether resources of the pool may be left, or one is being made."""
        return self._kept or self._filling

    def closed(self) -> None:
        """The resources are destroyed; one that is being made will be, too."""
        self._kept = False

    def abandon(self) -> tuple[bool, bool]:
        """Stops waiting. Returns whether resources are left, and whether one is being made."""
        left = self._kept, self._filling
        self._kept = self._filling = False
        return left

    @property
    def retry_at(self) -> float | None:
        """When the next resource may be made, if one is missing and none is being made."""
        return self._gate.retry_at if self._missing and not self._filling else None

    def lost(self) -> None:
        """A resource is to be made again."""
        self._missing += 1

    def refilled(self) -> None:
        """It was made."""
        self._missing -= 1
        self._filling = False
        self._gate.succeeded()

    def refill_failed(self, error: str, now: float) -> list[act.Action]:
        """It could not be made; another try follows."""
        self._filling = False
        delay = self._gate.failed(now, error)
        text = "a resource for run_task could not be made (next try in %.2f s): %s"
        return [act.Log("warning", text, (delay, error))]

    def refill(self, now: float) -> list[act.Action]:
        """Returns the action that makes a missing resource, if it is time."""
        # One at a time; ``PoolRefilled`` leads to the next one.
        if self._filling or not self._gate.allowed(now, self._missing, 0):
            return []
        self._filling = True
        return [act.RefillPool()]

    def close(self) -> list[act.Action]:
        """Returns the action that closes the pool, the first time."""
        was_open, self._open = self._open, False
        return [act.ClosePool()] if was_open else []
