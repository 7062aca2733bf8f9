"""One SVG a topic: bars with quartiles for each race, or lines if a race follows one manager over time."""

from __future__ import annotations

import math
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.peers import load
from benchmarks.report import FORMATS, MICRO, _plain
from benchmarks.runner import SUBJECT, Figure, Outcome, Spread
from benchmarks.store import Run

OURS, THEIRS, INK = "#0b6e4f", "#b8c4bb", "#333333"


def draw(folder: Path, run: Run) -> list[str]:
    """Draws all topics of a run into the folder; returns the names of the files. Raises ``Missing`` without
    matplotlib."""
    matplotlib = load("matplotlib")
    matplotlib.use("svg")
    pyplot = load("matplotlib.pyplot")
    pyplot.rcParams.update(
        {
            "svg.hashsalt": "tasker",
            "svg.fonttype": "none",
            "font.size": 9,
            "axes.edgecolor": INK,
            "font.family": "sans-serif",
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for topic, group in groupby(run.outcomes, key=lambda outcome: outcome.topic):
        outcomes = [outcome for outcome in group if outcome.values]
        if outcomes:
            name = f"{run.name}-{topic}.svg"
            _topic(pyplot, outcomes, folder / name)
            names.append(name)
    return names


def _topic(pyplot: Any, outcomes: list[Outcome], path: Path) -> None:
    heights = [2.2 if outcome.down else 0.7 + 0.28 * len(outcome.values) for outcome in outcomes]
    figure, axes = pyplot.subplots(
        len(outcomes), 1, figsize=(8, sum(heights) + 0.3 * len(outcomes)), squeeze=False, height_ratios=heights
    )
    for axis, outcome in zip(axes[:, 0], outcomes, strict=True):
        (_lines if outcome.down else _bars)(axis, outcome)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)


def _bars(axis: Any, outcome: Outcome) -> None:
    shown = outcome.figures[0]
    names = list(outcome.values)
    spreads = [Spread.of(outcome.of(name, shown.key)) for name in names]
    middles = [spread.median for spread in spreads]
    around = [[one.median - one.low for one in spreads], [one.high - one.median for one in spreads]]
    colours = [OURS if name.startswith(SUBJECT) else THEIRS for name in names]
    axis.barh(names, middles, xerr=around, color=colours, ecolor=INK, capsize=2, height=0.7)
    axis.invert_yaxis()
    most, least = max(map(abs, middles)), min((abs(middle) for middle in middles if middle), default=1.0)
    if min(middles) > 0 and most / least > 50:
        axis.set_xscale("log")
    show = FORMATS.get(shown.unit, _plain)
    for place, spread in enumerate(spreads):
        axis.annotate(
            show(spread.median),
            (spread.high, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=INK,
        )
    axis.margins(x=0.15)
    axis.set_title(f"{outcome.title}: {shown.label}{_unit(shown)}, {_direction(shown)}", loc="left", fontsize=9)


def _lines(axis: Any, outcome: Outcome) -> None:
    """Draws each kind of figure relative to its first value, so that constant figures are flat lines."""
    kinds: dict[str, list[Figure]] = {}
    for figure in outcome.figures:
        kinds.setdefault(figure.key.partition("@")[0], []).append(figure)
    for name in outcome.values:
        for figures in kinds.values():
            at = [int(figure.key.partition("@")[2]) for figure in figures]
            values = [Spread.of(outcome.of(name, figure.key)).median for figure in figures]
            if values[0] and not math.isnan(values[0]):
                label = figures[0].label.partition(": ")[2]
                axis.plot(at, [value / values[0] for value in values], marker="o", markersize=3, label=label)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("tasks done")
    axis.legend(frameon=False, fontsize=8)
    axis.set_title(f"{outcome.title}: relative to the first line of the table", loc="left", fontsize=9)


def _unit(figure: Figure) -> str:
    unit = MICRO if figure.unit == "us" else figure.unit
    return f" ({unit})" if unit and unit != "/s" else ""


def _direction(figure: Figure) -> str:
    return "more is better" if figure.more_is_better else "less is better"
