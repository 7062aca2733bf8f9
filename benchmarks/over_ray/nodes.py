"""A run in the middle of which a node is lost, in a process of its own: each has one connection to a Ray, and that of this one is
needed elsewhere."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple

from benchmarks.children import environment, in_child
from benchmarks.over_ray.dying import ALL, NODE, WORKERS, Story, story

SPARE = 1
"""Nodes without work, so that there is a place for what was lost."""
SMALL = {"object_store_memory": 80 << 20, "include_dashboard": False}


def lost_node(way: str, count: int) -> Story:
    """Runs as many tasks in a way, on workers with a node each, one of which is lost."""
    return Story(*in_child(__name__, run_here.__name__, way, count))


def run_here(way: str, count: int) -> tuple[int, float, float | None]:
    """The same, in this process. Returns the fields of the story."""
    with cluster():
        lost, seconds, replaced = astuple(story(ALL[way][0], count, NODE, cpus=1))
    return lost, seconds, replaced


@contextmanager
def cluster() -> Iterator[None]:
    """Connects this process to a cluster: a head without processors, and nodes with one each."""
    import ray  # noqa: PLC0415  not for those who have no Ray
    from ray.cluster_utils import Cluster  # noqa: PLC0415

    os.environ["PYTHONPATH"] = environment()["PYTHONPATH"]  # what is started here imports what this process does
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **SMALL})
    try:
        for _ in range(WORKERS + SPARE):
            made.add_node(num_cpus=1, **SMALL)
        ray.init(address=made.address, logging_level=logging.CRITICAL, log_to_driver=False)
        yield
        ray.shutdown()
    finally:
        made.shutdown()
