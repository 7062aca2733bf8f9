"""What the supervisor has to know of the configuration and of the load."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from time import monotonic
from typing import Any

from tasker.config import Config
from tasker.control.events import Load
from tasker.control.scaling import RatePolicy
from tasker.control.view import Plan
from tasker.control.wear import Wear, end_of_life
from tasker.errors import ConfigError

from .counters import Flow
from .probing import interval_of


def plan_of(config: Config[Any]) -> Plan:
    """The part of the configuration that decisions depend on."""
    return Plan(
        worker_count=config.worker_count,
        max_worker_count=config.most_workers,
        max_retries=config.max_retries,
        scales=config.burst_interval > 0,
        ready_timeout=config.ready_timeout,
        create_timeout=config.create_timeout,
        destroy_timeout=config.destroy_timeout,
        check_timeout=None if config.check_resource is None else config.check_timeout,
        return_timeout=config.return_timeout,
        max_stuck_workers=config.replaceable_workers,
        slots=None if config.per_worker is None else len(config.per_worker),
        creation_backoff=config.creation_backoff,
        restart_intensity=config.restart_intensity,
        fails_fast=config.when_unavailable == "fail",
        policy=config.scaling or RatePolicy(),
        target_wait=config.target_wait,
        has_pool=config.pool_size > 0,
        probe_interval=interval_of(config) if config.pool_size else None,
        interrupts=config.backend is not None,
        max_memory=config.max_memory,
        idle_timeout=config.idle_timeout,
        retry=config.retry,
        quarantine_after=config.quarantine_after,
    )


def new_bounds(
    config: Config[Any], bounds: tuple[int, int], worker_count: int | None, max_worker_count: int | None
) -> tuple[int, int]:
    """Returns the bounds of the number of workers after a resize; None: as before. Raises ``ConfigError`` for wrong ones."""
    base = bounds[0] if worker_count is None else worker_count
    most = bounds[1] if max_worker_count is None else max_worker_count
    kept = 0 if config.burst_interval else 1
    for field, value, least in (("worker_count", base, kept), ("max_worker_count", most, base or 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigError(f"{field} must be an integer of at least {least}, got {value!r}")
    values = config.per_worker
    if values is not None and most > len(values):
        raise ConfigError(f"max_worker_count must be at most {len(values)}, the values of per_worker, got {most!r}")
    return base, most


def wear_of(config: Config[Any]) -> Wear | None:
    """The limits of a resource that has just been made, or None if there are none."""
    most, lifetime = config.max_tasks_per_resource, config.max_resource_lifetime
    return (
        None if most is None and lifetime is None else Wear(most, end_of_life(lifetime, monotonic(), random.random()))
    )


def load_of(
    flow: Flow, levels: Iterable[Sequence[Any]], now: float, tasks: Iterable[Any] = (), memory: float | None = None
) -> Load:
    """How busy the workers are. Tasks of ``run_task`` are not theirs. ``tasks``: what each worker runs, or None;
    ``memory``: the share of it that is in use. Costs O(workers)."""
    return Load(
        queued=flow.queued,
        running=flow.running - flow.inline_running,
        arrived=flow.accepted - flow.inline_running - flow.inline_done,
        ended=flow.done - flow.inline_done,
        oldest_wait=max((_waited(level, now) for level in levels), default=0.0) if flow.queued else 0.0,
        running_age=_median_age(tasks, now) if flow.queued else 0.0,
        memory=memory,
    )


def _median_age(tasks: Iterable[Any], now: float) -> float:
    """The lower median: of two tasks the younger one, so that a single long task says nothing about the others."""
    ages = sorted(now - started for task in tasks if (started := getattr(task, "_started_at", None)) is not None)
    return max(0.0, ages[(len(ages) - 1) // 2]) if ages else 0.0


def _waited(level: Sequence[Any], now: float) -> float:
    """For how long the first task of a level has waited; 0 for a retry, whose time in the queue is not known."""
    try:
        first = level[0]
    except IndexError:
        return 0.0
    return 0.0 if first.attempts or first._snoozes else max(0.0, now - first._queued_at)
