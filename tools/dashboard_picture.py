"""Takes the pictures in docs/dashboard.md, of each state of the page, in a headless Chromium.

``python -m tools.dashboard_picture`` from a clone with the extra ``dashboard``, after ``pip install playwright pillow``. It takes three
minutes, in two of which a pool works under a changing load.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from math import sin
from typing import Any

from tasker import Config, Context, Priority, TaskManager
from tasker.dashboard import serve

from .screenshots import IMAGES, PHONE, WIDE, browser, save

SECONDS = 125.0
SHORTEN = """(folder) => {
    const stack = document.getElementById("stack-text");
    stack.textContent = stack.textContent.replaceAll(folder, "/srv/tasker");
}"""
TOKEN = "not-a-secret-but-long-enough"  # noqa: S105  of a page that nobody can reach


class Renderer:
    """A resource that takes a moment to make."""

    def __init__(self) -> None:
        time.sleep(0.3)

    def close(self) -> None:
        """Nothing is left."""


def refused() -> Renderer:
    raise ConnectionRefusedError("the database at db.example:5432 refuses connections")


def thumbnail(ctx: Context, renderer: Renderer, number: int) -> None:
    """Takes 20 to 120 ms; one in 60 fails."""
    time.sleep(random.uniform(0.02, 0.12))
    if number % 120 == 7:
        raise ValueError("not an image: the file is empty")
    if number % 120 == 67:
        raise TimeoutError("the store did not answer")


def transcode(ctx: Context, renderer: Renderer, minutes: int) -> None:
    """Runs until it is cancelled."""
    ctx.wait(60.0 * minutes)


def load(manager: TaskManager[Renderer], enough: threading.Event) -> None:
    """Submits tasks in waves."""
    began, number = time.monotonic(), 0
    while not enough.wait(0.1):
        passed = time.monotonic() - began
        for _ in range(round(random.uniform(0.5, 1.5) * (6 + 4 * sin(passed / 10)))):
            number += 1
            manager.submit(thumbnail, number, priority=Priority.HIGH if number % 10 == 0 else Priority.NORMAL)


def pool(name: str, workers: int, **options: Any) -> TaskManager[Renderer]:
    more: dict[str, Any] = {"on_create": Renderer, "on_destroy": Renderer.close, "resource_pool_size": 0} | options
    return TaskManager(Config(name=name, worker_count=workers, max_retries=0, **more))


@contextmanager
def opened(chromium: Any, url: str, *, size: dict[str, int] = WIDE, scheme: str = "light") -> Iterator[Any]:
    """Opens the page, and waits for its first numbers but one."""
    context = chromium.new_context(viewport=size, color_scheme=scheme)
    page = context.new_page()
    page.goto(url)
    page.wait_for_function("() => ['Live', 'Locked'].includes(document.getElementById('status').textContent)")
    if not page.locator("#gate").is_visible():
        page.wait_for_timeout(2500)  # two ticks
    yield page
    context.close()


def under_load(chromium: Any) -> None:
    """One pool after two minutes: wide, dark, on a phone, with a stack, and without its server."""
    enough = threading.Event()
    with pool("thumbnails", 4, max_worker_count=12) as manager, serve(manager, port=0) as server:
        threading.Thread(target=load, args=(manager, enough)).start()
        time.sleep(SECONDS)
        try:
            for name, size, scheme in (("", WIDE, "light"), ("-dark", WIDE, "dark"), ("-phone", PHONE, "light")):
                with opened(chromium, server.url, size=size, scheme=scheme) as page:
                    save(f"dashboard{name}", page, height=2200)
            with opened(chromium, server.url) as page:
                page.locator("tr:has([data-state=busy]) button").first.click()
                page.locator("#stack-text:not(:empty)").wait_for()
                page.evaluate(SHORTEN, str(IMAGES.parents[1]))
                save("dashboard-stack", page, whole=False)
                page.get_by_role("button", name="Close").click()
                page.evaluate("scrollTo(0, 0)")
                server.close()
                page.get_by_text("Disconnected", exact=True).wait_for()
                save("dashboard-disconnected", page, height=600)
        finally:
            enough.set()


def several(chromium: Any) -> None:
    """Three pools with controls: one that works, one that is paused, one whose resources cannot be made."""
    with ExitStack() as stack:
        films = stack.enter_context(pool("films", 2))
        mails = stack.enter_context(pool("mails", 2))
        reports = pool("reports", 2, on_create=refused)
        stack.callback(reports.kill)
        running = [films.submit(transcode, 5) for _ in range(3)]
        waiting = [reports.submit(thumbnail, 1) for _ in range(3)]
        mails.pause()
        server = stack.enter_context(serve(reports, films, mails, port=0, allow_control=True))
        with opened(chromium, server.url) as page:
            page.get_by_text("can't be made").wait_for()
            save("dashboard-trouble", page, height=620)
            page.get_by_label("Managers").get_by_role("button", name="mails").click()
            page.get_by_text("Paused:").wait_for()
            save("dashboard-paused", page, height=480)
        for future in (*running, *waiting):
            future.cancel()
        films.kill()


def nothing_yet(chromium: Any) -> None:
    """A pool without a worker or a task, behind a token."""
    with pool("empty", 0, max_worker_count=4) as manager, serve(manager, port=0, token=TOKEN) as server:
        with opened(chromium, server.url) as page:
            page.locator("#gate").wait_for()
            save("dashboard-token", page, height=340)
        with opened(chromium, server.url_with_token) as page:
            save("dashboard-empty", page)


def main() -> None:
    """Takes them all."""
    with browser() as chromium:
        nothing_yet(chromium)
        several(chromium)
        under_load(chromium)


if __name__ == "__main__":
    main()
