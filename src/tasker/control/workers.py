"""The table of workers: records which seats are taken, and the state of each worker."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from .events import Seat


class WorkerState(enum.Enum):
    """The state of a worker."""

    STARTING = "starting"
    """It is making its resource."""
    READY = "ready"
    """It serves the queue."""
    PARKED = "parked"
    """It keeps its resource and takes no tasks, because it is tried whether fewer workers do as much."""
    ENDING = "ending"
    """It is destroying its resource."""
    STUCK = "stuck"
    """It has been making, checking or destroying its resource, or running a task, for too long. Another worker may take its
    place."""


class WorkerMove(enum.Enum):
    """A change of a worker's state."""

    CREATED = "created"
    DROPPED = "dropped"
    CREATION_FAILED = "creation failed"
    PARKED = "parked"
    UNPARKED = "unparked"
    CHECKED = "checked"
    BEGAN_ENDING = "began ending"
    GIVEN_UP = "given up"
    RETURNED = "returned"
    ENDED = "ended"
    LOST = "lost"


GONE = None

WORKER_MOVES: dict[tuple[WorkerState, WorkerMove], WorkerState | None] = {
    (WorkerState.STARTING, WorkerMove.CREATED): WorkerState.READY,
    (WorkerState.STARTING, WorkerMove.DROPPED): WorkerState.ENDING,
    (WorkerState.STARTING, WorkerMove.CREATION_FAILED): GONE,
    (WorkerState.STARTING, WorkerMove.LOST): GONE,
    (WorkerState.STARTING, WorkerMove.GIVEN_UP): WorkerState.STUCK,
    (WorkerState.READY, WorkerMove.BEGAN_ENDING): WorkerState.ENDING,
    (WorkerState.READY, WorkerMove.LOST): GONE,
    (WorkerState.READY, WorkerMove.CHECKED): WorkerState.READY,
    (WorkerState.READY, WorkerMove.GIVEN_UP): WorkerState.STUCK,
    (WorkerState.READY, WorkerMove.PARKED): WorkerState.PARKED,
    (WorkerState.PARKED, WorkerMove.UNPARKED): WorkerState.READY,
    (WorkerState.PARKED, WorkerMove.LOST): GONE,
    (WorkerState.ENDING, WorkerMove.ENDED): GONE,
    (WorkerState.ENDING, WorkerMove.LOST): GONE,
    (WorkerState.ENDING, WorkerMove.GIVEN_UP): WorkerState.STUCK,
    # It had its resource, or had it checked, just before it was given up, and serves.
    (WorkerState.STUCK, WorkerMove.CREATED): WorkerState.READY,
    (WorkerState.STUCK, WorkerMove.CHECKED): WorkerState.READY,
    (WorkerState.STUCK, WorkerMove.DROPPED): WorkerState.STUCK,
    # From a task: it serves again, or the task has left its resource unhealthy.
    (WorkerState.STUCK, WorkerMove.RETURNED): WorkerState.READY,
    (WorkerState.STUCK, WorkerMove.BEGAN_ENDING): WorkerState.ENDING,
    (WorkerState.STUCK, WorkerMove.CREATION_FAILED): GONE,
    (WorkerState.STUCK, WorkerMove.ENDED): GONE,
    (WorkerState.STUCK, WorkerMove.LOST): GONE,
}


@dataclass(slots=True)
class WorkersTable:
    """Holds the states of the workers that are not gone, and allows only the moves above."""

    states: dict[Seat, WorkerState] = field(default_factory=dict)
    outdated: int = 0
    """The generation up to which workers have a resource of before the last refresh."""
    _generation: int = 0

    def seat_new(self) -> Seat:
        """Returns a seat for a worker that starts, in the lowest free slot."""
        # The lowest, so that there are never more names and counters than the most workers at one time.
        taken = {seat.slot for seat in self.states}
        slot = next(number for number in range(1, len(taken) + 2) if number not in taken)
        self._generation += 1
        seat = Seat(slot, self._generation)
        self.states[seat] = WorkerState.STARTING
        return seat

    def outdate(self) -> None:
        """Makes the resource of every worker that has begun to make it outdated."""
        self.outdated = self._generation

    def move(self, seat: Seat, move: WorkerMove) -> bool:
        """Makes a move. Returns False if the seat is not known any more, because the report came late. Raises
        ``KeyError`` for a move that is not in the table."""
        state = self.states.get(seat)
        if state is None:
            return False
        after = WORKER_MOVES[state, move]
        if after is GONE:
            del self.states[seat]
        else:
            self.states[seat] = after
        return True

    def seats(self, state: WorkerState) -> list[Seat]:
        """Returns the seats in this state, the oldest first."""
        return [seat for seat, one in self.states.items() if one is state]

    def count(self, *states: WorkerState) -> int:
        """Returns how many workers are in one of these states."""
        present = list(self.states.values())
        return sum(map(present.count, states))
