"""A real browser: the Chromium of the system, without a screen, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

# One browser for each module, not for each session: as long as Playwright has it, this thread has a loop that runs, in which other
# tests could not call asyncio.run().
WIDE = {"width": 1200, "height": 800}
PHONE = {"width": 390, "height": 844}
PATIENCE_MS = 30_000
"""How long a page may take to show what it has to, on a machine that others use as well. Nothing waits for it in vain."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser. Nothing is downloaded: Playwright brings a browser of its own only if it is asked to."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: it is in the extra test"
    )
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no browser here: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        # Without a sandbox: containers run tests as root, for whom Chromium has none. The pages are our own.
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


OpenPage = Callable[..., Any]


@pytest.fixture
def open_page(chromium: Any) -> Iterator[OpenPage]:
    """Opens an address, each in a session of its own. At the end of the test, whatever a page has complained of fails it.

    ``tolerates``: what its complaints may contain. ``scheme``: the theme of the system, "light" or "dark".
    """
    contexts: list[Any] = []
    complaints: list[str] = []

    def open_(
        address: str, *, size: dict[str, int] | None = None, scheme: str = "light", tolerates: str | None = None
    ) -> Any:
        def complain(text: str) -> None:
            if tolerates is None or tolerates not in text:
                complaints.append(text)

        context = chromium.new_context(viewport=size or WIDE, color_scheme=scheme, reduced_motion="reduce")
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("console", lambda said: complain(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complain(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"a dialog: {dialog.message}"))
        page.goto(address)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="session")
def accessible() -> Callable[[Any], None]:
    """Checks by axe-core that nobody is kept out of what a page shows now: names, roles, contrast, order, landmarks."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python: extra test")

    def check(page: Any) -> None:
        found = axe.Axe().run(page).response
        assert found["passes"]
        assert [f"{one['id']}: {one['nodes'][0]['html']}" for one in found["violations"]] == []

    return check
