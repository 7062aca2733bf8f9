"""Progress as plain lines, and the choice between these and the live bar."""

from __future__ import annotations

import os
import sys
from typing import Protocol, TextIO

from tasker.cli import humanize

from .run_stats import ProgressSnapshot

_ERROR_WIDTH = 200


class Reporter(Protocol):
    """Shows the progress of a run on standard error. Used by the main thread alone."""

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
        """Does nothing: a run that is shorter than the interval shows its summary only."""

    def update(self, snapshot: ProgressSnapshot) -> None:
        if snapshot.elapsed >= self._next:
            self._next = snapshot.elapsed + self._interval
            self.note(progress_line(snapshot))

    def note(self, text: str) -> None:
        print_stderr(f"tasker run: {text}")

    def close(self, snapshot: ProgressSnapshot) -> None:
        """Does nothing: the summary follows."""


def print_stderr(text: str) -> None:
    """Prints a line on standard error."""
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        pass  # standard error is closed: the run goes on without it


def progress_line(snapshot: ProgressSnapshot) -> str:
    """Returns a snapshot as one line."""
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
    """Returns the numbers of base and burst workers."""
    return f"{snapshot.stats.base_workers}+{snapshot.stats.burst_workers}"


def creation_trouble(snapshot: ProgressSnapshot) -> str:
    """Returns why resources cannot be made at present; "" if they can."""
    if not snapshot.stats.failing_creations or snapshot.stopping:
        return ""
    return f"on_create fails: {humanize.one_line(snapshot.stats.creation_error or '', _ERROR_WIDTH)}"


def is_live_terminal() -> bool:
    """Returns whether standard error is a terminal on which a bar can be drawn."""
    return is_terminal(sys.stderr) and os.environ.get("TERM", "") not in ("", "dumb")


def is_terminal(stream: TextIO) -> bool:
    """Returns whether a stream is a terminal."""
    try:
        return stream.isatty()
    except (OSError, ValueError):
        return False  # the job has closed it


def show_cursor() -> None:
    """Shows the cursor, which the bar hides: before an exit at which nothing else is run."""
    try:
        if is_live_terminal():
            os.write(sys.stderr.fileno(), b"\x1b[?25h")
    except (OSError, ValueError):
        pass  # standard error is closed


def can_be_drawn(results: int) -> bool:
    """Returns whether there is a terminal for a bar or a view. ``results``: the descriptor to which results are written."""
    # Results on the terminal would tear it apart.
    return is_live_terminal() and not os.isatty(results)


def reporter_for(quiet: bool, interval: float, results: int) -> Reporter:
    """Returns the reporter: the bar on a terminal where rich is installed, or else lines.

    `interval` is in seconds, `results` the file descriptor to which results are written.
    """
    if quiet:
        return SilentReporter()
    if can_be_drawn(results):
        try:
            from .progress_rich import BarReporter
        except ImportError:
            return LineReporter(interval)
        return BarReporter()
    return LineReporter(interval)
