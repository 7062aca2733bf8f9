"""Progress as a live bar. Imported only on a terminal, and only where rich is installed."""

from __future__ import annotations

import sys

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tasker.cli import humanize

from .progress import creation_trouble, is_terminal, workers
from .run_stats import ProgressSnapshot


class BarReporter:
    """One line with the bar, one with the numbers. Output and log messages of the job appear above them."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        # No auto_refresh: the main thread draws at its ticks, and rich needs no thread of its own.
        # Standard output is redirected only if it is the terminal: if it is a file, output of the job
        # belongs there.
        self._live = Live(console=self._console, auto_refresh=False, redirect_stdout=is_terminal(sys.stdout))

    def start(self) -> None:
        self._live.start()

    def update(self, snapshot: ProgressSnapshot) -> None:
        self._live.update(render(snapshot), refresh=True)

    def note(self, text: str) -> None:
        self._console.print(Text(f"tasker run: {text}", style="yellow"))

    def close(self, snapshot: ProgressSnapshot) -> None:
        self.update(snapshot)
        self._live.stop()


class ReadingBar:
    """A bar for the results that --resume reads, which goes once they are read."""

    def __init__(self, name: str, size: int, console: Console | None = None) -> None:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
        )
        self._bar = Progress(
            *columns, console=console or Console(stderr=True), transient=True, auto_refresh=False, redirect_stdout=False
        )
        self._task = self._bar.add_task(f"reading {name}", total=size)
        self._bar.start()

    def tell(self, bytes_read: int) -> None:
        self._bar.update(self._task, completed=bytes_read, refresh=True)

    def close(self) -> None:
        self._bar.stop()


def render(snapshot: ProgressSnapshot) -> RenderableType:
    """Returns a snapshot as it looks on a terminal of 80 columns or more."""
    lines: list[RenderableType] = [_bar(snapshot), _numbers(snapshot)]
    if trouble := creation_trouble(snapshot):
        lines.append(Text(trouble, style="red", no_wrap=True, overflow="ellipsis"))
    return Group(*lines)


def _bar(snapshot: ProgressSnapshot) -> Table:
    line = Table.grid(padding=(0, 1), expand=True)
    line.add_column(ratio=1)
    for _ in range(3):
        line.add_column(no_wrap=True)
    total = snapshot.total
    bar = ProgressBar(total=total or None, completed=snapshot.processed, pulse=not total)
    share = f"{100 * snapshot.processed / total:3.0f}%" if total else "   ?"
    line.add_row(bar, share, humanize.rate(snapshot.rate), f"ETA {humanize.clock(snapshot.eta)}")
    return line


def _numbers(snapshot: ProgressSnapshot) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"{snapshot.done:,} done", style="green")
    text.append("  ").append(f"{snapshot.failed:,} failed", style="red" if snapshot.failed else "dim")
    if snapshot.skipped:
        text.append(f"  {snapshot.skipped:,} skipped", style="dim")
    text.append(f"  workers {workers(snapshot)}  queue {snapshot.queued:,}")
    text.append(f"  {humanize.clock(snapshot.elapsed)}", style="dim")
    if snapshot.stopping:
        text.append("  stopping", style="yellow")
    return text
