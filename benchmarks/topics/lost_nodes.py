"""A node is lost in the middle of a run, with the actor on it: what of the run is lost, and how soon another one takes over."""

from __future__ import annotations

from benchmarks.over_ray import ways
from benchmarks.over_ray.dying import RESTARTED
from benchmarks.over_ray.nodes import SPARE, lost_node
from benchmarks.runner import Race, Size

from .lost_actors import about

REPLACES = (ways.TASKER, RESTARTED, ways.DATA)
"""Plain tasks go on in processes that were there before, on all nodes that are left."""


def races(size: Size) -> list[Race]:
    event = (
        f"kills its node, the first time that it runs. Each actor has a node of its own, and {SPARE} node is idle; plain "
        "tasks use that as well. Ray's own health checks; each run has a cluster and a process of its own."
    )
    return about(("nodes", "A node"), event, lost_node, REPLACES, size.rounds(2), size, least=100)
