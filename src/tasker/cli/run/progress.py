"""Progress as plain lines at intervals, and the choice of how it is shown."""

from __future__ import annotations

import os
import sys
from typing import Protocol

from tasker.cli import humanize

from .run_stats import ProgressSnapshot

_ERROR_WIDTH = 200


class Reporter(Protocol):
    """Shows how a run goes, on standard error. Used by the main thread alone."""

    def start(self) -> None: ...
    def update(self, snapshot: ProgressSnapshot) -> None: ...
    def note(self, text: str) -> None: ...
    def close(self, snapshot: ProgressSnapshot) -> None: ...


class SilentReporter:
    """Shows nothing."""

    def start(self) -> None: ...
    def update(self, snapshot: ProgressSnapshot) -> None: ...
    def note(self, text: str) -> None: ...
    def close(self, snapshot: ProgressSnapshot) -> None: ...


class LineReporter:
    """One line every `interval` seconds."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._next = interval

    def start(self) -> None:
        """Nothing: a run shorter than the interval shows its summary only."""

    def update(self, snapshot: ProgressSnapshot) -> None:
        if snapshot.elapsed >= self._next:
            self._next = snapshot.elapsed + self._interval
            self.note(progress_line(snapshot))

    def note(self, text: str) -> None:
        print_stderr(f"tasker run: {text}")

    def close(self, snapshot: ProgressSnapshot) -> None:
        """Nothing: the summary says it all."""


def print_stderr(text: str) -> None:
    """A line on standard error. When nobody reads it any more, the work still goes on."""
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        pass


def progress_line(snapshot: ProgressSnapshot) -> str:
    """The whole view in one line."""
    parts = [_share(snapshot), f"{snapshot.done:,} done", f"{snapshot.failed:,} failed"]
    if snapshot.skipped:
        parts.append(f"{snapshot.skipped:,} skipped")
    parts += [humanize.rate(snapshot.rate), f"ETA {humanize.clock(snapshot.eta)}"]
    parts += [f"workers {workers(snapshot)}", f"queue {snapshot.queued:,}"]
    if trouble := creation_trouble(snapshot):
        parts.append(trouble)
    return ", ".join(part for part in parts if part)


def _share(snapshot: ProgressSnapshot) -> str:
    return f"{100 * snapshot.processed / snapshot.total:.0f}%" if snapshot.total else ""


def workers(snapshot: ProgressSnapshot) -> str:
    """Base and burst workers."""
    return f"{snapshot.stats.base_workers}+{snapshot.stats.burst_workers}"


def creation_trouble(snapshot: ProgressSnapshot) -> str:
    """What keeps workers from being made, while it does."""
    if not snapshot.stats.failing_creations or snapshot.stopping:
        return ""
    return f"on_create fails: {humanize.one_line(snapshot.stats.creation_error or '', _ERROR_WIDTH)}"


def is_live_terminal() -> bool:
    """Whether standard error is a screen that can be drawn on."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def reporter_for(quiet: bool, interval: float, results: int) -> Reporter:
    """The bar on a terminal where rich is installed, else lines.

    Lines as well when `results`, a file descriptor, is a terminal: the bar would be torn apart.
    """
    if quiet:
        return SilentReporter()
    if is_live_terminal() and not os.isatty(results):
        try:
            from .progress_rich import BarReporter
        except ImportError:
            return LineReporter(interval)
        return BarReporter()
    return LineReporter(interval)
