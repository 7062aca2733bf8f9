"""One manager, millions of tasks: throughput and memory must stay as they are at the beginning.

The run takes minutes, and the speed of a shared machine changes from minute to minute. So at the beginning and at the
end, the manager takes turns with a new one in a new process, and the two ratios are compared with each other. (One of
the two ratios alone would not do: the process that waits for the other one goes on with cold caches.)
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from benchmarks.children import in_child, resident_bytes
from benchmarks.runner import Claim, Contestant, Figure, Outcome, Race, Size
from benchmarks.work import clock, manager, noop_owned
from tasker import TaskManager

WORKERS = 4
BURST = 10_000
ALLOWED_MB = 4.0
TURNS = 9
"""Turns of the comparison with a new manager at the beginning and at the end; between them it is one, to show the
course."""


def races(size: Size) -> list[Race]:
    steps = 10 if size.name != "tiny" else 2
    each = 1_000_000 if size.long else size.count(100_000)
    at = [each * step for step in range(1, steps + 1)]
    first, total = min(BURST, each), at[-1]
    figures = [
        figure
        for done in (first, *at)
        for figure in (
            Figure(f"rate@{done}", f"at {done:,}: throughput", "/s", more_is_better=True),
            Figure(f"new@{done}", f"at {done:,}: throughput, to that of a new one", "x", more_is_better=True),
            Figure(f"memory@{done}", f"at {done:,}: memory of the process", "MB"),
            Figure(f"metrics@{done}", f"at {done:,}: metrics()", "us"),
        )
    ]
    return [
        Race(
            key=f"endurance-{size.name}",
            title=f"{total:,} tasks in one manager, {WORKERS} workers",
            work=f"No-op tasks in bursts of {BURST:,}: submitted, then the result of each. Throughput is that since "
            f"the line before. Then a new manager in a new process does {_a_turn(each):,} tasks by turns with this "
            f"one (once; at the beginning and at the end {TURNS} times). Memory is what the process holds; metrics() "
            "is the median of 20 calls.",
            figures=figures,
            contestants=[Contestant("tasker", lambda: _child(each, steps))],
            rounds=size.rounds(3),
            claims=[
                Claim(
                    f"throughput after {total:,} tasks, to that after {first:,}, each to that of a new manager then",
                    "the same (within 10%)",
                    lambda outcome: outcome_ratio(outcome, f"new@{total}", f"new@{first}"),
                    at_least=0.9,
                ),
                Claim(
                    f"memory after {total:,} tasks, over that after {first:,}",
                    f"the same (within {ALLOWED_MB:g} MB)",
                    lambda outcome: _grown(outcome, f"memory@{total}", f"memory@{first}"),
                    at_most=ALLOWED_MB,
                    unit="MB",
                ),
                Claim(
                    f"metrics() after {total:,} tasks",
                    "under 1 ms",
                    lambda outcome: outcome.of("tasker", f"metrics@{total}"),
                    at_most=1000.0,
                    unit="us",
                ),
            ],
            weight=2.0,
            down=True,
        )
    ]


def outcome_ratio(outcome: Outcome, later: str, earlier: str) -> list[float]:
    return [a / b for a, b in zip(outcome.of("tasker", later), outcome.of("tasker", earlier), strict=True)]


def _grown(outcome: Outcome, later: str, earlier: str) -> list[float]:
    return [a - b for a, b in zip(outcome.of("tasker", later), outcome.of("tasker", earlier), strict=True)]


def _child(each: int, steps: int) -> dict[str, float]:
    figures: dict[str, float] = in_child(__name__, "endure", each, steps)
    return figures


def burst(pool: TaskManager[object], tasks: int) -> float:
    """Runs that many tasks; returns tasks a second."""
    submit = pool.submit
    begin = clock()
    for done in range(0, tasks, BURST):
        for future in [submit(noop_owned) for _ in range(min(BURST, tasks - done))]:
            future.result()
    return tasks / (clock() - begin)


def turn(pool: TaskManager[object], tasks: int) -> float:
    """Runs one turn, after some tasks that do not count, because the caches are cold at first; returns tasks a
    second."""
    burst(pool, tasks // 5)
    return burst(pool, tasks)


def _a_turn(each: int) -> int:
    """Returns the tasks of a turn, so that all turns together fit between two lines of the table."""
    return each // 20


def young(tasks: int) -> float:
    """Runs one turn of a new manager; returns tasks a second."""
    with manager(WORKERS) as pool:
        return turn(pool, tasks)


def endure(each: int, steps: int) -> dict[str, float]:
    figures: dict[str, float] = {}
    a_turn = _a_turn(each)
    done = 0
    with manager(WORKERS) as pool:
        marks = sorted({min(BURST, each), *(each * step for step in range(1, steps + 1))})
        for mark in marks:
            figures[f"rate@{mark}"] = burst(pool, mark - done)
            done = mark
            ratios = []
            for _ in range(TURNS if mark in (marks[0], marks[-1]) else 1):
                ratios.append(turn(pool, a_turn) / in_child(__name__, "young", a_turn))
                done += a_turn + a_turn // 5
            figures[f"new@{mark}"] = median(ratios)
            figures[f"memory@{mark}"] = resident_bytes() / 1e6
            figures[f"metrics@{mark}"] = median(_seconds(pool.metrics) for _ in range(20)) * 1e6
    return figures


def _seconds(call: Callable[[], object]) -> float:
    begin = clock()
    call()
    return clock() - begin
