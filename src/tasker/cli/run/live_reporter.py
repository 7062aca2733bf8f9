"""Progress as the live view of the manager, below a line of the run. Imported only for --live."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.text import Text

from tasker.cli import humanize
from tasker.live.look import Look
from tasker.live.view import LiveView, live
from tasker.watch.reading import Watched

from .run_stats import ProgressSnapshot


class LiveReporter:
    """Draws on standard error; gone at the end, where the summary follows. The main thread brings the progress; the view has a
    thread of its own."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._view: LiveView | None = None
        self._snapshot: ProgressSnapshot | None = None

    def start(self) -> None:
        self._view = live(self._watched, file=sys.stderr, above=self._above, transient=True)

    def update(self, snapshot: ProgressSnapshot) -> None:
        self._snapshot = snapshot

    def note(self, text: str) -> None:
        if self._view is not None:
            self._view.note(f"tasker run: {text}")

    def close(self, snapshot: ProgressSnapshot) -> None:
        self._snapshot = snapshot
        if self._view is not None:
            self._view.close()

    def _above(self, look: Look) -> Sequence[Text]:
        return [] if self._snapshot is None else [progress(self._snapshot, look)]


def progress(snapshot: ProgressSnapshot, look: Look) -> Text:
    """Returns how far a run is, in one line: a bar, and figures at its right."""
    figures = [
        f"{100 * snapshot.processed / snapshot.total:.0f}%" if snapshot.total else "",
        f"{snapshot.skipped:,} skipped" if snapshot.skipped else "",
        humanize.rate(snapshot.rate),
        "stopping" if snapshot.stopping else f"ETA {humanize.clock(snapshot.eta)}",
    ]
    right = "  ".join(figure for figure in figures if figure)
    room = max(0, look.width - len(right) - 2)
    done = round(room * min(1.0, snapshot.processed / snapshot.total)) if snapshot.total else 0
    full, empty = (
        ("\N{BOX DRAWINGS HEAVY HORIZONTAL}", "\N{BOX DRAWINGS LIGHT HORIZONTAL}") if look.is_unicode else "=-"
    )
    return look.split([(full * done, "green"), (empty * (room - done), "dim")], [(right, "")])
