"""The handle of a resource: what is known of it beside the resource itself, in threads and in a loop alike."""

from __future__ import annotations

from time import monotonic
from typing import Any, Protocol

from tasker.control.wear import Wear

from .ages import UNKNOWN, Age


class Elsewhere(Protocol):
    """A resource of ``run_task`` that lives in another process. Used by one caller at a time."""

    @property
    def usable(self) -> bool:
        """Whether it may run another task: its process is alive and not due for recycling."""
        ...


class Handle:
    """Holds a resource."""

    __slots__ = ("age", "cools_until", "remote", "resource", "used", "wear")

    def __init__(self, resource: Any) -> None:
        self.resource: Any = resource
        self.remote: Elsewhere | None = None
        """The resource in its process; None if it lives in this one."""
        self.used: float = monotonic()
        """When ``run_task`` has used it last (the clock of the events)."""
        self.cools_until: float = 0.0
        """Until when ``run_task``'s pool does not lend it (the clock of the events), after ``Health.COOL_DOWN``."""
        self.age: Age = UNKNOWN
        """When it was made, if it is ``run_task``'s."""
        self.wear: Wear | None = None
        """How much it has served; None if there is no limit, or it is kept by the session."""

    @property
    def usable(self) -> bool:
        """Whether it may run another task."""
        if self.remote is not None:
            return self.remote.usable
        return self.wear is None or not self.wear.worn(monotonic())
