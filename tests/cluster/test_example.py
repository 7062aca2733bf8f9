"""The example of a cluster: interrupted, resumed, a node lost meanwhile, and its results complete."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "examples" / "embedding_cluster" / "cluster.py"


@pytest.mark.timeout(400)
def test_embedding_on_a_cluster() -> None:
    """All items are done once, those of the first run are kept, and a node that came later took part."""
    done = subprocess.run([sys.executable, str(PROGRAM)], capture_output=True, text=True, timeout=380, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    count, first = numbers(r"^(\d+) modules to embed", done.stdout)[0], numbers(r"when (\d+) were done", done.stdout)[0]
    assert 0 < first < count
    assert numbers(r"(\d+) of (\d+) done, (\d+) of (\d+) kept", done.stdout) == (count, count, first, first)
    assert re.search(r"\(1 died\)", done.stdout), done.stdout
    (nodes,) = numbers(r"(\d+) nodes took part", done.stdout)
    assert nodes >= 3


def numbers(pattern: str, text: str) -> tuple[int, ...]:
    """The numbers that a line of the output tells."""
    found = re.search(pattern, text, re.MULTILINE)
    assert found, f"{pattern!r} is not in\n{text}"
    return tuple(map(int, found.groups()))
