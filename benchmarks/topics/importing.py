"""The time of an import in a fresh interpreter, and the number of other packages that it imports."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from benchmarks.children import environment
from benchmarks.peers import absent
from benchmarks.runner import Claim, Contestant, Figure, Race, Size

TIME = Figure("time", "import", "ms")
OTHERS = Figure("others", "other packages that came along", "count")
STANDARD = ("concurrent.futures.thread", "asyncio", "multiprocessing.pool")
INSTALLED = ("joblib", "pebble", "mpire", "aiojobs", "aiometer")


def races(size: Size) -> list[Race]:
    gone = absent(*INSTALLED)
    missing = {one.name for one in gone}
    names = ["tasker", *STANDARD, *(name for name in INSTALLED if name not in missing)]
    if size.name == "tiny":
        names = names[:2]
    return [
        Race(
            key="import",
            title="Import",
            work="`import` of the name in a fresh interpreter, its files in the cache of the system.",
            figures=[TIME, OTHERS],
            contestants=[Contestant(name, _child(name)) for name in names],
            rounds=size.rounds(9),
            claims=[
                Claim(
                    "import tasker",
                    "under 50 ms",
                    lambda outcome: outcome.of("tasker", "time"),
                    at_most=50.0,
                    unit="ms",
                ),
                Claim(
                    "import tasker, optional packages",
                    "none is imported",
                    lambda outcome: outcome.of("tasker", "others"),
                    at_most=0.0,
                    unit="count",
                ),
            ],
            absent=gone,
        )
    ]


CODE = """
import sys, time
before = set(sys.modules)
begin = time.perf_counter()
import {name}
taken = time.perf_counter() - begin
new = {{module.partition(".")[0] for module in set(sys.modules) - before}}
others = new - sys.stdlib_module_names - {{"{name}".partition(".")[0], "__mp_main__"}}
print(taken, len(others))
"""


def _child(name: str) -> Callable[[], dict[str, float]]:
    return lambda: fresh(name)


def fresh(name: str) -> dict[str, float]:
    """Measures the import of a module."""
    # Not through `in_child`, whose process has imported tasker already.
    command = [sys.executable, "-c", CODE.format(name=name)]
    # Installed packages have their bytecode beside them; so a package that is imported from sources may write it, too.
    kept = {key: value for key, value in environment().items() if key != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, env=kept, capture_output=True, text=True, check=True)
    taken, others = done.stdout.split()
    return {"time": float(taken) * 1e3, "others": float(others)}
