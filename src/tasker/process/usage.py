"""Measures memory and processor time of a child, by psutil, which comes with the extra ``process``."""

from __future__ import annotations

import psutil  # type: ignore[import-untyped]

from tasker.stats import ProcessUsage


def own_rss() -> int:
    """Returns the resident memory of this process, in bytes."""
    return int(psutil.Process().memory_info().rss)


def usage_of(worker: str, pid: int) -> ProcessUsage | None:
    """Returns what a process takes now; None if it is gone, or if no descriptor is left to look."""
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            times = process.cpu_times()
            return ProcessUsage(worker, pid, int(process.memory_info().rss), float(times.user + times.system))
    except (psutil.Error, OSError):
        return None
