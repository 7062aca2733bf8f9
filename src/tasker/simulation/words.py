"""Durations and options of a simulation, as people read them."""

from __future__ import annotations

from collections.abc import Iterator

from .creation import Creation
from .rules import PoolOptions


def pool_facts(pool: PoolOptions, creation: Creation) -> Iterator[tuple[str, str]]:
    """Yields the options of the pool and of its resources, as (name, value)."""
    yield "workers", f"{pool.worker_count} to {pool.max_worker_count}"
    yield "scaling decision", f"every {pool.burst_interval:g} s" if pool.burst_interval else "off"
    yield "target wait", seconds(pool.target_wait)
    yield "making a resource", seconds(creation.time)
    yield "ending it", seconds(creation.destroy_time)
    if creation.failing:
        yield "creations that fail", f"{creation.failing:.0%}"
    if creation.outage is not None:
        yield "outage", "{:g} s to {:g} s".format(*creation.outage)


def seconds(value: float) -> str:
    """Returns a duration for people, with three digits and a unit."""
    if value >= 99.95:
        return f"{value:,.0f} s"
    if value >= 0.9995:
        return f"{value:.3g} s"
    if value >= 0.9995e-3:
        return f"{value * 1e3:.3g} ms"
    return f"{value * 1e6:.3g} \N{MICRO SIGN}s" if value >= 5e-7 else "0"
