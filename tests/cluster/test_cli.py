"""`tasker run --backend ray` with a Ray of its own: results, a crash, and an end that leaves nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

JOB = """
    import os

    offset = 0

    def on_create():
        return os.getpid()

    def task(ctx, pid, item):
        assert pid == os.getpid()
        if item == "crash" and not os.path.exists("crashed"):
            open("crashed", "w").close()
            os._exit(3)
        return {"length": len(item) + offset, "pid": pid}
"""


def test_a_run_over_actors(tmp_path: Path) -> None:
    """A crash costs an attempt of its item; tasks run in actors, where the values of --set are known."""
    (tmp_path / "jobs.py").write_text(textwrap.dedent(JOB))
    (tmp_path / "in.txt").write_text("one\ncrash\nthree\n")
    options = "--backend ray --num-cpus 0 --resources {} --workers 1 --max-workers 1 --set offset=10 --output out.jsonl"
    done = subprocess.run(
        [sys.executable, "-m", "tasker", "run", "jobs.py", "in.txt", *options.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert {record["input"]: record["result"]["length"] for record in records} == {"one": 13, "crash": 15, "three": 15}
    assert {record["input"]: record["attempts"] for record in records}["crash"] == 2
    assert len({record["result"]["pid"] for record in records}) == 2
