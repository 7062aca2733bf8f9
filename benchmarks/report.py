"""RESULTS.md: the targets and whether they are met, a table for each race, and what is left out and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path

from benchmarks.runner import SUBJECT, Figure, Outcome, Spread, Verdict
from benchmarks.store import Run
from benchmarks.topics import FREE_THREADED, RAY, TOPICS

MICRO = "\N{MICRO SIGN}s"
COMPARED = ("/s", "us", "ms", "s", "B")
"""Units of figures whose ratio is meaningful."""

HOW_TO_READ = """\
## How to read this

- A round runs every contestant of a table once, one after the other, and then the next round begins (A B C, A B C,
  ...), so a slow moment of the machine affects all of them. A figure is the **median of the rounds, with the quartiles
  in brackets**.
- "tasker is" compares within a round and shows the median of those ratios: 5.0x means five times better (faster, or
  smaller), 0.5x means half as good. The targets are judged by the same median. *Close* means that the target lies
  within the quartiles, so that the result of another run may differ.
- Everything runs in one process, with the garbage collector on; it runs before each run. If memory is measured, each
  run has a process of its own.
- tasker always has everything on: priorities, contextvars, metrics, retries, health checks. Its number of workers is
  fixed (`max_worker_count` = `worker_count`), because that of its peers is.
- Pools are started, and all of their workers run, before the clock starts, except where starting is measured.
"""

CAVEATS = """\
## What these figures do not say

- No-op tasks show what a library costs and nothing else. The longer a task takes, the less that matters: see *Overhead
  as a share of the work* and *Tasks that sleep*, where the pools differ little or not at all.
- If tasks compute in Python, two threads also pay for passing the GIL to each other, whichever pool they belong to; the
  bare `SimpleQueue` shows how much that is. The bare loop runs in one thread, just before the others: the machine may
  be some percent faster or slower by then, so compare the pools with one another there.
- Chunks of tasks are faster than tasks that are submitted one by one. If thousands of tiny tasks need neither an
  outcome of their own, nor a priority, nor a resource, cutting them into chunks is the better solution, with any of
  these libraries.
- The hand-written `SimpleQueue` and the two-lock handoff are not pools: they show what the interpreter itself costs.
- Memory that a process holds is measured in pages and includes what the allocator keeps in reserve.
- The machine is a shared one with few cores unless the table above says otherwise: trust the ratios more than the
  figures, and ratios with narrow quartiles more than others.
- With the GIL, tail latencies (p99) depend on the switch interval of the interpreter (5 ms) and on other work on the
  machine as much as on the library.
"""

LEFT_OUT = """\
## What was left out, and why

- Pools of processes in the races of threads, except where a task computes for 1 ms or more: with no-op tasks, the way
  to another process and back would be measured, which threads do not need. *Child processes* has them.
- Distributed task queues (Celery, RQ, Dramatiq): they persist, route and survive a reboot; a comparison with no-op
  tasks would be unfair to them and of no use. Ray is compared where tasker runs over Ray, too.
- The Go library: its figures are those of its own benchmarks, on another machine, and are quoted as a target only.
- PyPy and other interpreters.
"""


FURTHER = {
    "long": ("The long run", "`make bench-long`, a run of its own.\n"),
    "free-threaded": ("Without the GIL", "`make bench-free-threaded`, a run of its own on a free-threaded CPython.\n"),
    "ray": ("Over Ray", "`make bench-ray`, a run of its own with a local Ray, which the extra `ray` installs.\n"),
}
"""Runs besides that of ``make bench``: title and first sentence of their sections."""
TITLES = FREE_THREADED | RAY | TOPICS


def write(folder: Path, normal: Run | None, further: Sequence[Run], plots: Sequence[str]) -> Path:
    """Writes RESULTS.md; returns its path."""
    path = folder / "RESULTS.md"
    path.write_text(text(normal, further, plots), encoding="utf-8")
    return path


def text(normal: Run | None, further: Sequence[Run], plots: Sequence[str]) -> str:
    """Returns the report of a run of `make bench`, of runs of ``FURTHER``, or of both."""
    parts = [
        "# Benchmarks: results\n",
        "Written by `make bench`, `make bench-long`, `make bench-free-threaded` and `make bench-ray`; do not edit.\n",
        "How it is measured: [README.md](README.md).\n",
    ]
    if normal is not None:
        parts += [_machine("The run", normal), _targets("Targets", [normal]), HOW_TO_READ, *_topics(normal, plots, 2)]
    for run in further:
        title, words = FURTHER[run.name]
        parts += [f"## {title}\n", words, _machine("Its machine", run, 3)]
        parts += [_targets("Its targets", [run], 3), *_topics(run, plots, 3)]
    parts += [CAVEATS, LEFT_OUT, _not_there([*([] if normal is None else [normal]), *further])]
    return "\n".join(part for part in parts if part)


def _machine(title: str, run: Run, level: int = 2) -> str:
    lines = [f"{'#' * level} {title}\n", "| | |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in run.machine.items())]) + "\n"


def _targets(title: str, runs: Sequence[Run], level: int = 2) -> str:
    verdicts = [verdict for run in runs for outcome in run.outcomes for verdict in outcome.verdicts]
    unjudged = [claim for run in runs for outcome in run.outcomes for claim in outcome.unjudged]
    if not verdicts:
        return ""
    met = sum(verdict.met for verdict in verdicts)
    lines = [
        f"{'#' * level} {title}\n",
        f"{met} of {len(verdicts)} met, {len(verdicts) - met} missed, {len(unjudged)} not measured.\n",
        "| what | target | measured | |",
        "|---|---|---|---|",
        *(f"| {one.what} | {one.target} | {spread(one.measured, one.unit)} | {word(one)} |" for one in verdicts),
        *(f"| {what} | {target} | | not measured |" for what, target in unjudged),
    ]
    return "\n".join(lines) + "\n"


def word(verdict: Verdict) -> str:
    """Returns whether the target is met, in words."""
    return ("met" if verdict.met else "**MISSED**") + (" (close)" if verdict.close else "")


def _topics(run: Run, plots: Sequence[str], level: int) -> list[str]:
    parts = []
    for topic, outcomes in groupby(run.outcomes, key=lambda outcome: outcome.topic):
        parts.append(f"{'#' * level} {TITLES[topic]}\n")
        picture = f"{run.name}-{topic}.svg"
        if picture in plots:
            parts.append(f"![{TITLES[topic]}](plots/{picture})\n")
        parts += [table(outcome, level + 1) for outcome in outcomes]
    return parts


def table(outcome: Outcome, level: int = 3) -> str:
    """Returns the table of one race: a line for each contestant, or for each figure (``Outcome.down``)."""
    lines = [f"{'#' * level} {outcome.title}\n", f"{outcome.work} {_rounds(outcome)}\n"]
    lines += _down(outcome) if outcome.down else _across(outcome)
    return "\n".join(lines) + "\n"


def _rounds(outcome: Outcome) -> str:
    cut = " (fewer than planned: time was up)" if outcome.rounds < outcome.wanted_rounds else ""
    return f"{outcome.rounds} round{'s' * (outcome.rounds != 1)}{cut}."


def _across(outcome: Outcome) -> list[str]:
    first = outcome.figures[0]
    compared = first.unit in COMPARED and SUBJECT in outcome.values and len(outcome.values) > 1
    head = ["", *(heading(figure) for figure in outcome.figures), *(["tasker is"] if compared else []), ""]
    lines = [_row(head), _row(["---", *(["---:"] * (len(head) - 2)), "---"])]
    for name in outcome.values:
        cells = [spread(Spread.of(outcome.of(name, figure.key)), figure.unit) for figure in outcome.figures]
        if compared:
            better = outcome.advantage(SUBJECT, name, first)
            cells.append("" if name == SUBJECT or not better else spread(Spread.of(better), "x"))
        shown = f"**{name}**" if name.startswith(SUBJECT) else name
        lines.append(_row([shown, *cells, outcome.remarks.get(name, "")]))
    return lines


def _down(outcome: Outcome) -> list[str]:
    """Returns a line for each place and a column for each kind of figure, for keys such as ``rate@1000``."""
    kinds = list(dict.fromkeys(figure.key.partition("@")[0] for figure in outcome.figures))
    by_place: dict[str, list[Figure]] = {}
    for figure in outcome.figures:
        by_place.setdefault(figure.key.partition("@")[2], []).append(figure)
    names = list(outcome.values)
    first = next(iter(by_place.values()), [])
    lines = [
        _row(["tasks done", *(f"{name}: {figure.label.partition(': ')[2]}" for name in names for figure in first)])
    ]
    lines.append(_row(["---:"] * (1 + len(names) * len(kinds))))
    for place, figures in by_place.items():
        cells = [spread(Spread.of(outcome.of(name, figure.key)), figure.unit) for name in names for figure in figures]
        lines.append(_row([f"{int(place):,}", *cells]))
    return lines


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def heading(figure: Figure) -> str:
    """Returns the heading of a figure's column."""
    return figure.label


def spread(values: Spread, unit: str) -> str:
    """Returns the median and, if there are any, the quartiles in brackets."""
    show = FORMATS.get(unit, _plain)
    shown = f"{show(values.median)}{SUFFIXES.get(unit, unit and ' ' + unit)}"
    if values.low == values.high:
        return shown
    return f"{shown} [{show(values.low)} to {show(values.high)}]"


def _plain(value: float) -> str:
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


FORMATS: dict[str, Callable[[float], str]] = {
    "/s": lambda v: f"{v:,.0f}",
    "B": lambda v: f"{v:,.0f}",
    "%": lambda v: f"{v:.1f}",
    "count": lambda v: f"{v:.0f}",
}
SUFFIXES = {"count": "", "x": "x", "%": "%", "us": f" {MICRO}", "/s": "/s"}


def _not_there(runs: Iterable[Run]) -> str:
    """Returns the contestants that are not installed or failed, each once."""
    lines: dict[str, None] = {}
    for run in runs:
        for outcome in run.outcomes:
            for one in outcome.absent:
                lines[f"- {one.name}: {one.why}"] = None
            for name, why in outcome.failed.items():
                lines[f"- **{name} failed** in *{outcome.title}*: {why}"] = None
    return "Not in these runs:\n\n" + "\n".join(lines) + "\n" if lines else ""
