"""An actor's process is killed in the middle of a run: what is lost, and how soon another one takes over."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.over_ray import dying, ways
from benchmarks.over_ray.dying import ALL, RESTARTED, SECONDS, VICTIM, WORKERS
from benchmarks.peers import absent
from benchmarks.runner import SUBJECT, Absent, Claim, Contestant, Figure, Outcome, Race, Size

LOST = Figure("lost", "without a result", "count")
WHOLE = Figure("whole", "whole run", "s")
REPLACED = Figure("replaced", "another process began a task after", "s")
REPLACES = (ways.TASKER, RESTARTED, ways.PLAIN, ways.DATA)


def races(size: Size) -> list[Race]:
    count = size.count(100, 40)
    work = (
        f"{count} tasks that sleep for {SECONDS * 1000:.0f} ms, on {WORKERS} actors. Task {VICTIM} kills its process, the first "
        "time that it runs."
    )
    gone = [Absent(way, one.why) for way, needs in ways.NEEDS.items() for one in absent(*needs)[:1]]
    there = [name for name in ALL if name not in {one.name for one in gone}]
    return [
        Race(
            key="lost-actors",
            title="An actor is killed: what is lost",
            work=work,
            figures=[LOST, WHOLE],
            contestants=[_contestant(name, count, _losses) for name in there],
            rounds=size.rounds(3),
            claims=[Claim("an actor is killed", "no task is lost", _lost, at_most=0.0, unit="count")],
            absent=gone,
        ),
        Race(
            key="replaced-actors",
            title="An actor is killed: when another one takes over",
            work=f"{work} Those that replace it.",
            figures=[REPLACED],
            contestants=[_contestant(name, count, _replacement) for name in there if name in REPLACES],
            rounds=size.rounds(5),
            absent=gone,
        ),
    ]


def _lost(outcome: Outcome) -> list[float]:
    return outcome.of(SUBJECT, "lost")


def _contestant(name: str, count: int, told: Callable[[dying.Story], dict[str, float]]) -> Contestant:
    run, remark = ALL[name]
    return Contestant(name, lambda: told(dying.story(run, count)), remark)


def _losses(story: dying.Story) -> dict[str, float]:
    return {"lost": float(story.lost), "whole": story.seconds}


def _replacement(story: dying.Story) -> dict[str, float]:
    if story.replaced is None:
        raise RuntimeError("no other process has begun a task")
    return {"replaced": story.replaced}
