"""The workers that are parked while it is tried whether fewer do as much: they keep their resources, so a trial that was in
vain costs no creation.

The engine is asked for a number, not for particular workers: which of them are idle, only the engine knows. It is asked again
whenever the number changes, also because a parked worker is gone, and so nothing has to be counted here.
"""

from __future__ import annotations

from . import actions as act


class Parking:
    """Remembers for how many workers the engine was asked. Not thread-safe."""

    __slots__ = ("wanted",)

    def __init__(self) -> None:
        self.wanted: int = 0
        """How many workers are to be parked."""

    def settle(self, wanted: int) -> list[act.Action]:
        """Returns the action that has so many workers parked, if they are more or fewer than before."""
        if wanted == self.wanted:
            return []
        self.wanted = wanted
        return [act.Park(wanted)]
