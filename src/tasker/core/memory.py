"""How much of the memory that this process may use is in use: of its container's limit or of the machine's memory,
whichever is fuller.

Read from the files of Linux, without a dependency; elsewhere it is not known.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def memory_use(root: Path = Path("/")) -> float | None:
    """Returns the share of the memory that is in use, from 0 to 1: the greatest of the machine's and of those of all
    control groups above this process that have a limit. None if nothing is known. Reads up to three files for each of
    these groups, and one for the machine."""
    shares = [*_of_groups(root), *_of_machine(root)]
    return min(1.0, max(shares)) if shares else None


def _of_groups(root: Path) -> Iterator[float]:
    mounted = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:  # version 2
            names, base = ("memory.max", "memory.current", "inactive_file"), mounted
        elif "memory" in controllers.split(","):
            names, base = (
                ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
                mounted / "memory",
            )
        else:
            continue
        # In a container, the path may be the one outside; then the root of what is mounted is the container's own.
        own = PurePosixPath(path.lstrip("/"))
        for group in (own, *own.parents):
            yield from _of_group(base / group, *names)


def _of_group(folder: Path, limit: str, used: str, reclaimable: str) -> Iterator[float]:
    most, now = _number(_text(folder / limit)), _number(_text(folder / used))
    if not most or now is None:
        return
    # The cache of files that were not read lately goes as soon as memory is needed.
    cache = _fields(_text(folder / "memory.stat")).get(reclaimable, 0)
    yield max(0, now - cache) / most


def _of_machine(root: Path) -> Iterator[float]:
    fields = _fields(_text(root / "proc/meminfo").replace(":", " "))
    total, available = fields.get("MemTotal"), fields.get("MemAvailable")
    if total and available is not None:
        yield 1 - available / total


def _fields(text: str) -> dict[str, int]:
    pairs = (line.split()[:2] for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _number(text: str) -> int | None:
    """Returns the number; None for ``max`` and for a file that is not there."""
    return int(text) if text.strip().isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
