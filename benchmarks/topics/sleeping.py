"""Tasks that wait, as for a network: how close the pool comes to keeping all of its workers busy all of the time."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import contestants
from benchmarks.runner import Contestant, Figure, Race, Size
from benchmarks.work import Load, sleep_task

IDEAL = Figure("ideal", "of the ideal rate", "%", more_is_better=True)
RATE = Figure("rate", "tasks/s", "/s", more_is_better=True)
CASES = ((4, 0.001, 1_600), (64, 0.01, 3_200), (1000, 0.1, 4_000))


def races(size: Size) -> list[Race]:
    return [_race(size, *case) for case in CASES]


def _race(size: Size, workers: int, seconds: float, tasks: int) -> Race:
    load = Load(sleep_task(seconds), size.count(tasks), size.workers(workers))
    names = (contestants.TASKER, contestants.EXECUTOR, contestants.BARE)
    chosen = {name: contestants.MAIN[name] for name in names} | {
        "multiprocessing ThreadPool": contestants.PEERS["multiprocessing ThreadPool"]
    }
    ideal = load.workers / seconds
    return Race(
        key=f"sleep-{workers}",
        title=f"Tasks that sleep {seconds * 1000:g} ms, {workers:,} workers",
        work=f"{load.count:,} tasks that sleep {seconds * 1000:g} ms; ideal would be {ideal:,.0f} tasks/s.",
        figures=[IDEAL, RATE],
        contestants=[
            Contestant(name, _share(run, load, ideal), remark if name != contestants.BARE else contestants.FLOOR)
            for name, (run, remark) in chosen.items()
        ],
        rounds=size.rounds(7),
    )


def _share(run: contestants.Measure, load: Load, ideal: float) -> Callable[[], dict[str, float]]:
    def measured() -> dict[str, float]:
        rate = run(load)
        return {"ideal": 100 * rate / ideal, "rate": rate}

    return measured
