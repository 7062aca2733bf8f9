"""What a run would do, for --dry-run: nothing is run, and no file is written to."""

from __future__ import annotations

import os

from tasker.cli import exit_codes, strict_json

from . import resume
from .arguments import RunOptions
from .inputs import RunInputs
from .items import Item
from .jobs import Job
from .output import line_file
from .priorities import priority_of
from .progress import print_stderr
from .resume_ledger import ResumeLedger


def show(options: RunOptions, job: Job, inputs: RunInputs, stdout: int) -> int:
    """Prints a line for each item that would be run, to a descriptor that it closes, and their number. Returns the exit code."""
    ledger = _ledger(options, job)
    to_run = skipped = malformed = 0
    try:
        with open(stdout, "wb") as out:
            if ledger is not None:
                inputs.pass_over(ledger.check_off)
            for item in inputs:
                if item is None or (_is_done(ledger, item) and item.problem is None):
                    skipped += 1
                    continue
                problem = (priority_of(item, options.priority_field)[1] or item).problem
                malformed += problem is not None
                to_run += problem is None
                out.write(_line(item, problem))
    except BrokenPipeError:
        return exit_codes.BROKEN_PIPE
    if not options.quiet:
        done = f", {skipped:,} are done already" if options.resume else ""
        print_stderr(f"tasker run: {to_run:,} items would be run, {malformed:,} would fail as malformed{done}")
    return exit_codes.FAILED if malformed else exit_codes.DONE


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
