"""The machine and the versions of a run."""

from __future__ import annotations

import datetime as dt
import os
import platform
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

from benchmarks.peers import versions


def here() -> dict[str, str]:
    """Returns the facts by name, in the order of the report."""
    return {
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{platform.system()} {platform.machine()}, {processor()}, {cores()} cores, {memory()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()} ({platform.python_compiler()}), {gil()}",
        "load before": load(),
        "tasker": version("tasker-pool"),
        **versions(),
    }


def gil() -> str:
    """Returns whether this build has the GIL."""
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "with the GIL"
    return "free-threaded build, GIL " + ("on" if gil_is_on() else "off")


def gil_is_on() -> bool:
    """Returns whether only one thread at a time runs Python."""
    enabled: bool = getattr(sys, "_is_gil_enabled", lambda: True)()
    return enabled


def version(name: str) -> str:
    """Returns the version of an installed distribution."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "from its sources"


def processor() -> str:
    """Returns the name of the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown CPU"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown CPU"


def cores() -> int:
    """Returns the number of cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def memory() -> str:
    """Returns the memory of the machine."""
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (AttributeError, ValueError, OSError):
        return "memory unknown"


def load() -> str:
    """Returns the load of the machine, averaged over the last minute."""
    try:
        return f"{os.getloadavg()[0]:.2f}"
    except (AttributeError, OSError):
        return "unknown"
