"""The table of workers: every pair of state and move, seats and their generations."""

from __future__ import annotations

import itertools

import pytest

from tasker.control.events import Seat
from tasker.control.workers import WORKER_MOVES, WorkerMove, WorkersTable, WorkerState

PARKED = WorkerState.PARKED
STARTING, READY, ENDING, STUCK = WorkerState.STARTING, WorkerState.READY, WorkerState.ENDING, WorkerState.STUCK

EXPECTED = {
    (STARTING, WorkerMove.CREATED): READY,
    (STARTING, WorkerMove.DROPPED): ENDING,
    (STARTING, WorkerMove.CREATION_FAILED): None,
    (STARTING, WorkerMove.LOST): None,
    (READY, WorkerMove.BEGAN_ENDING): ENDING,
    (READY, WorkerMove.LOST): None,
    (READY, WorkerMove.PARKED): PARKED,
    (READY, WorkerMove.CHECKED): READY,
    (READY, WorkerMove.GIVEN_UP): STUCK,
    (PARKED, WorkerMove.UNPARKED): READY,
    (PARKED, WorkerMove.LOST): None,
    (ENDING, WorkerMove.ENDED): None,
    (ENDING, WorkerMove.LOST): None,
    (STARTING, WorkerMove.GIVEN_UP): STUCK,
    (ENDING, WorkerMove.GIVEN_UP): STUCK,
    (STUCK, WorkerMove.RETURNED): READY,
    (STUCK, WorkerMove.BEGAN_ENDING): ENDING,
    (STUCK, WorkerMove.CREATED): READY,
    (STUCK, WorkerMove.CHECKED): READY,
    (STUCK, WorkerMove.DROPPED): STUCK,
    (STUCK, WorkerMove.CREATION_FAILED): None,
    (STUCK, WorkerMove.ENDED): None,
    (STUCK, WorkerMove.LOST): None,
}


@pytest.mark.parametrize(("state", "move"), list(itertools.product(WorkerState, WorkerMove)))
def test_every_pair(state: WorkerState, move: WorkerMove) -> None:
    """Each pair leads where it is expected here, or raises KeyError and changes nothing."""
    seat = Seat(1, 1)
    table = WorkersTable({seat: state})
    if (state, move) not in EXPECTED:
        with pytest.raises(KeyError):
            table.move(seat, move)
        assert table.states == {seat: state}
        return
    assert table.move(seat, move) is True
    after = EXPECTED[state, move]
    assert table.states == ({} if after is None else {seat: after})


def test_table_has_nothing_else() -> None:
    """The table has these pairs and no others."""
    assert WORKER_MOVES == EXPECTED


@pytest.mark.parametrize("move", list(WorkerMove))
def test_unknown_seat(move: WorkerMove) -> None:
    """A report of a seat that is not known any more is False and changes nothing."""
    table = WorkersTable({Seat(1, 2): READY})
    assert table.move(Seat(1, 1), move) is False
    assert table.states == {Seat(1, 2): READY}


def test_seats_take_the_lowest_free_slot() -> None:
    """Slots count from 1, a freed slot is taken again, and no generation comes twice."""
    table = WorkersTable()
    assert [table.seat_new() for _ in range(3)] == [Seat(1, 1), Seat(2, 2), Seat(3, 3)]
    table.move(Seat(2, 2), WorkerMove.LOST)
    assert table.seat_new() == Seat(2, 4)
    assert table.seat_new() == Seat(4, 5)


def test_new_seats_are_starting() -> None:
    """A new seat belongs to a worker that starts."""
    table = WorkersTable()
    assert table.states[table.seat_new()] is STARTING


def test_count() -> None:
    """Workers are counted by one state or by several."""
    table = WorkersTable({Seat(1, 1): READY, Seat(2, 2): READY, Seat(3, 3): ENDING})
    assert table.count(READY) == 2
    assert table.count(READY, ENDING) == 3
    assert table.count(STARTING) == 0
