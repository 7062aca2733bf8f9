"""The program of docs/ray.md and the commands of docs/ray-scale.md run as they stand."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from support.ray_engines import start_ray

DOCS = Path(__file__).parents[2] / "docs"


def test_the_program_of_the_page(tmp_path: Path) -> None:
    """It prints the answer, and ends the Ray that it has started."""
    (program,) = re.findall(
        r"^```py\n(.*?)^```$", (DOCS / "ray.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    path = tmp_path / "program.py"
    path.write_text(program, encoding="utf-8")
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "42"


def test_several_drivers_over_parts(tmp_path: Path) -> None:
    """Each item is done once, by one of four drivers, and run again they do nothing."""
    (commands,) = re.findall(
        r"^```bash\n(.*?)^```$", (DOCS / "ray-scale.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    address = start_ray().get_runtime_context().gcs_address
    for of_page, here in (("--address auto", f"--address {address}"), ("--workers 16", "--workers 1")):
        assert of_page in commands
        commands = commands.replace(of_page, here)
    (tmp_path / "job.py").write_text("def task(ctx, resource, item):\n    return item * 2\n")
    (tmp_path / "inputs.jsonl").write_text("".join(f"{number}\n" for number in range(100, 140)))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for _ in range(2):
        done = subprocess.run(
            ["bash", "-c", f"set -euo pipefail\n{commands}"],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        records = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
        assert sorted((record["input"], record["result"]) for record in records) == [
            (n, 2 * n) for n in range(100, 140)
        ]
    assert re.search("skipped", done.stderr), done.stderr
