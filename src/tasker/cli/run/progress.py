"""Progress as plain lines at intervals, and the choice of how it is shown."""

from __future__ import annotations

import os
import sys
from typing import Protocol

from . import wording
from .tally import View

_ERROR_WIDTH = 200


class Reporter(Protocol):
    """Shows how a run goes, on standard error. Used by the main thread alone."""

    def start(self) -> None: ...
    def update(self, view: View) -> None: ...
    def note(self, text: str) -> None: ...
    def close(self, view: View) -> None: ...


class Silent:
    """Shows nothing."""

    def start(self) -> None: ...
    def update(self, view: View) -> None: ...
    def note(self, text: str) -> None: ...
    def close(self, view: View) -> None: ...


class Lines:
    """One line every `interval` seconds."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._next = interval

    def start(self) -> None:
        """Nothing: a run shorter than the interval shows its summary only."""

    def update(self, view: View) -> None:
        if view.elapsed >= self._next:
            self._next = view.elapsed + self._interval
            self.note(progress_line(view))

    def note(self, text: str) -> None:
        tell(f"tasker run: {text}")

    def close(self, view: View) -> None:
        """Nothing: the summary says it all."""


def tell(text: str) -> None:
    """A line on standard error. When nobody reads it any more, the work still goes on."""
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        pass


def progress_line(view: View) -> str:
    """The whole view in one line."""
    parts = [_share(view), f"{view.done:,} done", f"{view.failed:,} failed"]
    if view.skipped:
        parts.append(f"{view.skipped:,} skipped")
    parts += [wording.rate(view.rate), f"ETA {wording.clock(view.eta)}"]
    parts += [f"workers {workers(view)}", f"queue {view.queued:,}"]
    if trouble := creation_trouble(view):
        parts.append(trouble)
    return ", ".join(part for part in parts if part)


def _share(view: View) -> str:
    return f"{100 * view.processed / view.total:.0f}%" if view.total else ""


def workers(view: View) -> str:
    """Base and burst workers."""
    return f"{view.stats.base_workers}+{view.stats.burst_workers}"


def creation_trouble(view: View) -> str:
    """What keeps workers from being made, while it does."""
    if not view.stats.failing_creations or view.stopping:
        return ""
    return f"on_create fails: {wording.one_line(view.stats.creation_error or '', _ERROR_WIDTH)}"


def is_live_terminal() -> bool:
    """Whether standard error is a screen that can be drawn on."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def reporter_for(quiet: bool, interval: float, results: int) -> Reporter:
    """The bar on a terminal where rich is installed, else lines.

    Lines as well when `results`, a file descriptor, is a terminal: the bar would be torn apart.
    """
    if quiet:
        return Silent()
    if is_live_terminal() and not os.isatty(results):
        try:
            from .progress_rich import Bar
        except ImportError:
            return Lines(interval)
        return Bar()
    return Lines(interval)
