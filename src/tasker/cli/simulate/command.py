"""Runs the simulation and prints its figures."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from tasker.cli.exit_codes import DONE, FAILED
from tasker.cli.offline.page import write
from tasker.simulation.comparison import compare
from tasker.simulation.loops import compare_loops
from tasker.simulation.rules import PoolOptions

from . import arguments, clients, contents, contents_loops, load, text
from .page import render


def execute(options: argparse.Namespace) -> int:
    """Runs the simulation, prints the figures and writes the report. Returns the exit code."""
    arguments.check(options)
    run = _open(options) if options.clients is None else _closed(options)
    done = run()
    _progress("")
    print(json.dumps(done.data(), indent=2) if options.json else "\n".join(done.lines()))
    if options.no_report:
        return DONE
    try:
        write(options.report, render(done.page()))
    except OSError as error:
        return _failed(f"the report could not be written to {options.report}: {error.strerror or error}")
    if not options.json:
        print(f"report: {options.report}")
    return DONE


class _Done(NamedTuple):
    """What a simulation found, in each of the forms in which it is shown."""

    data: Callable[[], dict[str, Any]]
    lines: Callable[[], Iterable[str]]
    page: Callable[[], dict[str, Any]]


def _pool(options: argparse.Namespace) -> PoolOptions:
    return PoolOptions(
        worker_count=options.worker_count,
        max_worker_count=options.max_workers,
        burst_interval=options.burst_interval,
        target_wait=options.target_wait,
        ready_timeout=options.ready_timeout,
    )


def _open(options: argparse.Namespace) -> Callable[[], _Done]:
    """Returns the simulation of a load whose arrivals do not depend on the pool, after its options were checked."""
    workload, pool = load.workload_of(options), _pool(options)

    def run() -> _Done:
        found = compare(workload, pool, rules=options.compare, seed=options.seed, progress=_progress)
        return _Done(partial(text.as_data, found), partial(text.lines, found), partial(contents.contents, found))

    return run


def _closed(options: argparse.Namespace) -> Callable[[], _Done]:
    """Returns the simulation of clients that wait for their answers."""
    loop, pool = clients.loop_of(options), _pool(options)

    def run() -> _Done:
        found = compare_loops(loop, pool, rules=options.compare, seed=options.seed, progress=_progress)
        return _Done(
            partial(clients.as_data, found), partial(clients.lines, found), partial(contents_loops.contents, found)
        )

    return run


def _progress(what: str) -> None:
    """Shows one line on a terminal; an empty text removes it."""
    if sys.stderr.isatty():
        line = f"simulating: {what}" if what else ""
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


def _failed(why: str) -> int:
    print(f"tasker simulate: error: {why}", file=sys.stderr)
    return FAILED
