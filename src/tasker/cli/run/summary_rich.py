"""The summary as tables. Imported only on a terminal, and only where rich is installed."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .summary import Summary


def show(summary: Summary, console: Console | None = None) -> None:
    """Prints the summary as tables on standard error."""
    screen = console or Console(stderr=True)
    screen.print(Text(summary.headline, style="bold"))
    screen.print(_facts(summary))
    if summary.latencies:
        screen.print(_latencies(summary))
    if summary.failures:
        screen.print(_failures(summary))


def _facts(summary: Summary) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in summary.facts:
        table.add_row(name, Text(value))
    return table


def _latencies(summary: Summary) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, title in enumerate(summary.latency_titles()):
        table.add_column(title, justify="right" if number else "left", no_wrap=True)
    for row in summary.latencies:
        table.add_row(*row)
    return table


def _failures(summary: Summary) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("failures", justify="right", no_wrap=True)
    table.add_column("error", style="red", overflow="fold")
    table.add_column("first at index")
    table.add_column("for example", overflow="fold")
    for failure in summary.failures:
        # As Text: rich would take `[red]` in an error's message for markup.
        cells = (failure.count, failure.label, failure.indices, failure.example)
        table.add_row(*(Text(cell) for cell in cells))
    if summary.more_kinds:
        table.caption = f"and {summary.more_kinds} more kinds of error"
    return table
