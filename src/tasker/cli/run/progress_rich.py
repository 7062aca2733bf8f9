"""Progress as a live bar. Imported only on a terminal, and only where rich is installed."""

from __future__ import annotations

import sys

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from . import wording
from .progress import creation_trouble, workers
from .tally import View


class Bar:
    """One line with the bar and where it stands, one with the numbers behind it.

    Drawn by the main thread at its ticks, not by a thread of rich's own. What the job prints and
    logs appears above it.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        # Standard output is left alone where it is a file: redirecting it here would put what
        # the job prints onto the terminal instead.
        self._live = Live(console=self._console, auto_refresh=False, redirect_stdout=sys.stdout.isatty())

    def start(self) -> None:
        self._live.start()

    def update(self, view: View) -> None:
        self._live.update(render(view), refresh=True)

    def note(self, text: str) -> None:
        self._console.print(Text(f"tasker run: {text}", style="yellow"))

    def close(self, view: View) -> None:
        self.update(view)
        self._live.stop()


def render(view: View) -> RenderableType:
    """The view as it looks on a screen, in 80 columns and in more."""
    lines: list[RenderableType] = [_bar(view), _numbers(view)]
    if trouble := creation_trouble(view):
        lines.append(Text(trouble, style="red", no_wrap=True, overflow="ellipsis"))
    return Group(*lines)


def _bar(view: View) -> Table:
    line = Table.grid(padding=(0, 1), expand=True)
    line.add_column(ratio=1)
    for _ in range(3):
        line.add_column(no_wrap=True)
    total = view.total
    bar = ProgressBar(total=total or None, completed=view.processed, pulse=not total)
    share = f"{100 * view.processed / total:3.0f}%" if total else "   ?"
    line.add_row(bar, share, wording.rate(view.rate), f"ETA {wording.clock(view.eta)}")
    return line


def _numbers(view: View) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"{view.done:,} done", style="green")
    text.append("  ").append(f"{view.failed:,} failed", style="red" if view.failed else "dim")
    if view.skipped:
        text.append(f"  {view.skipped:,} skipped", style="dim")
    text.append(f"  workers {workers(view)}  queue {view.queued:,}")
    text.append(f"  {wording.clock(view.elapsed)}", style="dim")
    if view.stopping:
        text.append("  stopping", style="yellow")
    return text
