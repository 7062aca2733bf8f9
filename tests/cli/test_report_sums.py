"""What `tasker report` keeps: it is bounded, and it adds up to what was put in."""

from __future__ import annotations

import itertools
import pickle
import random
from typing import Any

import pytest

from tasker.cli.report.contents import Axis, _bars
from tasker.cli.report.gantt import Gantt
from tasker.cli.report.kinds import Kinds
from tasker.cli.report.lines import ResultLine
from tasker.cli.report.standouts import Standouts, shown
from tasker.cli.report.tally import Tally
from tasker.cli.report.timeline import LEAST_STEP, Timeline
from tasker.metrics.histogram import Histogram

NOON = 1_764_417_600.0


def result(index: int, **more: Any) -> ResultLine:
    values = {
        "index": index, "input": index, "is_done": True, "attempts": 1, "wait": 0.5, "execution": 0.25,
        "started": NOON + index, "worker": "w-1", "error": None, "earlier": [], "job": "a-b", **more,
    }  # fmt: skip
    return ResultLine(**values)


@pytest.mark.parametrize("longest", [0.001, 1.0, 5_000.0])
def test_a_timeline_is_bounded_and_loses_nothing(longest: float) -> None:
    """However long the run, there are at most so many steps; what they hold adds up, and lies where it happened."""
    draw = random.Random(4)
    timeline, spans = Timeline(most=32), []
    for _ in range(3_000):
        span = (NOON + draw.uniform(0, 10_000), draw.uniform(0, longest), draw.random() < 0.9)
        spans.append(span)
        timeline.add(span[0], 0.5, span[1], span[2])
    timeline.flush()
    steps = timeline.steps
    assert 8 < len(steps) <= 32
    assert sum(step.done for step in steps.values()) == sum(is_done for _, _, is_done in spans)
    assert sum(step.done + step.failed for step in steps.values()) == 3_000
    assert sum(step.executions.count for step in steps.values()) == sum(s.waits.count for s in steps.values()) == 3_000
    assert sum(step.busy for step in steps.values()) == pytest.approx(sum(each for _, each, _ in spans))
    for number, step in steps.items():
        begin, end = number * timeline.step, (number + 1) * timeline.step
        assert step.done + step.failed == sum(begin <= at + each < end for at, each, _ in spans)
        in_it = sum(max(0, min(at + each, end) - max(at, begin)) for at, each, _ in spans)
        assert step.busy == pytest.approx(in_it, abs=1e-4)  # seconds since 1970 have a quarter of a microsecond


def test_a_timeline_takes_an_item_of_a_year() -> None:
    """Without making a step for each millisecond of it."""
    timeline = Timeline()
    timeline.add(NOON, None, 365 * 86_400.0, True)
    assert len(timeline.steps) <= 513
    assert sum(step.busy for step in timeline.steps.values()) == pytest.approx(365 * 86_400.0)


def test_steps_of_a_short_run_are_short() -> None:
    """A thousandth of a second at least."""
    timeline = Timeline()
    timeline.add(NOON, 0.0, 0.0001, True)
    timeline.add(NOON + 0.1, 0.0, 0.0001, True)
    assert (timeline.step, len(timeline.steps)) == (LEAST_STEP, 2)


def runs_with_pauses() -> Timeline:
    timeline = Timeline()
    for begin in (0, 100_000, 300_000):
        for second in range(100):
            timeline.add(NOON + begin + second, 0.1, 1.0, True)
    timeline.add(NOON + 110, 0.1, 1.0, True)  # a short gap is none
    return timeline


def test_pauses_are_left_out() -> None:
    """A time without anything that is long, next to the time with something, costs no step, and is no part of the axis."""
    axis = Axis(runs_with_pauses(), 10_000)
    assert [round(pause.begin - NOON) for pause in axis.pauses] == pytest.approx([111, 100_100], abs=2)
    assert [round(pause.end - NOON) for pause in axis.pauses] == pytest.approx([100_000, 300_000], abs=2)
    assert axis.removed == pytest.approx(300_000 - 211, abs=6)
    places = [axis.place(NOON + at) - NOON for at in (0, 105, 100_000, 100_050, 300_000, 300_100)]
    assert places == sorted(places)
    assert places[1] == 105
    assert places[3] - places[2] == 50
    assert places[-1] < 330
    assert len(axis.numbers) <= 400


def test_a_step_of_few_items_is_longer() -> None:
    """There are several items in each: a rate of one item tells only how long the step is."""
    timeline = Timeline()
    for number in range(80):
        timeline.add(NOON + number, 0.1, 0.5, True)
    assert len(Axis(timeline, 80).numbers) <= 10


def test_a_gantt_chart_is_bounded_and_loses_nothing() -> None:
    """Short items are summed, long ones are kept as they are; all of them are counted."""
    draw = random.Random(5)
    gantt = Gantt(most_spans=200, most_workers=4)
    busy = {f"w-{n}": 0.0 for n in range(6)}
    free = dict.fromkeys(busy, NOON)
    for index in range(6_000):
        worker = f"w-{index % 6}"
        each = 50.0 if index == 601 else draw.uniform(0, 0.2)
        gantt.add(worker, free[worker], each, index % 7 > 0, index)
        free[worker] += each + 0.01
        busy[worker] += each
    assert list(gantt.rows) == ["w-0", "w-1", "w-2", "w-3"]
    spans = {name: row.spans() for name, row in gantt.rows.items()}
    assert sum(map(len, spans.values())) <= 200
    for name, row in gantt.rows.items():
        assert sum(span.items for span in spans[name]) == row.items == 1_000
        assert sum(span.failed for span in spans[name]) == row.failed
        assert sum(span.busy for span in spans[name]) == pytest.approx(row.busy) == pytest.approx(busy[name])
        assert all(span.busy <= span.end - span.begin + 1e-6 for span in spans[name])
        assert len({span.index for span in spans[name]}) == len(spans[name])
    assert [span.end - span.begin for span in spans["w-1"] if span.index == 601] == [pytest.approx(50.0)]
    assert gantt.others.items == 2_000
    assert gantt.others.busy == pytest.approx(busy["w-4"] + busy["w-5"])


def test_lines_in_another_order() -> None:
    """Merging does not need the order of time: --keep-order writes in that of the inputs."""
    draw = random.Random(6)
    spans = [(NOON + n, draw.uniform(0, 0.9)) for n in range(2_000)]
    charts = []
    for order in (spans, spans[::-1]):
        gantt = Gantt(most_spans=64)
        for index, (at, each) in enumerate(order):
            gantt.add("w", at, each, True, index)
        charts.append(sorted((s.begin, s.end, s.items) for s in gantt.rows["w"].spans()))
    assert charts[0] == charts[1]


def test_kinds_are_bounded_and_counted() -> None:
    """A message that is different for each item keeps no frequent one out, whenever that begins; no failure is lost."""
    kinds = Kinds(most=10)
    for index in range(1_000):
        kinds.add(index, {"type": "KeyError", "message": f"no item {index}", "traceback": f"of {index}"})
        if index > 500:
            kinds.add(index, {"type": "OSError", "message": "full\nvery"})
    found = kinds.all()
    assert len(found) <= 12
    assert sum(kind.count for kind in found) == 1_499
    (full,) = [kind for kind in found if kind.type == "OSError"]
    assert (full.message, full.count, full.indices, full.is_rest) == ("full", 499, [501, 502, 503, 504, 505], False)
    (rest,) = [kind for kind in found if kind.is_rest]
    assert (rest.type, rest.message, len(rest.indices)) == ("KeyError", "", 5)


def test_types_are_bounded_as_well() -> None:
    """Of a job that makes a class of its own for each error."""
    kinds = Kinds(most=10)
    for index in range(500):
        kinds.add(index, {"type": f"Error{index}", "message": ""})
    assert len(kinds.all()) <= 21
    assert sum(kind.count for kind in kinds.all()) == 500
    assert "other types" in {kind.type for kind in kinds.all()}


def test_what_is_no_error() -> None:
    """In a file that others wrote, an error may lack its fields."""
    kinds = Kinds()
    kinds.add(1, {})
    kinds.add(2, {"type": None, "message": 5, "cause": 7, "traceback": ["x"]})
    kinds.add_retried("oh")
    kinds.add_retried({"type": "A"})
    assert [(kind.type, kind.message, kind.count, kind.retried) for kind in kinds.all()] == [
        ("None", "", 1, 0),
        ("None", "5", 1, 0),
        ("A", "", 0, 1),
    ]


def test_the_greatest_values() -> None:
    """The greatest first; of equal ones the first that came; no more than asked for."""
    found = Standouts(most=3)
    for index, value in enumerate([2, 9, 2, 5, 9, 1]):
        found.offer(value, result(index))
    assert [row["index"] for row in found.rows()] == [1, 4, 3]
    assert found.threshold == 5


def test_an_input_is_shortened() -> None:
    """Text as it is, anything else as JSON, up to a length."""
    assert shown("a\nb") == "a\nb"
    assert shown({"a": [1, None]}) == '{"a": [1, null]}'
    assert len(shown("x" * 1_000_000)) == 160


@pytest.mark.parametrize(
    "values",
    [[0.0], [0.0, 1e-6, 2e-6], [1e9, 1e-3], [0.1], [1e9], [10.0**n for n in range(-9, 7)]],
    ids=["zero", "tiny", "huge and small", "one", "huge", "all"],
)
def test_bars_hold_all_values(values: list[float]) -> None:
    """Also those beyond the edges of the histogram, at both ends."""
    histogram = Histogram()
    histogram.add_all(list(values))
    bars = _bars(histogram)
    assert len(bars) <= 48
    assert sum(count for _, _, count in bars) == len(values)
    for before, after in itertools.pairwise(bars):
        assert before[1] == pytest.approx(after[0], rel=1e-3)


def test_edges_of_buckets() -> None:
    """The buckets follow each other, from 0 to infinity."""
    edges = [Histogram.edges(bucket) for bucket in range(len(Histogram().counts))]
    assert (edges[0][0], edges[-1][1]) == (0.0, float("inf"))
    assert all(before[1] == after[0] for before, after in itertools.pairwise(edges))


def test_a_tally_keeps_no_lines() -> None:
    """After three times as many lines it holds no more, however different they are."""
    few, many = (held_after(count) for count in (20_000, 60_000))
    assert many < 1.25 * few


def held_after(count: int) -> int:
    """Returns how many bytes pickling makes of all that a tally holds: that grows with what is kept, whatever it is."""
    draw, tally = random.Random(7), Tally()
    tally.add_all(
        result(
            n,
            input=f"item {n}",
            started=NOON + n * 0.05,
            execution=draw.uniform(0, 0.3),
            worker=f"w-{draw.randrange(300)}",
            is_done=n % 3 > 0,
            error={"type": f"E{n}", "message": f"of {n}", "traceback": f"t {n}"},
            attempts=n % 40,
            job=f"job {n}",
        )
        for n in range(count)
    )
    return len(pickle.dumps(vars(tally)))
