"""The topics: one module each, with a function ``races(size)``."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from benchmarks.runner import Race, Size

TOPICS: dict[str, str] = {
    "threads": "No-op tasks on threads",
    "round_trip": "Blocking round trip of one task",
    "run_task": "run_task",
    "memory": "A deep queue",
    "mapping": "map over lazy inputs",
    "task_sizes": "Overhead as a share of the work",
    "sleeping": "Tasks that sleep",
    "submitters": "Many submitters",
    "mixed": "Mixed priorities, failing tasks",
    "observing": "metrics() and stats()",
    "start_stop": "Starting and stopping",
    "importing": "Importing",
    "processes": "Child processes",
    "asynchronous": "asyncio",
    "running": "tasker run",
    "endurance": "Many tasks in one manager",
}
"""The topics of ``make bench`` and their titles, in the order of the report."""

LONG: dict[str, str] = {
    "endurance": "Many tasks in one manager",
    "memory": "A deep queue",
    "mapping": "map over lazy inputs",
    "threads": "No-op tasks on threads",
}
"""The topics of ``make bench-long``, with sizes of their own."""

FREE_THREADED: dict[str, str] = {
    "threads": "No-op tasks on threads",
    "computing": "Tasks that compute",
    "submitters": "Many submitters",
}
"""The topics of ``make bench-free-threaded``: those in which it matters that threads run at the same time."""

RAY: dict[str, str] = {
    "actors": "Tasks over Ray",
    "lost_actors": "An actor of Ray is killed",
    "lost_nodes": "A node of Ray is lost",
    "drivers": "Where one driver ends",
}
"""The topics of ``make bench-ray``, which need the extra ``ray``."""


def topics(size: Size) -> dict[str, str]:
    """Returns the topics that are run at that size, and their titles."""
    return {"long": LONG, "free-threaded": FREE_THREADED, "ray": RAY}.get(size.name, TOPICS)


def races(topic: str, size: Size) -> list[Race]:
    """Returns the races of a topic."""
    make: Callable[[Size], list[Race]] = importlib.import_module(f"benchmarks.topics.{topic}").races
    return make(size)
