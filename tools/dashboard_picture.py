"""Takes the picture in docs/dashboard.md: two minutes of a pool under a changing load, in a headless Chromium.

Run it from a clone with the extra ``dashboard``, after ``pip install playwright pillow``: nothing else here needs them.
"""

from __future__ import annotations

import random
import shutil
import sys
import threading
import time
from math import sin
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tasker import Config, Context, Priority, TaskManager
from tasker.dashboard import serve

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "dashboard.png"
SECONDS = 125.0


class Renderer:
    """A resource that takes a moment to make."""

    def __init__(self) -> None:
        time.sleep(0.3)

    def close(self) -> None:
        """Nothing is left."""


def thumbnail(ctx: Context, renderer: Renderer, number: int) -> None:
    """Takes 20 to 120 ms; one in 60 fails."""
    time.sleep(random.uniform(0.02, 0.12))
    if number % 120 == 7:
        raise ValueError("not an image: the file is empty")
    if number % 120 == 67:
        raise TimeoutError("the store did not answer")


def load(manager: TaskManager[Renderer], enough: threading.Event) -> None:
    """Submits tasks in waves."""
    began, number = time.monotonic(), 0
    while not enough.wait(0.1):
        passed = time.monotonic() - began
        for _ in range(round(random.uniform(0.5, 1.5) * (6 + 4 * sin(passed / 10)))):
            number += 1
            manager.submit(thumbnail, number, priority=Priority.HIGH if number % 10 == 0 else Priority.NORMAL)


def photograph(chromium: str, url: str) -> None:
    """Lets Chromium draw the page once the numbers have arrived."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 800}, color_scheme="light")
        page.goto(url)
        page.get_by_text("Live", exact=True).wait_for()
        page.wait_for_timeout(2500)  # two ticks
        page.screenshot(path=PICTURE, full_page=True)
        browser.close()
    Image.open(PICTURE).convert("RGB").quantize(128).save(PICTURE, optimize=True)


def main() -> None:
    """Needs Chromium or Chrome."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("this needs chromium or google-chrome")
    PICTURE.parent.mkdir(exist_ok=True)
    config = Config(
        name="thumbnails",
        on_create=Renderer,
        on_destroy=Renderer.close,
        worker_count=4,
        max_worker_count=12,
        max_retries=0,
    )
    enough = threading.Event()
    with TaskManager(config) as manager, serve(manager, port=0) as server:
        threading.Thread(target=load, args=(manager, enough)).start()
        time.sleep(SECONDS)
        try:
            photograph(chromium, server.url)
        finally:
            enough.set()
    print(f"{PICTURE}: {PICTURE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
