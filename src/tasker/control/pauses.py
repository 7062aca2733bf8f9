"""What a request to pause or to resume changes, and the end of the last task before a pause."""

from __future__ import annotations

from . import actions as act
from . import events as ev
from .lifecycle import HELD, Move, Phase, moved

PauseEvent = ev.PauseRequested | ev.ResumeRequested | ev.Quiet
_MOVES = {ev.PauseRequested: Move.PAUSE, ev.ResumeRequested: Move.RESUME, ev.Quiet: Move.QUIET}


def paused(event: PauseEvent, phase: Phase) -> tuple[Phase, list[act.Action]]:
    """Returns the phase after an event, and the actions; without the one that ends a pause, which other events end, too."""
    after = moved(phase, _MOVES[type(event)])
    if (phase in HELD) is (after in HELD):
        return after, []
    if after in HELD:
        return after, [act.HoldTasks(), act.Log("info", "paused: no task starts")]
    return after, [act.Log("info", "resumed")]
