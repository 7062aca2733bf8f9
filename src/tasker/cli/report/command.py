"""`tasker report`, from its options to its exit code."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator

from tasker.cli.exit_codes import BROKEN_PIPE, DONE, FAILED, UsageError
from tasker.cli.offline.page import write

from .contents import contents
from .lines import ResultLine, ResultLines
from .page import render
from .tally import Tally

REPORT = "report.html"
_SHOWN_PROBLEMS = 5
_EVERY = 20_000


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `tasker report` to a parser."""
    parser.usage = "%(prog)s [options] RESULTS"
    parser.epilog = (
        "The page needs no network and no other file. It shows inputs of items that stand out, and messages of errors."
    )
    parser.add_argument(
        "results",
        metavar="RESULTS",
        help='the output of `tasker run`; a .gz or .zst is decompressed, "-" is standard input',
    )
    parser.add_argument(
        "-o",
        "--output",
        default=REPORT,
        metavar="PATH",
        help=f'where the report goes, an old one is replaced; "-" is standard output (default: {REPORT})',
    )
    parser.add_argument("--quiet", action="store_true", help="print errors alone")


def execute(options: argparse.Namespace) -> int:
    """Reads the results and writes the report. Returns the exit code."""
    lines = ResultLines(options.results)
    _check_output(options)
    tally = Tally()
    tally.add_all(_shown(lines, options.quiet))
    if not lines.read and (lines.foreign or lines.problems):
        number, reason = lines.problems[0]
        raise UsageError(f"{lines.name} has no result of tasker run; line {number}: {reason}")
    if not options.quiet:
        _tell_problems(lines)
    try:
        _write(options.output, render(contents(lines, tally)))
    except BrokenPipeError:
        return BROKEN_PIPE
    except OSError as error:
        print(f"tasker report: error: cannot write to {options.output}: {error.strerror or error}", file=sys.stderr)
        return FAILED
    if not options.quiet and options.output != "-":
        print(f"{options.output}: {tally.items:,} items, {tally.failed:,} failed")
    return DONE


def _check_output(options: argparse.Namespace) -> None:
    """Raises UsageError if the report would replace the results, or has no folder: before the work."""
    results, output = options.results, options.output
    if output == "-":
        return
    if os.path.isdir(output):
        raise UsageError(f"--output {output} is a directory")
    if not os.path.isdir(os.path.dirname(output) or "."):
        raise UsageError(f"--output {output}: there is no such folder")
    try:
        same = os.path.samestat(os.fstat(0) if results == "-" else os.stat(results), os.stat(output))
    except OSError:
        return  # there is no old report
    if same and os.path.isfile(output):
        raise UsageError(f"--output {output} is the results themselves")


def _write(path: str, page: str) -> None:
    if path == "-":
        with open(1, "wb", closefd=False) as stream:
            stream.write(page.encode())
        return
    write(path, page)


def _shown(lines: ResultLines, quiet: bool) -> Iterator[ResultLine]:
    """Yields the lines, and shows on a terminal how far they are read."""
    if quiet or not sys.stderr.isatty():
        yield from lines
        return
    due = time.monotonic() + 0.5
    for number, line in enumerate(lines):
        if number % _EVERY == 0 and time.monotonic() >= due:
            share = "" if lines.share is None else f", {lines.share:.0%}"
            print(f"\r\x1b[K{number:,} lines{share}", end="", file=sys.stderr, flush=True)
            due = time.monotonic() + 0.5
        yield line
    print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _tell_problems(lines: ResultLines) -> None:
    """Prints which lines are no results."""
    shown = lines.problems[:_SHOWN_PROBLEMS]
    for number, reason in shown:
        print(f"{lines.name} line {number}: {reason}", file=sys.stderr)
    if lines.foreign > len(shown):
        print(
            f"{lines.name}: {lines.foreign:,} lines in all are no results of tasker run, and left out", file=sys.stderr
        )
