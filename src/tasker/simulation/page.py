"""What all reports are made of: the head with its style sheet (light and dark, wide and narrow, print), facts, tables, legend,
plots, decisions, and the tail."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from .creation import Creation
from .drawing import COLOURS, Plot
from .figures import Figures
from .rules import OWN, RULES, PoolOptions

_SHOWN_DECISIONS = 100

HEAD = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>tasker simulate</title>
<style>
:root { color-scheme: light dark; --paper: #ffffff; --ink: #22272e; --soft: #5b6570; --line: #d5dae0; --oracle: #dfe9e4;
  --good: #0b7a58; --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14181d; --ink: #e4e8ec; --soft: #9ba6b2; --line: #363e47; --oracle: #22372f; --good: #4fd1a5;
    --bad: #ff8a80; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1rem 1.25rem 3rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: .5rem 0; }
h2 { font-size: 1.1rem; margin: 1.5rem 0 .25rem; }
figure { margin: 0; min-width: 0; }
figure h2 { margin-top: 0; }
svg { display: block; width: 100%; height: auto; }
figcaption, .small { color: var(--soft); font-size: .85rem; }
.facts { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; margin: .75rem 0; }
.facts div { display: flex; gap: .4rem; }
.facts dt { color: var(--soft); }
dd { margin: 0 0 .5rem; }
.facts dd { margin: 0; font-weight: 600; }
.verdict { border-left: .3rem solid; padding: .4rem .75rem; }
.verdict.good { border-color: var(--good); }
.verdict.bad { border-color: var(--bad); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: .3rem .4rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
tbody th, thead th:first-child { text-align: left; font-weight: 600; position: sticky; left: 0; background: var(--paper); }
thead th { color: var(--soft); font-weight: 500; }
td.good { color: var(--good); }
td.bad { color: var(--bad); }
.swatch { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .45em; }
.swatch.oracle { background: var(--oracle); outline: 1px solid var(--line); }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: 1.5rem 0 1rem; position: sticky; top: 0;
  background: var(--paper); padding: .4rem 0; border-bottom: 1px solid var(--line); z-index: 1; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 1.75rem 2rem; }
dt { font-weight: 600; }
.facts dt { font-weight: 400; }
details ol { font-size: .85rem; max-height: 24rem; overflow-y: auto; }
@media print { .legend { position: static; } details { display: none; } }
</style>
</head>
<body>"""

TAIL = "</body>\n</html>\n"


def write(path: str, page: str) -> None:
    """Writes a report and replaces an old one. Raises ``OSError`` if the file can't be written."""
    Path(path).write_text(page, encoding="utf-8")


def pool_facts(pool: PoolOptions, creation: Creation) -> Iterator[tuple[str, str]]:
    """Yields the options of the pool and of its resources, as (name, value)."""
    yield "workers", f"{pool.worker_count} to {pool.max_worker_count}"
    yield "scaling decision", f"every {pool.burst_interval:g} s" if pool.burst_interval else "off"
    yield "target wait", seconds(pool.target_wait)
    yield "making a resource", seconds(creation.time)
    yield "ending it", seconds(creation.destroy_time)
    if creation.failing:
        yield "creations that fail", f"{creation.failing:.0%}"
    if creation.outage is not None:
        yield "outage", "{:g} s to {:g} s".format(*creation.outage)


def facts(given: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yields a list of (name, value), side by side."""
    yield '<dl class="facts">'
    yield from (f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in given)
    yield "</dl>"


def table(titles: Sequence[str], rows: Iterable[str]) -> Iterator[str]:
    """Yields a table, whose first column has no title."""
    yield '<div class="wide"><table><thead><tr><th></th>'
    yield "".join(f"<th>{title}</th>" for title in titles)
    yield "</tr></thead><tbody>"
    yield from rows
    yield "</tbody></table></div>"


def row(rule: str, cells: Iterable[str]) -> str:
    """Returns the row of a rule."""
    words = html.escape(RULES[rule].words)
    return f'<tr><th title="{words}">{_swatch(rule)}{RULES[rule].title}</th>{"".join(cells)}</tr>'


def judged(value: str, good: bool) -> str:
    """Returns a cell whose value is good or bad."""
    return f'<td class="{"good" if good else "bad"}">{value}<span>{" ✓" if good else " ✗"}</span></td>'


def legend(compared: Iterable[Figures], more: str = "") -> Iterator[str]:
    """Yields the colours of the rules."""
    yield '<p class="legend">'
    yield from (f"<span>{_swatch(figures.rule)}{RULES[figures.rule].title}</span>" for figures in compared)
    yield f"{more}</p>"


def _swatch(rule: str) -> str:
    return f'<span class="swatch" style="background: {COLOURS[rule]}"></span>'


def pictures(plots: Iterable[Plot]) -> Iterator[str]:
    """Yields the plots, in as many columns as there is room for."""
    yield '<div class="plots">'
    for plot in plots:
        yield f"<figure><h2>{plot.title}</h2>{plot.svg}<figcaption>{plot.caption}</figcaption></figure>"
    yield "</div>"


def words_of_rules(compared: Iterable[Figures]) -> Iterator[str]:
    """Yields what each rule does, as entries of a list."""
    for figures in compared:
        rule = RULES[figures.rule]
        yield f"<dt>{rule.title}</dt><dd>{html.escape(rule.words)}</dd>"


def decisions(compared: Iterable[Figures]) -> Iterator[str]:
    """Yields the log of tasker's own rule, folded."""
    own = next(figures for figures in compared if figures.rule == OWN)
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
