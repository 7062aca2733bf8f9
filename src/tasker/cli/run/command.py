"""What `tasker run` does, from its options to its exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tasker import Config, ConfigError, Context, TaskManager
from tasker.cli import exit_codes

from . import codec, resume
from .arguments import Options, checked
from .attempts import Gate, Outcome, attempt
from .desk import Desk
from .engine import KILL_GRACE_S, Ending, Engine, Parts
from .failed import FailedInputs
from .feeder import Feeder, Plan
from .inputs import Inputs, open_inputs
from .items import Item
from .jobs import Job, load_job
from .ledger import Ledger
from .logs import configure_logging
from .output import (
    LineFile,
    OutputError,
    check_distinct,
    open_fresh,
    open_lines,
    take_stdout,
)
from .progress import is_live_terminal, reporter_for, tell
from .summary import Summary, plain, summarise
from .tally import Tally


@dataclass(frozen=True, slots=True)
class Files:
    """The open outputs, and what the results already hold when the run goes on with them."""

    output: LineFile
    failed: FailedInputs | None
    ledger: Ledger | None


def execute(parsed: argparse.Namespace) -> int:
    """Run the command. Everything that can be refused is refused before a worker starts."""
    options = checked(parsed)
    configure_logging(options.log_level)
    job = load_job(options.job, options.settings)
    inputs = open_inputs(options)
    config = _config(options, job)
    files = _open_files(options, inputs)
    tally = Tally()
    ending = _run(options, job, config, inputs, files, tally)
    _finish(ending, files)
    _report(ending, tally, options)
    _leave_if_abandoned(ending)
    return ending.exit_code


def _config(options: Options, job: Job) -> Config[Any]:
    try:
        return Config(
            **_where(options, job),
            worker_count=options.workers,
            max_worker_count=options.max_workers,
            burst_interval=options.burst_interval,
            max_retries=options.retries,
            max_queue_size=options.max_queue,
            creation_timeout=options.creation_timeout,
            resource_pool_size=0,  # for run_task, which is not used here
            name=job.name,
        )
    except ConfigError as error:
        raise exit_codes.UsageError(str(error)) from None


def _where(options: Options, job: Job) -> dict[str, Any]:
    """The job's hooks, and the backend."""
    if options.backend == "thread":
        return job.hooks
    from . import away  # needs an extra

    return {**away.hooks_away(job, options.job, options.settings), "backend": away.backend(options.preload)}


def _run_item(options: Options, job: Job, gate: Gate) -> Callable[[Context, Any, Any], Outcome]:
    if options.backend == "thread":
        return attempt(job.task, gate)
    from . import away  # needs an extra

    return away.Task(options.job, options.settings, job.task, gate)


def _open_files(options: Options, inputs: Inputs) -> Files:
    outputs = {"--output": options.output, "--failed": options.failed}
    check_distinct(outputs, (options.job, *options.inputs))
    ledger = None
    if options.output is None:
        output = take_stdout()
    elif options.resume:
        output = open_lines(options.output)
        ledger = resume.take_up(output)
    else:
        output = open_fresh(options.output, "--output", options.overwrite)
    failed = None
    if options.failed is not None:
        overwrite = options.overwrite or options.resume
        failed = FailedInputs(open_fresh(options.failed, "--failed", overwrite), inputs)
    return Files(output, failed, ledger)


def _run(options: Options, job: Job, config: Config[Any], inputs: Inputs, files: Files, tally: Tally) -> Ending:
    # Places for what waits, for what runs, and for what ended and is not written yet.
    desk = Desk(options.max_queue + 2 * options.max_workers)
    manager = TaskManager(config)
    try:
        return _engine(options, job, inputs, files, tally, desk, manager).run()
    except BaseException:  # Ctrl-C before its handler stood, or a fault of ours
        manager.kill(KILL_GRACE_S)
        raise


def _engine(
    options: Options,
    job: Job,
    inputs: Inputs,
    files: Files,
    tally: Tally,
    desk: Desk,
    manager: TaskManager[Any],
) -> Engine:
    plan = Plan(
        run_item=_run_item(options, job, desk.gate),
        priority_field=options.priority_field,
        once=options.once,
        is_done=lambda item: _is_done(files.ledger, item),
    )
    parts = Parts(
        manager=manager,
        feeder=Feeder(manager, inputs, desk, plan),
        inputs=inputs,
        desk=desk,
        output=files.output,
        failed=files.failed,
        reporter=reporter_for(options.quiet, options.progress_interval, files.output.fd),
        ledger=files.ledger,
        stop_timeout=options.stop_timeout,
        creation_timeout=options.creation_timeout,
    )
    return Engine(parts, tally)


def _is_done(ledger: Ledger | None, item: Item) -> bool:
    return ledger is not None and ledger.is_done(item.index, codec.fingerprint(item.text))


def _finish(ending: Ending, files: Files) -> None:
    """Close the files. What the system says only now is a failure of the run as well."""
    try:
        ledger, total = files.ledger, ending.total
        if ledger is not None and ending.is_orderly and resume.needs_tidying(ledger, total):
            resume.tidy(files.output, ledger, total)
        files.output.close()
        if files.failed is not None:
            files.failed.close()
    except OutputError as error:
        ending.complain(str(error), exit_codes.FAILED)


def _report(ending: Ending, tally: Tally, options: Options) -> None:
    if ending.exit_code == exit_codes.BROKEN_PIPE:
        return
    if not options.quiet:
        _show(summarise(ending, tally, options.output or "standard output"))
    if ending.complaint is not None:
        tell(f"tasker run: error: {' '.join(ending.complaint.split())}")


def _show(summary: Summary) -> None:
    if is_live_terminal():
        try:
            from .summary_rich import show
        except ImportError:
            pass
        else:
            show(summary)
            return
    tell(plain(summary))


def _leave_if_abandoned(ending: Ending) -> None:
    """A thread that is stuck in the task cannot be ended, and would keep Python from ending."""
    if ending.abandoned:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                continue
        os._exit(ending.exit_code)
