"""Takes the pictures in docs/simulate.md: a load that changes, under each rule, in a headless Chromium.

``python -m tools.simulate_picture`` from a clone, after ``pip install playwright pillow``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from .screenshots import PHONE, WIDE, browser, save

OPTIONS = (
    *("--workload", "square", "--rate", "200", "--low-rate", "10", "--service-time", "0.05"),
    *("--worker-count", "2", "--max-workers", "16", "--creation-time", "0.1"),
)
PICTURES = (
    ("simulate", WIDE, "light", None),
    ("simulate-dark", WIDE, "dark", 1000),
    ("simulate-phone", PHONE, "light", 1500),
)


def main() -> None:
    """Takes ten seconds."""
    with tempfile.TemporaryDirectory() as folder, browser() as chromium:
        path = Path(folder) / "simulation.html"
        subprocess.run(
            [sys.executable, "-m", "tasker", "simulate", *OPTIONS, "--report", str(path)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        for name, size, scheme, height in PICTURES:
            page = chromium.new_page(viewport=size, color_scheme=scheme)
            page.goto(path.as_uri())
            page.locator("figure.chart canvas").first.wait_for()
            page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            save(name, page, height=height)
            page.close()


if __name__ == "__main__":
    main()
