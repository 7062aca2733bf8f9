"""An actor's process is killed in the middle of a run: what is lost, and how soon another one takes over."""

from __future__ import annotations

from collections.abc import Callable, Container

from benchmarks.over_ray import dying, ways
from benchmarks.over_ray.dying import ALL, RESTARTED, SECONDS, VICTIM, WORKERS, Story
from benchmarks.peers import absent
from benchmarks.runner import SUBJECT, Absent, Claim, Contestant, Figure, Outcome, Race, Size

LOST = Figure("lost", "without a result", "count")
WHOLE = Figure("whole", "whole run", "s")
REPLACED = Figure("replaced", "another process began a task after", "s")
REPLACES = (ways.TASKER, RESTARTED, ways.PLAIN, ways.DATA)


def races(size: Size) -> list[Race]:
    work = "kills its process, the first time that it runs."
    return about(
        ("actors", "An actor"), work, lambda way, count: dying.story(ALL[way][0], count), REPLACES, size.rounds(3), size
    )


def about(
    names: tuple[str, str],
    event: str,
    tell: Callable[[str, int], Story],
    replaces: Container[str],
    rounds: int,
    size: Size,
    least: int = 40,
) -> list[Race]:
    """Returns two races: what is lost with what dies, and when it is replaced. ``tell`` runs as many tasks in a way, ``least`` or
    more: the last one has to come after that."""
    (key, title), count = names, size.count(100, least)
    work = f"{count} tasks that sleep for {SECONDS * 1000:.0f} ms, on {WORKERS} actors. Task {VICTIM} {event}"
    gone = [Absent(way, one.why) for way, needs in ways.NEEDS.items() for one in absent(*needs)[:1]]
    there = [name for name in ALL if name not in {one.name for one in gone}]

    def contestant(name: str, told: Callable[[Story], dict[str, float]]) -> Contestant:
        return Contestant(name, lambda: told(tell(name, count)), ALL[name][1])

    return [
        Race(
            key=f"lost-{key}",
            title=f"{title} is killed: what is lost",
            work=work,
            figures=[LOST, WHOLE],
            contestants=[contestant(name, _losses) for name in there],
            rounds=rounds,
            claims=[
                Claim(f"{title[0].lower()}{title[1:]} is killed", "no task is lost", _lost, at_most=0.0, unit="count")
            ],
            absent=gone,
        ),
        Race(
            key=f"replaced-{key}",
            title=f"{title} is killed: when another one takes over",
            work=f"{work} Those that replace it.",
            figures=[REPLACED],
            contestants=[contestant(name, _replacement) for name in there if name in replaces],
            rounds=rounds,
            absent=gone,
        ),
    ]


def _lost(outcome: Outcome) -> list[float]:
    return outcome.of(SUBJECT, "lost")


def _losses(story: Story) -> dict[str, float]:
    return {"lost": float(story.lost), "whole": story.seconds}


def _replacement(story: Story) -> dict[str, float]:
    if story.replaced is None:
        raise RuntimeError("no other process has begun a task")
    return {"replaced": story.replaced}
