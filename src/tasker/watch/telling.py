"""Events in words, for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tasker.control import notices as say

Tone = Literal["info", "good", "warning", "bad"]
_WHY_REPLACED = {
    "unhealthy": "an error has shown that its resource is unhealthy",
    "check": "check_resource says that its resource is unhealthy",
    "worn": "its resource has served its time",
}


@dataclass(frozen=True, slots=True)
class Notable:
    """Something that people want to know. Immutable."""

    at: float
    tone: Tone
    text: str


def notable(event: say.ManagerEvent) -> Notable | None:
    """Returns an event in words; None if it is routine, or is shown elsewhere."""
    told = _of_worker(event) if isinstance(event, say.WorkerEvent) else (_of_creations(event) or _of_manager(event))
    return None if told is None else Notable(event.at, *told)


def _of_worker(event: say.WorkerEvent) -> tuple[Tone, str] | None:
    name = event.worker
    match event:
        case say.WorkerReplaced(why=why, error=error):
            cause = _WHY_REPLACED[why]
            return ("info" if why == "worn" else "warning", f"{name} is replaced: {cause}{_after(error)}")
        case say.WorkerFailed(error=error):
            return "bad", f"{name} could not make its resource: {first_line(error)}"
        case say.WorkerCrashed(error=error):
            return "bad", f"{name} has crashed: {first_line(error)}"
        case say.WorkerStuck(why=why):
            return "bad", f"{name} is stuck: {why}"
        case say.WorkerRecovered():
            return "good", f"{name} has returned and serves again"
        case say.WorkerAbandoned():
            return "bad", f"{name} was abandoned"
        case _:
            return None


def _of_creations(event: say.ManagerEvent) -> tuple[Tone, str] | None:
    match event:
        case say.CreationsFailing(failures=failures, error=error):
            return "bad", f"creations fail, {failures} in a row: {first_line(error)}"
        case say.CreationsRecovered(failures=failures):
            return "good", f"creations work again, after {failures} that failed"
        case say.BreakerChanged(before=before, after=after):
            return "warning" if after != "closed" else "good", f"circuit breaker: {before} \N{RIGHTWARDS ARROW} {after}"
        case say.RestartAlarmChanged(raised=True, restarts=restarts, why=why):
            return "bad", f"workers are replaced too often ({restarts}): {why}"
        case say.RestartAlarmChanged():
            return "good", "workers are no longer replaced too often"
        case _:
            return None


def _of_manager(event: say.ManagerEvent) -> tuple[Tone, str] | None:
    match event:
        case say.Paused():
            return "warning", "paused: no task starts"
        case say.Resumed():
            return "good", "resumed"
        case say.StopBegun(kill=kill, why=why):
            return "warning", f"{'kill' if kill else 'stop'}: {why}"
        case say.StopEnded(kill=kill):
            return "info", "killed" if kill else "stopped"
        case say.TaskQuarantined(task=task):
            return "bad", f"{task} is in quarantine"
        case _:
            return None


def _after(error: str | None) -> str:
    return "" if error is None else f" ({first_line(error)})"


def first_line(text: str, most: int = 200) -> str:
    """Returns the first line of a text, shortened."""
    lines = text.strip().splitlines()
    return lines[0][:most] if lines else ""
