"""Runs the simulation and prints its figures."""

from __future__ import annotations

import argparse
import json
import sys

from tasker.cli.exit_codes import DONE, FAILED
from tasker.simulation.comparison import compare
from tasker.simulation.loops import compare_loops
from tasker.simulation.report import MissingExtra, load_matplotlib, write
from tasker.simulation.rules import PoolOptions

from . import arguments, clients, load, text


def execute(options: argparse.Namespace) -> int:
    """Runs the simulation, prints the figures and writes the report. Returns the exit code."""
    arguments.check(options)
    pool = PoolOptions(
        worker_count=options.worker_count,
        max_worker_count=options.max_workers,
        burst_interval=options.burst_interval,
        target_wait=options.target_wait,
        ready_timeout=options.ready_timeout,
    )
    return _execute_open(options, pool) if options.clients is None else _execute_closed(options, pool)


def _execute_closed(options: argparse.Namespace, pool: PoolOptions) -> int:
    comparison = compare_loops(
        clients.loop_of(options), pool, rules=options.compare, seed=options.seed, progress=_progress
    )
    _progress("")
    if options.json:
        print(json.dumps(clients.as_data(comparison), indent=2))
    else:
        print("\n".join(clients.lines(comparison)))
    return DONE


def _execute_open(options: argparse.Namespace, pool: PoolOptions) -> int:
    workload = load.workload_of(options)
    if not options.no_report:
        try:
            # Before the simulation: without matplotlib its work would be lost.
            load_matplotlib()
        except MissingExtra as error:
            return _failed(f"{error}; or leave the report out: --no-report")
    comparison = compare(workload, pool, rules=options.compare, seed=options.seed, progress=_progress)
    _progress("")
    if options.json:
        print(json.dumps(text.as_data(comparison), indent=2))
    else:
        print("\n".join(text.lines(comparison)))
    if options.no_report:
        return DONE
    try:
        write(options.report, comparison)
    except OSError as error:
        return _failed(f"the report could not be written to {options.report}: {error.strerror or error}")
    if not options.json:
        print(f"report: {options.report}")
    return DONE


def _progress(what: str) -> None:
    """Shows one line on a terminal; an empty text removes it."""
    if sys.stderr.isatty():
        line = f"simulating: {what}" if what else ""
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


def _failed(why: str) -> int:
    print(f"tasker simulate: error: {why}", file=sys.stderr)
    return FAILED
