"""`tasker run` over a file of JSON lines, against what one writes in its place."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.children import environment
from benchmarks.runner import RATE, Claim, Contestant, Figure, Outcome, Race, Size

CPU = Figure("cpu", "CPU time of an item", "us")
THREADS = "tasker run, threads"
PROCESSES = "tasker run, processes"
EXECUTOR = "ThreadPoolExecutor and json"
POOL = "multiprocessing.Pool.imap, chunks of 100"
LOOP = "plain loop"

JOB = "def task(ctx, resource, item):\n    return item * 2\n"

SCRIPT = """
import json
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pool

def task(item):
    return item * 2

def write(results):
    for number, (item, result) in enumerate(results):
        output.write(json.dumps({"index": number, "input": item, "result": result}) + "\\n")

if __name__ == "__main__":
    with open("in.jsonl") as lines, open("out.jsonl", "w") as output:
        items = [json.loads(line) for line in lines]
        %s
"""
BODIES = {
    EXECUTOR: "with ThreadPoolExecutor(4) as pool: write(zip(items, pool.map(task, items)))",
    POOL: "with Pool(4) as pool: write(zip(items, pool.imap(task, items, 100)))",
    LOOP: "write((item, task(item)) for item in items)",
}


def races(size: Size) -> list[Race]:
    count = size.count(300_000)
    command = [sys.executable, "-m", "tasker", "run", "job.py", "in.jsonl", "--output", "out.jsonl", "--quiet"]
    runs: dict[str, tuple[list[str], int]] = {THREADS: (command, count)}
    if size.name != "tiny":
        runs[PROCESSES] = ([*command, "--backend", "process"], count)
    runs |= {name: ([sys.executable, "-c", SCRIPT % body], count) for name, body in BODIES.items() if name != POOL}
    runs[POOL] = ([sys.executable, "pool.py"], count)
    return [
        Race(
            key="running",
            title="Items that take no time, from file to file",
            work="A file of JSON numbers is read, each is doubled, and a line of JSON is written for each. A fresh interpreter "
            "for each run, whose start and end count. 4 workers. Only tasker's lines have times, attempts and worker, and only "
            "tasker reads lazily and goes on with `--resume`.",
            figures=[RATE, CPU],
            contestants=[
                Contestant(name, _measured(arguments, number), f"{number:,} items")
                for name, (arguments, number) in runs.items()
            ],
            rounds=size.rounds(5),
            claims=[
                Claim("tasker run, threads", "at most 12 us of CPU an item", _cpu, at_most=12.0, unit="us"),
                *(
                    [Claim(PROCESSES, "at most 15 us of CPU an item", _process_cpu, at_most=15.0, unit="us")]
                    if PROCESSES in runs
                    else []
                ),
                Claim("tasker run, threads", "at least 80,000 items/s", _rate, at_least=80_000.0, unit="/s"),
            ],
        )
    ]


def _cpu(outcome: Outcome) -> list[float]:
    return outcome.of(THREADS, "cpu")


def _process_cpu(outcome: Outcome) -> list[float]:
    return outcome.of(PROCESSES, "cpu")


def _rate(outcome: Outcome) -> list[float]:
    return outcome.of(THREADS, "rate")


def _measured(arguments: list[str], count: int) -> Callable[[], dict[str, float]]:
    def run() -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            there = Path(folder)
            (there / "in.jsonl").write_text("".join(f"{number}\n" for number in range(count)))
            (there / "job.py").write_text(JOB)
            (there / "pool.py").write_text(SCRIPT % BODIES[POOL])
            begun, spent = time.perf_counter(), _spent()
            subprocess.run(arguments, cwd=folder, env=environment(), check=True)
            taken = time.perf_counter() - begun
            return {"rate": count / taken, "cpu": (_spent() - spent) / count * 1e6}

    return run


def _spent() -> float:
    """Returns the CPU time of all processes that were started here and have ended, in seconds."""
    times = os.times()
    return times.children_user + times.children_system
