"""What is lost with a node, the head, or the connection, on a cluster of several nodes on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parents[1]


def run(name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program of on_nodes.py, which has a cluster of its own."""
    path = os.pathsep.join([str(TESTS.parent / "src"), str(TESTS), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "cluster.on_nodes", name, str(folder)]
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400, check=False)


def measured(name: str, folder: Path) -> Any:
    """What such a program has measured."""
    done = run(name, folder)
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout.splitlines()[-1])
    print(name, found)
    return found


@pytest.mark.timeout(450)
def test_a_node_is_lost(tmp_path: Path) -> None:
    """Abruptly, gracefully or frozen: each future resolves once, a once task starts once, a fenced actor is not heard."""
    found = measured("lose_nodes", tmp_path)
    assert [*found] == ["abrupt", "graceful", "frozen"]
    assert found["abrupt"]["replaced"] < 60


@pytest.mark.timeout(450)
def test_the_cluster_is_full(tmp_path: Path) -> None:
    """What has no room waits in nobody's way, and a new node makes room for it."""
    assert measured("fill_up", tmp_path)["grown"] < 60


@pytest.mark.timeout(450)
def test_the_connection_is_ended(tmp_path: Path) -> None:
    """Running tasks are lost at once, nothing connects again by itself, and a stop does not wait."""
    found = measured("lose_connection", tmp_path)
    assert found["seen"] < 30
    assert found["stopped"] < 30


@pytest.mark.timeout(450)
def test_the_head_is_lost(tmp_path: Path) -> None:
    """Ray itself ends a program that cannot reach the head any more; no task starts twice until then, and no actor is left."""
    done = run("lose_head", tmp_path)
    assert done.returncode != 0
    assert "Failed to connect to GCS" in done.stderr
    started = (tmp_path / "load" / "started").read_text().split()
    assert sorted(started) == ["0", "1"]
