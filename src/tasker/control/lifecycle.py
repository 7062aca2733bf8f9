"""The lifecycle of a manager: every move in one table. A move that is not there is a fault of the caller."""

from __future__ import annotations

import enum


class Phase(enum.Enum):
    """How far a manager is."""

    RUNNING = "running"
    DRAINING = "draining"
    """Takes no tasks, runs those it has."""
    CLOSING = "closing"
    """Every task has its outcome; workers destroy their resources."""
    KILLING = "killing"
    """What waited was dropped, what runs was cancelled; workers end."""
    STOPPED = "stopped"


class Move(enum.Enum):
    """What changes the phase."""

    STOP = "stop"
    KILL = "kill"
    DRAINED = "drained"
    EMPTIED = "emptied"
    """No worker is left, or those that are left were abandoned."""


MOVES: dict[tuple[Phase, Move], Phase] = {
    (Phase.RUNNING, Move.STOP): Phase.DRAINING,
    (Phase.RUNNING, Move.KILL): Phase.KILLING,
    (Phase.DRAINING, Move.STOP): Phase.DRAINING,
    (Phase.DRAINING, Move.KILL): Phase.KILLING,
    (Phase.DRAINING, Move.DRAINED): Phase.CLOSING,
    (Phase.CLOSING, Move.STOP): Phase.CLOSING,
    (Phase.CLOSING, Move.KILL): Phase.KILLING,
    (Phase.CLOSING, Move.DRAINED): Phase.CLOSING,
    (Phase.CLOSING, Move.EMPTIED): Phase.STOPPED,
    (Phase.KILLING, Move.STOP): Phase.KILLING,
    (Phase.KILLING, Move.KILL): Phase.KILLING,
    (Phase.KILLING, Move.DRAINED): Phase.KILLING,
    (Phase.KILLING, Move.EMPTIED): Phase.STOPPED,
    (Phase.STOPPED, Move.STOP): Phase.STOPPED,
    (Phase.STOPPED, Move.KILL): Phase.STOPPED,
    (Phase.STOPPED, Move.DRAINED): Phase.STOPPED,
}


def moved(phase: Phase, move: Move) -> Phase:
    """The phase after a move; ``KeyError`` for one that is not in the table."""
    return MOVES[phase, move]
