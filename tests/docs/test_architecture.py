"""docs/architecture.md says what the code does: its diagrams are drawn from the tables, and its paths exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
SCRIPT = ROOT / "tools" / "state_diagrams.py"


def test_the_diagrams_are_those_of_the_tables() -> None:
    """The script that draws them finds nothing to change."""
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["phase", "door", "worker"])
def test_another_diagram_would_be_found(name: str) -> None:
    """The check fails on a page whose diagram has one arrow less."""
    sys.path.insert(0, str(SCRIPT.parent))
    try:
        import state_diagrams
    finally:
        sys.path.remove(str(SCRIPT.parent))
    first = PAGE.index(f"<!-- {name}:")
    arrow = PAGE.index("-->", PAGE.index("stateDiagram-v2", first))
    line = PAGE[PAGE.rindex("\n", 0, arrow) : PAGE.index("\n", arrow)]
    assert state_diagrams.drawn(PAGE.replace(line, "", 1)) == PAGE


def test_every_path_exists() -> None:
    """What the page names in backticks as a file or folder of the package is there."""
    paths = set(re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.py)?)`", PAGE))
    assert len(paths) > 20
    roots = (ROOT / "src" / "tasker", ROOT)
    assert [path for path in sorted(paths) if not any((root / path).exists() for root in roots)] == []


def test_every_module_is_in_the_tree() -> None:
    """The tree names every package and module of the engines and what they stand on."""
    tree = PAGE[PAGE.index("src/tasker/") : PAGE.index("```", PAGE.index("src/tasker/"))]
    words = set(re.findall(r"[a-z_]+", tree))
    source = ROOT / "src" / "tasker"
    for folder in ("control", "core", "threads", "aio", "remote"):
        missing = {path.stem for path in (source / folder).glob("*.py")} - words - {"__init__"}
        assert not missing, (folder, sorted(missing))
