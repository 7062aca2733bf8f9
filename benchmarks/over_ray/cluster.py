"""The Ray that all runs share, on this machine."""

from __future__ import annotations

import logging
import os
from functools import cache
from typing import Any

from benchmarks.children import environment
from benchmarks.peers import load as peer


@cache
def here() -> Any:
    """Returns the module ``ray``, connected: to what this process is connected to, or to a local Ray that is started now and
    ends with this process. To be called in its main thread first. Raises ``Missing`` if Ray is not installed."""
    ray = peer("ray")
    if not ray.is_initialized():
        os.environ["PYTHONPATH"] = environment()["PYTHONPATH"]  # actors import what this process does
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's 15 lets whatever runs on the machine go first
        ray.init(
            address="local",
            num_cpus=64,  # places, so that nothing waits for one; the machine has the cores that it has
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    return ray


def address() -> str:
    """Returns the address at which another process can connect to it."""
    found: str = here().get_runtime_context().gcs_address
    return found
