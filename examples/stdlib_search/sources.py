"""Prints the paths of the source files of this Python's standard library, without tests, one per line."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

LEFT_OUT = {"__pycache__", "dist-packages", "idle_test", "site-packages", "test", "tests"}


def sources(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*.py")):
        if LEFT_OUT.isdisjoint(path.relative_to(root).parts):
            yield path


if __name__ == "__main__":
    paths = list(sources(Path(sysconfig.get_path("stdlib"))))
    if not paths:
        sys.exit("this Python comes without the sources of its standard library")
    print(*paths, sep="\n")
