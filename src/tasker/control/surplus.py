"""The workers that are one too many: which of them go, so that those that serve are the last to be taken.

A worker that is still making its resource serves nothing, so it goes first: it is *dropped*, which means that it ends as
soon as its resource is made (``on_create`` cannot be interrupted), and until then it can be kept after all. Only what is
left of a surplus falls to ready workers, as a ``Retire``. So a pool that grows and changes its mind keeps every worker
that serves.
"""

from __future__ import annotations

from collections.abc import Iterable

from . import actions as act
from .events import Seat


class Surplus:
    """Counts the workers that have to go and are still there. Not thread-safe."""

    __slots__ = ("_dropped", "retiring")

    def __init__(self) -> None:
        self.retiring: int = 0
        """``Retire`` actions that no worker has obeyed yet."""
        self._dropped: dict[Seat, None] = {}
        """Workers that end as soon as they have their resource."""

    @property
    def dropped(self) -> int:
        """How many starting workers end as soon as they have their resource."""
        return len(self._dropped)

    @property
    def leaving(self) -> int:
        """How many starting and ready workers have to go."""
        return self.retiring + len(self._dropped)

    def forget(self, seat: Seat) -> None:
        """The worker does not start any more: it is ready, ends or is gone."""
        self._dropped.pop(seat, None)

    def abandon(self) -> None:
        """No starting worker is waited for any more; each still ends by itself."""
        self._dropped.clear()

    def obeyed(self) -> None:
        """A worker has obeyed a ``Retire``."""
        self.retiring = max(0, self.retiring - 1)

    def settle(self, surplus: int, starting: Iterable[Seat]) -> list[act.Action]:
        """Returns the actions for ``surplus`` further workers that are too many, or, if it is negative, too few;
        ``starting`` are the workers that start, the oldest first."""
        if surplus <= 0:
            # The one that was dropped last: of all of them it is the oldest, and so the first to be ready.
            return [self._keep(seat) for seat in list(reversed(self._dropped))[:-surplus]]
        # The youngest: it has the longest time to go.
        serving_soon = [seat for seat in starting if seat not in self._dropped]
        chosen = serving_soon[max(0, len(serving_soon) - surplus) :]
        actions: list[act.Action] = [self._drop(seat) for seat in reversed(chosen)]
        left = surplus - len(chosen)
        if left:
            # Counted at once: the workers end some time later, and must not be retired a second time until then.
            self.retiring += left
            actions.append(act.Retire(left))
        return actions

    def _drop(self, seat: Seat) -> act.Action:
        self._dropped[seat] = None
        return act.MarkSurplus(seat, surplus=True)

    def _keep(self, seat: Seat) -> act.Action:
        del self._dropped[seat]
        return act.MarkSurplus(seat, surplus=False)
