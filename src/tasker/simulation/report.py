"""The report of a simulation: one self-contained HTML file, for screen and print."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path

from .comparison import FACTOR, Comparison
from .figures import Figures
from .page import HEAD, TAIL
from .plots import COLOURS, MissingExtra, draw, load_matplotlib
from .rules import OWN, RULES

__all__ = ["MissingExtra", "load_matplotlib", "text", "write"]

_SHOWN_DECISIONS = 100


def write(path: str, comparison: Comparison) -> None:
    """Writes the report and replaces an old one. Raises ``MissingExtra`` without matplotlib, and ``OSError`` if the
    file can't be written."""
    page = text(comparison)
    Path(path).write_text(page, encoding="utf-8")


def text(comparison: Comparison) -> str:
    """Returns the page. Raises ``MissingExtra`` without matplotlib."""
    return "\n".join([HEAD, *_head(comparison), *_table(comparison), *_plots(comparison), *_notes(comparison), TAIL])


def _head(comparison: Comparison) -> Iterator[str]:
    pool, load = comparison.pool, comparison.workload
    own = next(figures for figures in comparison.figures if figures.rule == OWN)
    yield f"<h1>Simulation: {html.escape(load.name)}</h1>"
    yield f"<p>{html.escape(load.words)}. {comparison.tasks:,} tasks, {comparison.work:,.0f} seconds of work.</p>"
    facts = [
        ("workers", f"{pool.worker_count} to {pool.max_worker_count}"),
        ("scaling decision", f"every {pool.burst_interval:g} s" if pool.burst_interval else "off"),
        ("target wait", seconds(pool.target_wait)),
        ("making a resource", seconds(load.creation.time)),
        ("ending it", seconds(load.creation.destroy_time)),
    ]
    if load.creation.failing:
        facts.append(("creations that fail", f"{load.creation.failing:.0%}"))
    if load.creation.outage is not None:
        facts.append(("outage", "{:g} s to {:g} s".format(*load.creation.outage)))
    facts.append(("seed", str(comparison.seed)))
    yield '<dl class="facts">'
    yield from (f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
    yield "</dl>"
    waits, late = comparison.waits_well(own), comparison.mostly_late(own)
    costs = comparison.costs_well(own)
    yield f'<p class="verdict {"good" if waits and costs and not late else "bad"}"><strong>tasker</strong>: 99% of the tasks start'
    yield f"within {seconds(own.p99)} ({_allowed(waits)} {seconds(comparison.allowed_wait)}), at"
    yield f"{comparison.cost(own):.2f} times the oracle's worker-seconds ({_allowed(costs)} {FACTOR:g})."
    if late:
        yield f"But {own.late:.0%} of them are late: they waited longer than the target."
    yield "</p>"


def _allowed(well: bool) -> str:
    return "good: at most" if well else "more than"


def _table(comparison: Comparison) -> Iterator[str]:
    titles = ("mean", "p50", "p95", "p99", "p99.9", "max", "late", "workers", "made", "worker-seconds", "oracle x")
    yield '<div class="wide"><table><thead><tr><th></th>'
    yield "".join(f"<th>{title}</th>" for title in titles)
    yield "</tr></thead><tbody>"
    for figures in comparison.figures:
        yield _row(comparison, figures)
    yield "</tbody></table></div>"
    yield '<p class="small">Waits: from arrival to start. <em>late</em>: waited longer than the target.'
    yield "<em>workers</em>: the most at one time. <em>made</em>: creations begun, failing ones included.</p>"


def _row(comparison: Comparison, figures: Figures) -> str:
    rule = RULES[figures.rule]
    waits = (figures.mean, figures.p50, figures.p95, figures.p99, figures.p999, figures.longest)
    cells = [f"<td>{seconds(wait)}</td>" for wait in waits]
    cells[3] = _judged(seconds(figures.p99), comparison.waits_well(figures))
    cells.append(f"<td>{figures.late:.1%}{f', {figures.failed:,} given up' if figures.failed else ''}</td>")
    cells.append(f"<td>{figures.peak_workers:,}</td><td>{figures.created:,}</td>")
    cells.append(f"<td>{figures.worker_seconds:,.0f}</td>")
    cells.append(_judged(f"{comparison.cost(figures):.2f}", comparison.costs_well(figures)))
    swatch = f'<span class="swatch" style="background: {COLOURS[figures.rule]}"></span>'
    return f'<tr><th title="{html.escape(rule.words)}">{swatch}{rule.title}</th>{"".join(cells)}</tr>'


def _judged(value: str, good: bool) -> str:
    return f'<td class="{"good" if good else "bad"}">{value}<span>{" ✓" if good else " ✗"}</span></td>'


def _plots(comparison: Comparison) -> Iterator[str]:
    yield '<p class="legend">'
    for figures in comparison.figures:
        colour = COLOURS[figures.rule]
        yield f'<span><span class="swatch" style="background: {colour}"></span>{RULES[figures.rule].title}</span>'
    yield '<span><span class="swatch oracle"></span>oracle</span></p>'
    yield '<div class="plots">'
    for plot in draw(comparison):
        yield f"<figure><h2>{plot.title}</h2>{plot.svg}<figcaption>{plot.caption}</figcaption></figure>"
    yield "</div>"


def _notes(comparison: Comparison) -> Iterator[str]:
    yield "<h2>The rules</h2><dl>"
    for figures in comparison.figures:
        rule = RULES[figures.rule]
        yield f"<dt>{rule.title}</dt><dd>{html.escape(rule.words)}</dd>"
    yield "<dt>oracle</dt><dd>Knows the future. A lower bound on the worker-seconds of every way to start each task"
    yield f"within {seconds(comparison.pool.target_wait)} or, if not even the fixed maximum pool does that, no later than"
    yield "in that pool: the base exists all the time, each further worker also costs the seconds of making and ending"
    yield "its resource, and work is taken to be divisible at will. It need not be attainable: a rule that costs 1.1"
    yield f"times as much is at most 10% above the optimum. {comparison.bound.creations:,.0f} of its"
    yield f"{comparison.bound.worker_seconds:,.0f} worker-seconds pay for creations.</dd></dl>"
    yield "<p>Worker-seconds count each worker from the moment at which it begins to make its resource until the"
    yield "resource is ended. The workers of the base are ready when the load begins. After the load, the tasks that"
    yield "wait are run, and the pool stops.</p>"
    yield from _decisions(next(figures for figures in comparison.figures if figures.rule == OWN))


def _decisions(own: Figures) -> Iterator[str]:
    shown = own.log[:_SHOWN_DECISIONS]
    more = "the first " if len(own.log) > len(shown) else ""
    yield f"<details><summary>What tasker decided, and why: {more}{len(shown)} lines of its log</summary><ol>"
    yield from (f"<li><code>{moment:.1f} s</code> {html.escape(line)}</li>" for moment, line in shown)
    yield "</ol></details>"


def seconds(value: float) -> str:
    """Returns a duration for people, with three digits and a unit."""
    if value >= 99.95:
        return f"{value:,.0f} s"
    if value >= 0.9995:
        return f"{value:.3g} s"
    if value >= 0.9995e-3:
        return f"{value * 1e3:.3g} ms"
    return f"{value * 1e6:.3g} \N{MICRO SIGN}s" if value >= 5e-7 else "0"
