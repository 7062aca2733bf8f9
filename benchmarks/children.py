"""Calls a function of the suite in a fresh interpreter: to measure memory, and whatever can be done only once."""

from __future__ import annotations

import importlib
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import tasker

ROOT = Path(__file__).resolve().parents[1]
LIMIT_S = 1800.0


def environment() -> dict[str, str]:
    """Returns an environment in which a child imports the same tasker and the same suite as this process."""
    paths = [str(ROOT), str(Path(tasker.__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def in_child(module: str, function: str, *arguments: object) -> Any:
    """Returns the result of ``module.function(*arguments)`` in a child; arguments and result must be JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.children", module, function, json.dumps(arguments)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{module}.{function} failed in its process: {done.stderr.strip().splitlines()[-1:]}")
    return json.loads(done.stdout.splitlines()[-1])


def resident_bytes() -> int:
    """Returns the memory of this process now (Linux), or its maximum so far (elsewhere)."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return peak_bytes()
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak_bytes() -> int:
    """Returns the maximum memory of this process so far."""
    # Not from getrusage on Linux, where a new program inherits the maximum of the process that started it.
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


if __name__ == "__main__":
    target = getattr(importlib.import_module(sys.argv[1]), sys.argv[2])
    print(json.dumps(target(*json.loads(sys.argv[3]))))
