"""Takes the pictures in docs/report.md: a run that was stopped, and went on the next day, in a headless Chromium.

``python -m tools.report_picture`` from a clone, after ``pip install playwright pillow``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from .screenshots import PHONE, WIDE, browser, save

JOB = """
import random


def check_health(error):
    return not isinstance(error, ConnectionError)


def task(ctx, resource, item):
    number = int(item.split("/")[1][:4])
    draw = random.Random(number)
    ctx.wait(draw.lognormvariate(-1.6, 0.7) * (8 if number % 97 == 5 else 1))
    if number % 41 == 7:
        raise ValueError("not an image: the file is empty")
    if number % 67 == 9:
        raise ConnectionError("the store did not answer")
    return number
"""
ITEMS = 900
FIRST = 500
NIGHT_S = 15 * 3600


def tasker(folder: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "tasker", *arguments], cwd=folder, check=False, stdout=subprocess.DEVNULL)


def moved_back(line: str) -> str:
    record = json.loads(line)
    record["started_at"] -= NIGHT_S
    return json.dumps(record)


def run(folder: Path) -> Path:
    """Runs the job in two parts with a night between: the lines of the first are moved back. Returns the report."""
    (folder / "jobs.py").write_text(JOB)
    (folder / "in.txt").write_text("".join(f"photos/{n:04}.jpg\n" for n in range(ITEMS)))
    options = (
        "run",
        "jobs.py",
        "in.txt",
        "--output",
        "results.jsonl",
        "--workers",
        "6",
        "--max-workers",
        "8",
        "--quiet",
    )
    tasker(folder, *options, "--limit", str(FIRST))
    results = folder / "results.jsonl"
    results.write_text("".join(f"{moved_back(line)}\n" for line in results.read_text().splitlines()))
    tasker(folder, *options, "--resume")
    tasker(folder, "report", "results.jsonl")
    return folder / "report.html"


def photograph(chromium: Any, address: str) -> None:
    for name, size, scheme, height in (
        ("report", WIDE, "light", None),
        ("report-dark", WIDE, "dark", 1130),
        ("report-phone", PHONE, "light", 1500),
    ):
        page = chromium.new_page(viewport=size, color_scheme=scheme)
        page.goto(address)
        page.locator(".gantt-plot canvas").wait_for()
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        save(name, page, height=height)
        page.close()


def main() -> None:
    """Takes a minute."""
    with tempfile.TemporaryDirectory() as folder, browser() as chromium:
        photograph(chromium, run(Path(folder)).as_uri())


if __name__ == "__main__":
    main()
