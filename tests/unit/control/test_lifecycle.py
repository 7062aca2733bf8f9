"""The lifecycle table: every pair of phase and move."""

from __future__ import annotations

import itertools

import pytest

from tasker.control.lifecycle import MOVES, Door, DoorMove, Move, Phase, door_moved, moved

RUNNING, PAUSING, PAUSED = Phase.RUNNING, Phase.PAUSING, Phase.PAUSED
DRAINING, CLOSING = Phase.DRAINING, Phase.CLOSING
KILLING, STOPPED = Phase.KILLING, Phase.STOPPED

PAUSES = (Move.PAUSE, Move.RESUME, Move.QUIET)
EXPECTED = {
    RUNNING: {Move.STOP: DRAINING, Move.KILL: KILLING, **dict(zip(PAUSES, (PAUSING, RUNNING, RUNNING), strict=True))},
    PAUSING: {Move.STOP: DRAINING, Move.KILL: KILLING, **dict(zip(PAUSES, (PAUSING, RUNNING, PAUSED), strict=True))},
    PAUSED: {Move.STOP: DRAINING, Move.KILL: KILLING, **dict(zip(PAUSES, (PAUSED, RUNNING, PAUSED), strict=True))},
    DRAINING: {Move.STOP: DRAINING, Move.KILL: KILLING, Move.DRAINED: CLOSING},
    CLOSING: {
        Move.STOP: CLOSING,
        Move.KILL: KILLING,
        Move.DRAINED: CLOSING,
        Move.EMPTIED: STOPPED,
    },
    KILLING: {
        Move.STOP: KILLING,
        Move.KILL: KILLING,
        Move.DRAINED: KILLING,
        Move.EMPTIED: STOPPED,
    },
    STOPPED: {Move.STOP: STOPPED, Move.KILL: STOPPED, Move.DRAINED: STOPPED},
}
for _ending in (DRAINING, CLOSING, KILLING, STOPPED):
    EXPECTED[_ending].update(dict.fromkeys(PAUSES, _ending))  # an end is no pause, and ends one


@pytest.mark.parametrize(("phase", "move"), list(itertools.product(Phase, Move)))
def test_every_pair(phase: Phase, move: Move) -> None:
    """Each pair is in the table with the phase expected here, or raises KeyError."""
    if move in EXPECTED[phase]:
        assert moved(phase, move) is EXPECTED[phase][move]
    else:
        with pytest.raises(KeyError):
            moved(phase, move)


def test_table_has_nothing_else() -> None:
    """The table has these pairs and no others."""
    assert set(MOVES) == {(phase, move) for phase, moves in EXPECTED.items() for move in moves}


def test_the_end_is_reached_from_everywhere_and_never_left() -> None:
    """STOPPED can be reached from each phase, and no move leads out of it."""
    reaches = {STOPPED}
    for _ in Phase:
        reaches |= {before for (before, _), after in MOVES.items() if after in reaches}
    assert reaches == set(Phase)
    assert {after for (before, _), after in MOVES.items() if before is STOPPED} == {STOPPED}


@pytest.mark.parametrize("move", [Move.STOP, Move.KILL, Move.DRAINED, *PAUSES])
def test_requests_are_idempotent(move: Move) -> None:
    """Where a move is allowed, making it twice is the same as making it once."""
    for phase in Phase:
        if (phase, move) in MOVES:
            assert moved(moved(phase, move), move) is moved(phase, move)


@pytest.mark.parametrize(("door", "move"), list(itertools.product(Door, DoorMove)))
def test_every_move_of_the_door(door: Door, move: DoorMove) -> None:
    """A closed door never opens again: a close does not undo a kill, and nothing undoes a fork. Only a pause ends."""
    rank = {
        DoorMove.PAUSE: Door.PAUSED,
        DoorMove.CLOSE: Door.CLOSED,
        DoorMove.KILL: Door.KILLED,
        DoorMove.FORK: Door.FORKED,
    }
    if move is DoorMove.RESUME:
        assert door_moved(door, move) is (Door.OPEN if door is Door.PAUSED else door)
    else:
        assert door_moved(door, move) is max(door, rank[move])


def test_an_open_door_is_false() -> None:
    """The loops that run every task test the door without a comparison."""
    assert [bool(door) for door in Door] == [False, True, True, True, True]
