"""What the scripts that take pictures share: a headless Chromium, and small PNGs in docs/images."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parents[1] / "docs" / "images"
WIDE = {"width": 1200, "height": 800}
PHONE = {"width": 390, "height": 844}
FREQUENT, RARE = 96, 64
"""Colours of a picture."""


@contextmanager
def browser() -> Iterator[Any]:
    """Yields the installed Chromium or Chrome; exits if there is none."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("this needs chromium or google-chrome")
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield found
        found.close()


def save(name: str, page: Any, *, whole: bool = True, height: int | None = None) -> None:
    """Saves what a page shows as docs/images/NAME.png, of few colours. ``whole``: with what has to be scrolled to; ``height``: cut
    off there, in pixels."""
    picture = Image.open(BytesIO(page.screenshot(full_page=whole))).convert("RGB")
    if height is not None:
        picture = picture.crop((0, 0, picture.width, min(height, picture.height)))
    path = IMAGES / f"{name}.png"
    picture.quantize(palette=_palette(picture), dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {picture.width} x {picture.height}, {path.stat().st_size:,} bytes")


def _palette(picture: Image.Image) -> Image.Image:
    """Returns the colours of a picture: the frequent ones as they are, for its areas; and some that cover all others, so that
    a thin line of a rare colour keeps it."""
    counted = picture.getcolors(picture.width * picture.height)
    assert counted is not None
    frequent: list[Any] = [colour for _, colour in sorted(counted, reverse=True)[:FREQUENT]]
    rest = picture.quantize(RARE, method=Image.Quantize.MAXCOVERAGE).getpalette()
    assert rest is not None
    palette = Image.new("P", (1, 1))
    palette.putpalette([*(part for colour in frequent for part in colour), *rest[: 3 * RARE]])
    return palette
