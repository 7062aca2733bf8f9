"""What is sent to a page, as JSON. The page turns none of it into markup."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

from tasker.control import notices as say
from tasker.stats import WorkerStatus
from tasker.watch.failures import Group
from tasker.watch.points import COLUMNS, Point
from tasker.watch.telling import Notable
from tasker.watch.watch import PoolWatch

MOST_WORKERS = 500
"""That are shown one by one."""


def number(value: float) -> float | int | None:
    """Returns a number of four digits, or an integer as it is; None for NaN."""
    if isinstance(value, int):
        return value
    if not isfinite(value):
        return None
    if value == int(value) and abs(value) < 2**53:
        return int(value)
    return float(f"{value:.4g}") if abs(value) < 10_000 else round(value)


class Clock:
    """Turns ``time.monotonic`` into seconds since the epoch, in milliseconds."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def __call__(self, at: float) -> float:
        return round(at + self._offset, 3)


def tick(count: int, watches: Sequence[PoolWatch], points: Sequence[Sequence[Point | None]], arguments: bool) -> bytes:
    """Returns what is new since the last tick."""
    clock = Clock()
    managers = [
        {
            **_state(watch, clock, arguments),
            "points": [None if one is None else [clock(watch.last.at), *map(number, one)] for one in new],
        }
        for watch, new in zip(watches, points, strict=True)
    ]
    return _encoded({"tick": count, "now": round(time.time(), 3), "managers": managers})


def hello(count: int, watches: Sequence[PoolWatch], arguments: bool) -> bytes:
    """Returns all that is known."""
    clock = Clock()
    managers = [{**_state(watch, clock, arguments), "history": _history(watch, clock)} for watch in watches]
    return _encoded({"tick": count, "now": round(time.time(), 3), "columns": COLUMNS, "managers": managers})


def _encoded(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _history(watch: PoolWatch, clock: Clock) -> list[dict[str, Any]]:
    return [{"step": recorder.step, **_columns(recorder.columns(), clock)} for recorder in watch.history]


def _columns(columns: Mapping[str, Iterable[float]], clock: Clock) -> dict[str, list[Any]]:
    return {name: [clock(one) if name == "at" else number(one) for one in values] for name, values in columns.items()}


def _state(watch: PoolWatch, clock: Clock, arguments: bool) -> dict[str, Any]:
    stats, metrics = watch.last.stats, watch.last.metrics
    config, bounds = watch.manager.config, watch.manager.explain()
    workers = watch.manager.workers(arguments=arguments)
    return {
        "name": config.name,
        "state": watch.state,
        "bounds": [bounds.worker_count, bounds.max_worker_count],
        "target": bounds.target,
        "stats": {name: getattr(stats, name) for name in _STATS},
        "next_creation": None if stats.next_creation is None else number(stats.next_creation),
        "totals": {name: number(getattr(metrics, f"total_tasks_{name}")) for name in _TOTALS},
        "workers": [_worker(one) for one in workers[:MOST_WORKERS]],
        "more_workers": max(0, len(workers) - MOST_WORKERS),
        "decisions": [_decision(one, clock) for one in watch.decisions],
        "notables": [_notable(one, clock) for one in watch.notables],
        "failures": [_group(one, clock) for one in watch.failures.groups()],
        "dropped": watch.dropped,
    }


_STATS = (
    *("accepted_tasks", "done_tasks", "running_tasks", "queued_tasks", "priority_tasks", "delayed_tasks"),
    *("active_workers", "base_workers", "burst_workers", "starting_workers", "stuck_workers", "lost_workers"),
    *("parked_workers", "cooling_workers", "replaced_workers", "outdated_workers", "paused"),
    *("failing_creations", "creation_error", "breaker", "restart_alarm"),
)
_TOTALS = ("completed", "failed", "retried", "cancelled", "timed_out")


def _worker(one: WorkerStatus) -> dict[str, Any]:
    return {
        "name": one.name,
        "slot": one.slot,
        "state": one.state,
        "age": None if one.age is None else number(one.age),
        "served": one.served,
        "task": one.task,
        "seconds": None if one.task_seconds is None else number(one.task_seconds),
        "arguments": one.arguments,
        "attempt": one.attempt,
        "progress": None if one.progress is None else [None if each is None else number(each) for each in one.progress],
        "flags": [flag for flag in ("outdated", "cooling") if getattr(one, flag)],
        "memory": None if one.process is None else one.process.rss,
    }


def _decision(one: say.Scaled, clock: Clock) -> list[Any]:
    return [clock(one.at), one.before, one.target, one.cause, one.why]


def _notable(one: Notable, clock: Clock) -> list[Any]:
    return [clock(one.at), one.tone, one.text]


def _group(one: Group, clock: Clock) -> dict[str, Any]:
    return {
        "type": one.type,
        "message": one.message,
        "count": one.count,
        "retried": one.retried,
        "first": clock(one.first),
        "last": clock(one.last),
        "stories": [
            {
                "task": story.task,
                "attempts": story.attempts,
                "failed": [[clock(each.at), each.worker, each.error] for each in story.failed],
            }
            for story in one.stories
        ],
    }
