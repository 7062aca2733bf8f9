"""One manager, millions of tasks: throughput and memory must stay as they are at the beginning."""

from __future__ import annotations

from benchmarks.children import in_child, resident_bytes
from benchmarks.runner import Claim, Contestant, Figure, Outcome, Race, Size
from benchmarks.work import clock, manager, noop_owned

WORKERS = 4
BURST = 10_000
ALLOWED_MB = 4.0


def races(size: Size) -> list[Race]:
    steps = 10 if size.name != "tiny" else 2
    each = 1_000_000 if size.long else size.count(100_000)
    at = [each * step for step in range(1, steps + 1)]
    total = at[-1]
    figures = [
        figure
        for done in (min(BURST, each), *at)
        for figure in (
            Figure(f"rate@{done}", f"at {done:,}: throughput", "/s", more_is_better=True),
            Figure(f"memory@{done}", f"at {done:,}: memory of the process", "MB"),
            Figure(f"metrics@{done}", f"at {done:,}: metrics()", "us"),
        )
    ]
    return [
        Race(
            key=f"endurance-{size.name}",
            title=f"{total:,} tasks in one manager, {WORKERS} workers",
            work=f"No-op tasks in bursts of {BURST:,}: submitted, then the result of each. Throughput is that since the "
            "line before; memory is what the process holds; metrics() is the median of 20 calls.",
            figures=figures,
            contestants=[Contestant("tasker", lambda: _child(each, steps))],
            rounds=size.rounds(3),
            claims=[
                Claim(
                    f"throughput after {total:,} tasks, to that after {each:,}",
                    "the same (within 10%)",
                    lambda outcome: outcome_ratio(outcome, f"rate@{total}", f"rate@{each}"),
                    at_least=0.9,
                ),
                Claim(
                    f"memory after {total:,} tasks, over that after {min(BURST, each):,}",
                    f"the same (within {ALLOWED_MB:g} MB)",
                    lambda outcome: _grown(outcome, f"memory@{total}", f"memory@{min(BURST, each)}"),
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


def endure(each: int, steps: int) -> dict[str, float]:
    figures: dict[str, float] = {}
    with manager(WORKERS) as pool:
        submit = pool.submit

        def run(tasks: int) -> float:
            begin = clock()
            for burst in range(0, tasks, BURST):
                for future in [submit(noop_owned) for _ in range(min(BURST, tasks - burst))]:
                    future.result()
            return tasks / (clock() - begin)

        def note(done: int, rate: float) -> None:
            calls = []
            for _ in range(20):
                begin = clock()
                pool.metrics()
                calls.append(clock() - begin)
            figures[f"rate@{done}"] = rate
            figures[f"memory@{done}"] = resident_bytes() / 1e6
            figures[f"metrics@{done}"] = sorted(calls)[10] * 1e6

        done = min(BURST, each)
        note(done, run(done))
        for step in range(1, steps + 1):
            tasks = each * step - done
            rate = run(tasks) if tasks else figures[f"rate@{done}"]
            done += tasks
            note(done, rate)
    return figures
