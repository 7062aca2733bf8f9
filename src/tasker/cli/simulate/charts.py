"""The charts of a comparison, as data: a line of each rule over time, and what the legend says of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tasker.simulation.figures import SHARES, Figures
from tasker.simulation.taut_string import Point

_STRETCHES = 400
"""Of time, in a chart of steps."""
_LOG_WAIT = 0.01
_LOG_QUEUE = 10

Chart = dict[str, Any]
Values = Sequence[float | None]


def workers(compared: Sequence[Figures], duration: float, oracle: Sequence[Point] | None = None) -> Chart:
    """Returns the number of workers over time, and with ``oracle`` what that needs."""
    lines = {one.rule: on_grid([(sample.time, sample.alive) for sample in one.series], duration) for one in compared}
    most: dict[str, float | None] = {one.rule: one.peak_workers for one in compared}
    note = "Those that start and end included."
    if oracle is not None:
        needed = on_grid(oracle, duration)
        lines, most = {"oracle": needed, **lines}, {"oracle": _greatest(needed), **most}
        note += " The filled area is what the oracle needs."
    return _over_time("Workers", "", note, _edges(duration), lines) | {"steps": True, "restIs": "at most", "rest": most}


def queue(compared: Sequence[Figures], duration: float) -> Chart:
    """Returns the tasks that wait over time."""
    lines = {one.rule: on_grid([(sample.time, sample.queued) for sample in one.series], duration) for one in compared}
    note = f"The most at any tick of each stretch of time. From {_LOG_QUEUE} on, the scale is logarithmic."
    chart = _over_time("Queue", "tasks that wait", note, _edges(duration), lines)
    most = {name: _greatest(values) for name, values in lines.items()}
    return chart | {"steps": True, "log": _LOG_QUEUE, "restIs": "at most", "rest": most}


def waits_over_time(compared: Sequence[Figures], target: float) -> Chart:
    """Returns the 99th percentile of the waits by the time of arrival."""
    note = "By the time of arrival. The dashed line is the target. From 10 ms on, the scale is logarithmic."
    chart = _over_time("Waits over time", "p99", note, *_columns(compared, lambda one: one.over_time))
    return chart | _waits(compared, target)


def throughput(compared: Sequence[Figures], mean: Callable[[Figures], float]) -> Chart:
    """Returns the tasks a second that start, over time. ``mean``: that of the whole time."""
    chart = _over_time("Throughput", "", "Tasks that start in a second.", *_columns(compared, lambda one: one.rates))
    return chart | {"unit": "rate", "restIs": "on average", "rest": {one.rule: mean(one) for one in compared}}


def percentiles(compared: Sequence[Figures], target: float) -> Chart:
    """Returns all percentiles of the waits, over a logarithmic scale of the rest: each mark leaves a tenth of the tasks of the
    one before."""
    return {
        "title": "Waits",
        "hint": "by the share of tasks",
        "note": "How long that share of the tasks waited at most, over all. The dashed line is the target.",
        "kind": "shares",
        "at": [-math.log10(1 - share) for share in SHARES],
        "lines": {one.rule: _finite(wait for _, wait in one.curve) for one in compared},
        **_waits(compared, target),
    }


def trade(compared: Sequence[Figures], corner: Sequence[float], **options: Any) -> Chart:
    """Returns what each rule reaches against its cost, as rings. ``options`` has the texts, ``x`` and ``y`` of each rule;
    ``corner``: (most cost, least and most value) of what is good enough."""
    x, y = options.pop("x"), options.pop("y")
    costs = {one.rule: x(one) for one in compared}
    order = sorted(costs, key=costs.__getitem__)
    values = {one.rule: y(one) for one in compared}
    return {
        "kind": "trade",
        "at": [costs[rule] for rule in order],
        "lines": {one.rule: [values[rule] if rule == one.rule else None for rule in order] for one in compared},
        "corner": list(corner),
        "restIs": "in all",
        "rest": values,
        **options,
    }


def on_grid(points: Sequence[Point], duration: float) -> list[float | None]:
    """Returns the greatest value in each stretch of time of steps that begin at the points; at the end, the last one again."""
    values: list[float | None] = []
    place, current = 0, None
    for number in range(1, _STRETCHES + 1):
        highest = current
        while place < len(points) and points[place][0] < duration * number / _STRETCHES:
            current = points[place][1]
            highest = current if highest is None else max(highest, current)
            place += 1
        values.append(highest)
    return [*values, current]


def _edges(duration: float) -> list[float]:
    return [duration * number / _STRETCHES for number in range(_STRETCHES + 1)]


def _over_time(title: str, hint: str, note: str, at: Sequence[float], lines: Mapping[str, Values]) -> Chart:
    return {"title": title, "hint": hint, "note": note, "kind": "time", "unit": "count", "at": at, "lines": lines}


def _columns(
    compared: Sequence[Figures], points: Callable[[Figures], Sequence[tuple[float, float]]]
) -> tuple[list[float], dict[str, Values]]:
    """Returns the moments, which all rules share, and the values of each."""
    return [moment for moment, _ in points(compared[0])], {
        one.rule: _finite(value for _, value in points(one)) for one in compared
    }


def _greatest(values: Values) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _waits(compared: Iterable[Figures], target: float) -> Chart:
    return {
        "unit": "seconds",
        "log": _LOG_WAIT,
        "target": target,
        "restIs": "p99",
        "rest": {one.rule: one.p99 for one in compared},
    }


def _finite(values: Iterable[float]) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values]
