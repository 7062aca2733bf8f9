"""The lifecycle of a manager: every move in two tables. A move that is not in its table is a fault of the caller.

``Phase`` is how far the supervisor is; it alone moves it, one event after the other. ``Door`` is what the data plane
looks at for each task: whether tasks come in and may start. It moves at once, from any thread, so it can be ahead of
the phase (``stop()`` closes the door in the caller's thread, and the supervisor drains when it handles the event), and
never behind it. ``docs/architecture.md`` has both as diagrams drawn from these tables.
"""

from __future__ import annotations

import enum


class Phase(enum.Enum):
    """How far a manager is."""

    RUNNING = "running"
    PAUSING = "pausing"
    """Takes tasks and starts none; some still run."""
    PAUSED = "paused"
    """Takes tasks and starts none; none runs."""
    DRAINING = "draining"
    """Takes no tasks, runs those it has."""
    CLOSING = "closing"
    """Every task has its outcome; workers destroy their resources."""
    KILLING = "killing"
    """Queued tasks are dropped, running ones cancelled; workers end."""
    STOPPED = "stopped"


class Move(enum.Enum):
    """What changes the phase."""

    PAUSE = "pause"
    RESUME = "resume"
    QUIET = "quiet"
    """No task runs."""
    STOP = "stop"
    KILL = "kill"
    DRAINED = "drained"
    EMPTIED = "emptied"
    """No worker is left, or those that are left were abandoned."""


MOVES: dict[tuple[Phase, Move], Phase] = {
    (Phase.RUNNING, Move.PAUSE): Phase.PAUSING,
    (Phase.RUNNING, Move.RESUME): Phase.RUNNING,
    (Phase.RUNNING, Move.QUIET): Phase.RUNNING,
    (Phase.RUNNING, Move.STOP): Phase.DRAINING,
    (Phase.RUNNING, Move.KILL): Phase.KILLING,
    (Phase.PAUSING, Move.PAUSE): Phase.PAUSING,
    (Phase.PAUSING, Move.RESUME): Phase.RUNNING,
    (Phase.PAUSING, Move.QUIET): Phase.PAUSED,
    (Phase.PAUSING, Move.STOP): Phase.DRAINING,
    (Phase.PAUSING, Move.KILL): Phase.KILLING,
    (Phase.PAUSED, Move.PAUSE): Phase.PAUSED,
    (Phase.PAUSED, Move.RESUME): Phase.RUNNING,
    (Phase.PAUSED, Move.QUIET): Phase.PAUSED,
    (Phase.PAUSED, Move.STOP): Phase.DRAINING,
    (Phase.PAUSED, Move.KILL): Phase.KILLING,
    (Phase.DRAINING, Move.PAUSE): Phase.DRAINING,
    (Phase.DRAINING, Move.RESUME): Phase.DRAINING,
    (Phase.DRAINING, Move.QUIET): Phase.DRAINING,
    (Phase.DRAINING, Move.STOP): Phase.DRAINING,
    (Phase.DRAINING, Move.KILL): Phase.KILLING,
    (Phase.DRAINING, Move.DRAINED): Phase.CLOSING,
    (Phase.CLOSING, Move.PAUSE): Phase.CLOSING,
    (Phase.CLOSING, Move.RESUME): Phase.CLOSING,
    (Phase.CLOSING, Move.QUIET): Phase.CLOSING,
    (Phase.CLOSING, Move.STOP): Phase.CLOSING,
    (Phase.CLOSING, Move.KILL): Phase.KILLING,
    (Phase.CLOSING, Move.DRAINED): Phase.CLOSING,
    (Phase.CLOSING, Move.EMPTIED): Phase.STOPPED,
    (Phase.KILLING, Move.PAUSE): Phase.KILLING,
    (Phase.KILLING, Move.RESUME): Phase.KILLING,
    (Phase.KILLING, Move.QUIET): Phase.KILLING,
    (Phase.KILLING, Move.STOP): Phase.KILLING,
    (Phase.KILLING, Move.KILL): Phase.KILLING,
    (Phase.KILLING, Move.DRAINED): Phase.KILLING,
    (Phase.KILLING, Move.EMPTIED): Phase.STOPPED,
    (Phase.STOPPED, Move.PAUSE): Phase.STOPPED,
    (Phase.STOPPED, Move.RESUME): Phase.STOPPED,
    (Phase.STOPPED, Move.QUIET): Phase.STOPPED,
    (Phase.STOPPED, Move.STOP): Phase.STOPPED,
    (Phase.STOPPED, Move.KILL): Phase.STOPPED,
    (Phase.STOPPED, Move.DRAINED): Phase.STOPPED,
}


HELD = frozenset({Phase.PAUSING, Phase.PAUSED})
"""The phases in which no task starts though they may later."""
ACCEPTING = HELD | {Phase.RUNNING}
"""The phases in which tasks come in."""
STAFFED = ACCEPTING | {Phase.DRAINING}
"""The phases in which workers are kept, and those that are lost replaced."""


def moved(phase: Phase, move: Move) -> Phase:
    """Returns the phase after a move; raises ``KeyError`` for one that is not in the table."""
    return MOVES[phase, move]


class Door(enum.IntEnum):
    """Whether tasks come in, and whether those that are in may start.

    Integers, and ``OPEN`` is the false one: the loops that run every task test it without a comparison.
    """

    OPEN = 0
    PAUSED = 1
    """Tasks come in; none starts."""
    CLOSED = 2
    """No task comes in; those that are in are run."""
    KILLED = 3
    """No task comes in, and none starts."""
    FORKED = 4
    """This process is a fork of the manager's: its threads do not exist here, so no task comes in and nothing ends."""


class DoorMove(enum.Enum):
    """What changes the door."""

    PAUSE = "pause"
    RESUME = "resume"
    CLOSE = "close"
    KILL = "kill"
    FORK = "fork"


DOOR_MOVES: dict[tuple[Door, DoorMove], Door] = {
    (Door.OPEN, DoorMove.PAUSE): Door.PAUSED,
    (Door.OPEN, DoorMove.RESUME): Door.OPEN,
    (Door.OPEN, DoorMove.CLOSE): Door.CLOSED,
    (Door.OPEN, DoorMove.KILL): Door.KILLED,
    (Door.OPEN, DoorMove.FORK): Door.FORKED,
    (Door.PAUSED, DoorMove.PAUSE): Door.PAUSED,
    (Door.PAUSED, DoorMove.RESUME): Door.OPEN,
    (Door.PAUSED, DoorMove.CLOSE): Door.CLOSED,
    (Door.PAUSED, DoorMove.KILL): Door.KILLED,
    (Door.PAUSED, DoorMove.FORK): Door.FORKED,
    (Door.CLOSED, DoorMove.PAUSE): Door.CLOSED,
    (Door.CLOSED, DoorMove.RESUME): Door.CLOSED,
    (Door.CLOSED, DoorMove.CLOSE): Door.CLOSED,
    (Door.CLOSED, DoorMove.KILL): Door.KILLED,
    (Door.CLOSED, DoorMove.FORK): Door.FORKED,
    (Door.KILLED, DoorMove.PAUSE): Door.KILLED,
    (Door.KILLED, DoorMove.RESUME): Door.KILLED,
    (Door.KILLED, DoorMove.CLOSE): Door.KILLED,
    (Door.KILLED, DoorMove.KILL): Door.KILLED,
    (Door.KILLED, DoorMove.FORK): Door.FORKED,
    (Door.FORKED, DoorMove.PAUSE): Door.FORKED,
    (Door.FORKED, DoorMove.RESUME): Door.FORKED,
    (Door.FORKED, DoorMove.CLOSE): Door.FORKED,
    (Door.FORKED, DoorMove.KILL): Door.FORKED,
    (Door.FORKED, DoorMove.FORK): Door.FORKED,
}


def door_moved(door: Door, move: DoorMove) -> Door:
    """Returns the door after a move."""
    return DOOR_MOVES[door, move]
