"""What a run would do, for --dry-run: nothing is run, and no file is written to."""

from __future__ import annotations

import os

from tasker.cli import exit_codes, strict_json

from . import resume
from .arguments import RunOptions
from .inputs import RunInputs
from .items import Item
from .jobs import Job
from .output import LineFile, OutputError, line_file
from .priorities import priority_of
from .progress import print_stderr
from .resume_ledger import ResumeLedger
from .submitter import reading_error

_LINES = 256
"""Lines that are written at once."""


def show(options: RunOptions, job: Job, inputs: RunInputs, stdout: LineFile) -> int:
    """Prints a line for each item that would be run, and their number. Returns the exit code."""
    lines: list[bytes] = []
    try:
        try:
            to_run, skipped, malformed = _show(options, job, inputs, stdout, lines)
        finally:
            _write(lines, stdout)  # what could be read before an error, too
    except OutputError as error:
        if error.broken_pipe:
            return exit_codes.BROKEN_PIPE
        return _failed(str(error))
    except exit_codes.UsageError:
        raise
    except Exception as error:
        return _failed(reading_error(error))
    if not options.quiet:
        done = f", {skipped:,} are done already" if options.resume else ""
        print_stderr(f"tasker run: {to_run:,} items would be run, {malformed:,} would fail as malformed{done}")
    return exit_codes.FAILED if malformed else exit_codes.DONE


def _show(
    options: RunOptions, job: Job, inputs: RunInputs, stdout: LineFile, lines: list[bytes]
) -> tuple[int, int, int]:
    """Returns how many would be run, are done already, and would fail. ``lines``: those that are still to be written."""
    ledger = _ledger(options, job)
    if ledger is not None:
        inputs.pass_over(ledger.check_off)
    to_run = skipped = malformed = 0
    for item in inputs:
        if item is None or (_is_done(ledger, item) and item.problem is None):
            skipped += 1
            continue
        problem = (priority_of(item, options.priority_field)[1] or item).problem
        malformed += problem is not None
        to_run += problem is None
        lines.append(_line(item, problem))
        if len(lines) >= _LINES:
            _write(lines, stdout)
    return to_run, skipped, malformed


def _write(lines: list[bytes], stdout: LineFile) -> None:
    whole = b"".join(lines)
    lines.clear()  # first: what cannot be written is not tried again
    stdout.write(whole)


def _failed(message: str) -> int:
    print_stderr(f"tasker run: error: {' '.join(message.split())}")
    return exit_codes.FAILED


def _is_done(ledger: ResumeLedger | None, item: Item) -> bool:
    return ledger is not None and ledger.check_off(item.index, item.fingerprint)


def _line(item: Item, problem: str | None) -> bytes:
    rest = "" if problem is None else f', "problem": {strict_json.encode(problem)}'
    return strict_json.to_bytes(f'{{"index": {item.index}, "input": {item.text}{rest}}}\n')


def _ledger(options: RunOptions, job: Job) -> ResumeLedger | None:
    if not options.resume or options.output is None or not os.path.exists(options.output):
        return None
    file = line_file(options.output, os.open(options.output, os.O_RDONLY))
    try:
        return resume.load_ledger(file, job.version, mend=False)
    finally:
        os.close(file.fd)
