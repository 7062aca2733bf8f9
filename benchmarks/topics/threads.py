"""No-op tasks: `submit`, then `result` of each. This measures only what the library itself costs."""

from __future__ import annotations

import sys

from benchmarks import contestants
from benchmarks.machine import gil_is_on
from benchmarks.peers import absent
from benchmarks.runner import RATE, Claim, Contestant, Race, Size, advantage
from benchmarks.work import NOOP, Load

ROW = "no-op tasks on threads"
GO = (170_000, 216_000)
"""Tasks a second of the Go library's ``QueueTaskAsync`` on two cores, the lowest and the highest of several runs of its
own benchmark. Not measured here."""


def wanted_advantage() -> float:
    """Returns the targeted factor over ThreadPoolExecutor on this Python."""
    if not gil_is_on():
        return 3.0
    return 6.0 if sys.version_info < (3, 12) else 5.0


def races(size: Size) -> list[Race]:
    if size.long:
        return [_thousand(size, 15)]
    main = [_main(size, workers) for workers in (1, 4, 16)]
    return [*main, *([] if size.free_threaded else [_all_peers(size)]), _thousand(size, 7)]


def _main(size: Size, workers: int) -> Race:
    load = Load(NOOP, size.count(100_000), size.workers(workers))
    bounded = Contestant(
        "tasker, bounded queue",
        lambda: {"rate": contestants.tasker(load, max_queue_size=10_000)},
        "max_queue_size=10,000: the submitter waits for a place",
    )
    wanted = wanted_advantage()
    claims = [
        Claim(
            f"{ROW}, {workers} worker{'s' * (workers > 1)}",
            f"at least {wanted:g}x ThreadPoolExecutor",
            advantage(contestants.EXECUTOR),
            at_least=wanted,
        )
    ]
    if workers == 4 and not size.free_threaded:
        claims += [
            Claim(
                f"{ROW}, {workers} workers, tasks/s",
                f"at least 2x the Go library's {rate:,}/s (its {word} figure; not measured here)",
                lambda outcome: outcome.of(contestants.TASKER),
                at_least=2.0 * rate,
                unit="/s",
            )
            for rate, word in zip(GO, ("lowest", "highest"), strict=True)
        ]
    return Race(
        key=f"noop-{workers}",
        title=f"No-op tasks, {workers} worker{'s' * (workers > 1)}",
        work=f"{load.count:,} tasks that do nothing: all are submitted by one thread, then the result of each is"
        " retrieved.",
        figures=[RATE],
        contestants=[*contestants.of(load, contestants.MAIN, []), bounded],
        rounds=size.rounds(9),
        claims=claims,
        weight=2.0,
    )


def _all_peers(size: Size) -> Race:
    load = Load(NOOP, size.count(10_000), size.workers(4))
    gone = absent("pebble", "joblib", "mpire")
    chosen = {name: contestants.MAIN[name] for name in (contestants.TASKER, contestants.EXECUTOR)} | contestants.PEERS
    return Race(
        key="noop-peers",
        title="No-op tasks, 4 workers, every peer",
        work=f"{load.count:,} tasks that do nothing; fewer than above, because some of the peers take long.",
        figures=[RATE],
        contestants=contestants.of(load, chosen, gone),
        rounds=size.rounds(7),
        absent=gone,
        weight=2.0,
    )


def _thousand(size: Size, rounds: int) -> Race:
    # No fewer: with 50,000 tasks, CPython 3.11 runs a full garbage collection with 1,000 workers and none with 4.
    count = size.count(1_000_000 if size.long else 100_000)
    few, many = Load(NOOP, count, size.workers(4)), Load(NOOP, count, size.workers(1000))
    return Race(
        key="noop-1000",
        title="No-op tasks, 1,000 workers",
        work=f"{count:,} tasks that do nothing, on 4 and on 1,000 workers.",
        figures=[RATE],
        contestants=[
            Contestant("tasker", lambda: {"rate": contestants.tasker(many)}, "1,000 workers"),
            Contestant("tasker, 4 workers", lambda: {"rate": contestants.tasker(few)}),
            Contestant("ThreadPoolExecutor", lambda: {"rate": contestants.executor(many)}, "1,000 workers"),
            Contestant("ThreadPoolExecutor, 4 workers", lambda: {"rate": contestants.executor(few)}),
        ],
        rounds=size.rounds(rounds),
        claims=[
            Claim(
                "1,000 workers",
                "at least 0.8x the throughput of 4",
                lambda outcome: outcome.ratio("tasker", "tasker, 4 workers"),
                at_least=0.8,
            )
        ],
        weight=2.0,
    )
