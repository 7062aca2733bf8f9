"""What a stop does that hands back the tasks which have not started, in place of running them.

From the request on no task starts, as in a pause. What waits is handed back: what is queued, what was sent ahead to a session, and
what is delayed. A task that ran meanwhile and would be tried again follows.

The stop itself says whether it hands back. Were that an event of its own, an interrupt between the two could leave a manager that
is open, and in which no task starts.
"""

from __future__ import annotations

from . import actions as act
from .lifecycle import STAFFED, Phase


class HandingBack:
    """See the module's docstring. Not thread-safe."""

    __slots__ = ("_begun", "wanted")

    def __init__(self) -> None:
        self.wanted: bool = False
        self._begun = False

    def request(self, phase: Phase) -> list[act.Action]:
        """A stop is requested that hands tasks back; perhaps one was under way."""
        if phase not in STAFFED or self.wanted:
            return []
        self.wanted = True
        return [act.HoldTasks()]

    def end(self, phase: Phase) -> Phase:
        """Returns the phase as delayed tasks see it: they are not run out or reported, but queued to be handed back."""
        return Phase.KILLING if self.wanted and phase is Phase.DRAINING else phase

    def retry(self, phase: Phase) -> Phase:
        """Returns the phase as a task sees it whose attempt has ended: what would be tried again is handed back."""
        return Phase.RUNNING if self.wanted and phase is Phase.DRAINING else phase

    def around(self, actions: list[act.Action], phase: Phase) -> list[act.Action]:
        """Returns the actions of an event with what hands back the tasks that they queue."""
        if not self.wanted or phase is not Phase.DRAINING:
            return actions
        if not self._begun:
            self._begun = True
            return [*actions, act.HandBack()]
        if any(isinstance(action, act.Requeue | act.Resume) for action in actions):
            # Held first: the workers serve again, and one that is idle would start what is queued.
            return [act.HoldTasks(), *actions, act.HandBack()]
        return actions
