"""`tasker run`, from its options to its exit code."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tasker import Config, ConfigError, Context, RetryPolicy, TaskManager
from tasker.cli import exit_codes
from tasker.cli.descriptors import claim_stdin
from tasker.cli.sources import FileId

from . import dry_run, resume
from .arguments import RunOptions, checked
from .chunk_feed import ChunkFeed
from .failed import FailedInputs
from .feeds import ItemFeed, RunItem, SingleFeed
from .in_flight import InFlightItems
from .in_order import InputOrder
from .inputs import RunInputs, open_inputs
from .job_runner import KILL_GRACE_S, JobRunner
from .jobs import Job, JobVersion, check_chunk, load_job
from .logs import configure_logging
from .output import (
    LineFile,
    OutputError,
    check_distinct,
    check_fresh,
    claim_stdout,
    open_lines,
)
from .pacing import Pacing
from .progress import Reporter, is_live_terminal, print_stderr
from .reading_progress import reading_progress
from .resume_ledger import ResumeLedger
from .run_parts import RunEnd, RunParts
from .run_stats import RunStats
from .stop_signals import StopSignals
from .submitter import SubmitOptions, Submitter
from .summary import Summary, plain, summarise
from .task_wrapper import Gate, ItemResult, wrap_task, wrap_task_many
from .thread_lanes import ThreadLanes
from .views import Views


@dataclass(frozen=True, slots=True)
class OutputFiles:
    """The open outputs, and with --resume what the results already hold."""

    output: LineFile
    failed: FailedInputs | None
    ledger: ResumeLedger | None


def execute(parsed: argparse.Namespace) -> int:
    """Runs the command and returns its exit code. Raises UsageError before any worker starts."""
    options = checked(parsed)
    configure_logging(options.log_level)
    # Before the job is loaded, which may print, and start programs.
    if "-" in options.inputs:
        claim_stdin()
    stdout = claim_stdout() if options.output is None or options.dry_run else None
    here = _working_directory()
    job = load_job(options.job, options.settings)
    check_chunk(job, options.chunk)
    with contextlib.ExitStack() as shown:
        # Paths are those of the command line, whatever working directory the job file chooses for itself.
        with contextlib.chdir(here) if here else contextlib.nullcontext():
            inputs = open_inputs(options)
            config = _config(options, job)
            if options.dry_run:
                assert stdout is not None
                return dry_run.show(options, job, inputs, stdout)
            views = shown.enter_context(Views(options))
            # Last of the checks, as it creates and empties files: bad usage leaves them as they are.
            files = _open_files(options, inputs, job.version, stdout)
        if files.ledger is not None and not options.quiet:
            _note_changes(files.ledger, options)
        run_stats = RunStats()
        run_end = _run(options, job, config, inputs, files, run_stats, views)
    _finish(run_end, files, options)
    _report(run_end, run_stats, options)
    _exit_if_abandoned(run_end)
    return run_end.exit_code


def _working_directory() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None  # it was removed; absolute paths lead somewhere all the same


def _config(options: RunOptions, job: Job) -> Config[Any]:
    try:
        return Config(
            **_where(options, job),
            worker_count=options.workers,
            max_worker_count=options.max_workers,
            burst_interval=options.burst_interval,
            max_retries=options.retries,
            retry=_retry_policy(options.retry_delay),
            # With lanes the items wait elsewhere, see `lanes`, and a lane may queue the next one.
            max_queue_size=None if options.has_lanes else options.max_queue,
            task_timeout=options.timeout,
            ready_timeout=options.ready_timeout,
            **options.config,
            resource_pool_size=0,  # for run_task, which is not used here
            name=job.name,
        )
    except ConfigError as error:
        raise exit_codes.UsageError(str(error)) from None


def _retry_policy(delay: float) -> RetryPolicy | None:
    return RetryPolicy(backoff=delay, max_backoff=max(delay, RetryPolicy().max_backoff)) if delay else None


def _where(options: RunOptions, job: Job) -> dict[str, Any]:
    """Returns the arguments of Config for the job's hooks and for the backend."""
    if options.backend == "thread":
        return job.hooks
    from . import process_jobs  # not at the top: it needs an extra

    return {
        **process_jobs.process_hooks(job, options.settings),
        "backend": process_jobs.backend(options),
    }


def _feed(options: RunOptions, job: Job, in_flight: InFlightItems) -> Callable[[TaskManager[Any]], ItemFeed]:
    """Opens what the feed needs, and returns what makes it."""
    lanes, once, version = options.max_workers, options.once, str(job.version)
    if (size := options.chunk) is not None:
        run_items = _run_items(options, job, in_flight.gate)
        return lambda manager: ChunkFeed(manager, in_flight, run_items, size=size, once=once)
    if not options.has_lanes:
        run_item = _run_item(options, job, in_flight.gate)
        return lambda manager: SingleFeed(manager, in_flight, run_item, version=version, once=once)
    if options.backend == "process":
        # Not at the top: it needs an extra.
        from .chunk_slots import Slots
        from .process_lanes import ProcessLanes

        slots = Slots()
        return lambda manager: ProcessLanes(
            manager, in_flight, job, options.settings, slots=slots, lanes=lanes, once=once
        )
    return lambda manager: ThreadLanes(
        manager, in_flight, job.task, job.encoder, version=version, lanes=lanes, once=once
    )


def _run_item(options: RunOptions, job: Job, gate: Gate) -> Callable[[Context, Any, Any], ItemResult]:
    if options.backend == "thread":
        return wrap_task(job.task, job.encoder, gate)
    from . import process_jobs  # not at the top: it needs an extra

    return process_jobs.ChildTask(job, options.settings, gate)


def _run_items(options: RunOptions, job: Job, gate: Gate) -> RunItem:
    if options.backend == "thread":
        assert job.task_many is not None
        return wrap_task_many(job.task_many, job.encoder, gate)
    from . import process_jobs  # not at the top: it needs an extra

    return process_jobs.ChildTask(job, options.settings, gate, many=True)


def _names_by_id(files: Iterable[LineFile]) -> dict[FileId, str]:
    return {file.id: file.name for file in files if file.is_regular}


def _open_files(options: RunOptions, inputs: RunInputs, version: JobVersion, stdout: LineFile | None) -> OutputFiles:
    check_distinct({"--output": options.output, "--failed": options.failed}, (options.job, *options.inputs))
    opened: dict[str, LineFile] = {}
    try:
        if options.output is not None:
            opened["--output"] = open_lines(options.output)
        elif stdout is not None:
            opened["--output"] = stdout
        if options.failed is not None:
            opened["--failed"] = open_lines(options.failed)
        # Only now: a pattern may match an output that did not exist before.
        inputs.refuse_outputs(_names_by_id(opened.values()))
        if not options.overwrite and not options.resume:
            _check_fresh(options, opened)
        ledger = _load_ledger(options, opened["--output"], version) if options.resume else None
    except BaseException:
        for file in opened.values():
            file.discard()
        raise
    for file in _to_be_emptied(options, opened).values():
        file.truncate(0)
    failed = opened.get("--failed")
    return OutputFiles(opened["--output"], FailedInputs(failed, inputs) if failed is not None else None, ledger)


def _load_ledger(options: RunOptions, output: LineFile, version: JobVersion) -> ResumeLedger:
    progress = reading_progress(output.name, output.size, options.progress_interval, quiet=options.quiet)
    try:
        return resume.load_ledger(output, version, progress.tell)
    finally:
        progress.close()


def _to_be_emptied(options: RunOptions, opened: dict[str, LineFile]) -> dict[str, LineFile]:
    """Returns the files that begin anew: not standard output, which may be appended to a file, and not with --resume."""
    kept = () if options.output is not None and not options.resume else ("--output",)
    return {option: file for option, file in opened.items() if option not in kept}


def _check_fresh(options: RunOptions, opened: dict[str, LineFile]) -> None:
    for option, file in _to_be_emptied(options, opened).items():
        check_fresh(file, option)


def _note_changes(ledger: ResumeLedger, options: RunOptions) -> None:
    """Says which of the results, all of which are kept, another version of the job has made."""
    for count, cause in (
        (ledger.other_file, f"by another version of {options.job}"),
        (ledger.other_settings, "with other values of --set"),
    ):
        if count:
            print_stderr(
                f"tasker run: {count:,} results in {options.output} were made {cause};"
                " they are kept (--overwrite starts anew)"
            )


def _run(
    options: RunOptions,
    job: Job,
    config: Config[Any],
    inputs: RunInputs,
    files: OutputFiles,
    run_stats: RunStats,
    views: Views,
) -> RunEnd:
    # Slots for items that wait, and for those that run, or are completed and not written yet.
    in_flight = InFlightItems(options.max_queue + options.max_workers, options.max_queue)
    with StopSignals(in_flight.bell.call) as signals:
        # What needs descriptors comes before the manager: its workers take as many as there are.
        feed = _feed(options, job, in_flight)
        inputs.open_first()
        manager = TaskManager(config)
        try:
            reporter = views.begin(manager, run_stats, files.output.fd)
            parts = _run_parts(options, job, inputs, files, in_flight, manager, feed(manager), reporter)
            return JobRunner(parts, run_stats, signals).run()
        except BaseException:  # a bug
            manager.kill(KILL_GRACE_S)
            raise


def _run_parts(
    options: RunOptions,
    job: Job,
    inputs: RunInputs,
    files: OutputFiles,
    in_flight: InFlightItems,
    manager: TaskManager[Any],
    feed: ItemFeed,
    reporter: Reporter,
) -> RunParts:
    ledger = files.ledger
    order = InputOrder() if options.keep_order else None
    submit_options = SubmitOptions(
        priority_field=options.priority_field,
        order=order,
        pacing=None if options.interval is None else Pacing(options.interval, in_flight.pause),
        is_done=None if ledger is None else lambda item: ledger.check_off(item.index, item.fingerprint),
    )
    if ledger is not None:
        inputs.pass_over(ledger.check_off)
    return RunParts(
        manager=manager,
        submitter=Submitter(inputs, in_flight, feed, submit_options),
        inputs=inputs,
        in_flight=in_flight,
        feed=feed,
        output=files.output,
        failed=files.failed,
        reporter=reporter,
        ledger=files.ledger,
        stop_timeout=options.stop_timeout,
        ready_timeout=options.ready_timeout,
        version=str(job.version),
        order=order,
        halt=options.halt,
    )


def _finish(run_end: RunEnd, files: OutputFiles, options: RunOptions) -> None:
    """Closes the files. An error that the system reports only now fails the run as well."""
    try:
        # Not after a kill: the output may be broken, and the user wants an end. The next --resume does it.
        files.output.flush()
        if files.ledger is not None and run_end.is_orderly:
            _tidy(files.output, files.ledger, run_end, options)
        files.output.close()
        if files.failed is not None:
            files.failed.close()
    except OutputError as error:
        run_end.fail(str(error), exit_codes.FAILED)


def _tidy(output: LineFile, ledger: ResumeLedger, run_end: RunEnd, options: RunOptions) -> None:
    # Before the inputs have been read to their end, any line may still match.
    prune = options.prune and run_end.total is not None and ledger.unmatched > 0
    if prune and not run_end.total and not options.allow_empty:
        run_end.fail(
            "--prune: the inputs are empty; nothing was dropped (--allow-empty drops all results)", exit_codes.USAGE
        )
        prune = False
    if prune or ledger.superseded:
        resume.compact(output, ledger, prune)
    if prune:
        run_end.pruned = ledger.unmatched
    elif run_end.total is not None:
        run_end.kept = ledger.unmatched


def _report(run_end: RunEnd, run_stats: RunStats, options: RunOptions) -> None:
    # Silent, like a program that SIGPIPE ended.
    if run_end.exit_code == exit_codes.BROKEN_PIPE:
        return
    if not options.quiet:
        _show(summarise(run_end, run_stats, options.output or "standard output"))
    if run_end.error_message is not None:
        print_stderr(f"tasker run: error: {' '.join(run_end.error_message.split())}")


def _show(summary: Summary) -> None:
    if is_live_terminal():
        try:
            from .summary_rich import show
        except ImportError:
            pass
        else:
            show(summary)
            return
    print_stderr(plain(summary))


def _exit_if_abandoned(run_end: RunEnd) -> None:
    """Exits at once if threads were abandoned."""
    # A thread that is stuck in the task cannot be ended, and would keep the interpreter from exiting.
    if run_end.abandoned:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                continue
        os._exit(run_end.exit_code)
