"""The options of `tasker run`, with their defaults and checks."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

from tasker.cli import formats
from tasker.cli.argument_types import (
    address,
    amount,
    delimiter,
    json_object,
    non_negative,
    positive,
    seconds,
    setting,
    some_seconds,
)
from tasker.cli.descriptors import as_named
from tasker.cli.exit_codes import UsageError

from .config_options import add_config_options, config_fields, says_of_items
from .halting import Halt, halt
from .pacing import rate

BACKENDS = ("thread", "process", "ray")
RAY_OPTIONS = ("address", "num_cpus", "num_gpus", "resources")
LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
DEFAULT_WORKERS = 4
QUEUE_PER_WORKER = 25
QUEUE_PER_PROCESS = 250
"""More, because tiny items are sent to a child by the hundred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The options of a run, checked."""

    job: str
    inputs: tuple[str, ...]
    format: str | None
    named_inputs: dict[str, tuple[str, ...]]  # by format: the inputs that its own option names
    reader_options: dict[str, dict[str, Any]]  # by format: what its reader gets besides the path
    delimiter: bytes | None
    chunk: int | None
    allow_empty: bool
    output: str | None
    resume: bool
    prune: bool
    overwrite: bool
    failed: str | None
    workers: int
    max_workers: int
    burst_interval: float
    retries: int
    retry_delay: float
    once: bool
    timeout: float | None
    interval: float | None  # seconds between two items that are handed to the workers
    halt: Halt | None
    keep_order: bool
    skip: int
    limit: int | None
    dry_run: bool
    priority_field: str | None
    max_queue: int
    config: dict[str, Any]  # what Config is given besides
    stop_timeout: float | None
    ready_timeout: float
    backend: str
    preload: tuple[str, ...]
    ray: dict[str, Any]  # what RayBackend is given
    settings: dict[str, Any]
    log_level: str
    quiet: bool
    progress_interval: float
    live: bool
    dashboard: tuple[str | None, int | None] | None  # host and port, None: the default

    @property
    def has_lanes(self) -> bool:
        """Whether several items may share a task of the manager. Its time limits are those of one item."""
        own = self.timeout is not None or says_of_items(self.config)
        return self.backend != "ray" and self.chunk is None and not own


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `tasker run` to a parser."""
    parser.usage = "%(prog)s [options] JOB.py [INPUT ...]"
    _add_inputs(parser)
    _add_output(parser)
    _add_workers(parser)
    _add_tasks(parser)
    add_config_options(parser)
    _add_messages(parser)
    # An option that looks like a number has argparse take each negative number for an option, which would then miss its value.
    parser._has_negative_number_optionals.clear()


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what to run")
    group.add_argument(
        "job",
        nargs="?",  # not required: argparse would report INPUT as missing, too
        metavar="JOB.py",
        help="Python file that defines task(ctx, resource, item), and if it needs them"
        " on_create, on_destroy (or resource) and check_health",
    )
    group.add_argument("inputs", nargs="*", metavar="INPUT", help="file of items; - or none: standard input")
    for input_format in formats.FORMATS.values():
        input_format.add_options(group)
    choices = [one.name for one in formats.selectable()]
    group.add_argument("--format", choices=choices, help=formats.format_help())
    group.add_argument(
        "--delimiter",
        type=delimiter,
        metavar="TEXT",
        help=r"what ends an item, in place of the end of line; of CSV, what separates the fields (\n, \t, \0 and \xNN as in Python)",
    )
    group.add_argument(
        "-0",
        "--null",
        dest="delimiter",
        action="store_const",
        const=b"\0",
        help=r"the same as --delimiter '\0', as after find -print0",
    )
    group.add_argument("--allow-empty", action="store_true", help="go on although no file matches a glob")
    group.add_argument("--skip", type=non_negative, default=0, metavar="N", help="pass over the first N items")
    group.add_argument("--limit", type=positive, metavar="N", help="end after N items, those of --resume included")
    group.add_argument("--dry-run", action="store_true", help="show the items that would be run, and write no file")
    group.add_argument(
        "--set",
        action="append",
        default=[],
        type=setting,
        metavar="NAME=VALUE",
        help="set the job file's global NAME, and settings['NAME']; VALUE is JSON, or else text",
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("where results go")
    group.add_argument("--output", metavar="FILE", help="results, JSON lines (default: stdout)")
    group.add_argument("--resume", action="store_true", help="skip the items that --output already has as done")
    group.add_argument(
        "--prune", action="store_true", help="with --resume: drop the results that match none of the inputs"
    )
    group.add_argument(
        "--overwrite",
        "--force",
        action="store_true",
        help="start anew even if --output or --failed already holds something",
    )
    group.add_argument("--keep-order", action="store_true", help="results in the order of the inputs")
    group.add_argument("--failed", metavar="FILE", help="failed inputs, in their own format, to be fed in again")


def _add_workers(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("workers")
    group.add_argument(
        "--workers",
        type=positive,
        default=DEFAULT_WORKERS,
        metavar="N",
        help="base workers (default: 4)",
    )
    group.add_argument(
        "--max-workers",
        type=positive,
        metavar="N",
        help="with burst workers (default: twice --workers)",
    )
    group.add_argument(
        "--backend",
        choices=BACKENDS,
        default="thread",
        help="where each worker's resource lives: in a thread, in a process, or in an actor of a Ray cluster (default: thread)",
    )
    group.add_argument(
        "--preload",
        action="append",
        default=[],
        metavar="MODULE",
        help="with --backend process: a module to import once, before processes are forked (may be repeated)",
    )
    _add_ray(group)
    group.add_argument(
        "--burst-interval",
        type=seconds,
        default=0.1,
        metavar="S",
        help="how often the number of workers is adapted; 0: never (default: 0.1)",
    )
    group.add_argument(
        "--ready-timeout",
        "--creation-timeout",
        type=some_seconds,
        default=60.0,
        metavar="S",
        help="give up when no resource could be made for this long (default: 60)",
    )
    group.add_argument(
        "--stop-timeout",
        type=seconds,
        metavar="S",
        help="after the first Ctrl-C, how long to wait for running items (default: for ever)",
    )


def _add_ray(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="with --backend ray: the cluster; auto: the one on this machine (default: start one that ends with the run)",
    )
    group.add_argument("--num-cpus", type=amount, metavar="N", help="with --backend ray: processors of each worker")
    group.add_argument("--num-gpus", type=amount, metavar="N", help="with --backend ray: GPUs of each worker")
    group.add_argument(
        "--resources",
        type=json_object,
        metavar="JSON",
        help="with --backend ray: custom resources of each worker, such as '{\"slot\": 1}'",
    )


def _add_tasks(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("tasks")
    group.add_argument(
        "--retries",
        type=non_negative,
        default=3,
        metavar="N",
        help="further attempts after an error that check_health calls unhealthy (default: 3)",
    )
    group.add_argument(
        "--retry-delay",
        type=seconds,
        default=0.0,
        metavar="S",
        help="the longest pause before the second attempt; doubled for each further one, and random below (default: 0)",
    )
    group.add_argument(
        "--timeout",
        type=some_seconds,
        metavar="S",
        help="how long each attempt of an item may take (default: for ever)",
    )
    group.add_argument(
        "--rate",
        type=rate,
        metavar="N[/UNIT]",
        help="hand at most N items to the workers in a second, or in another UNIT: s, m or h",
    )
    group.add_argument(
        "--delay", type=seconds, default=0.0, metavar="S", help="between two items that are handed to the workers"
    )
    group.add_argument(
        "--halt",
        type=halt,
        metavar="N|N%",
        help="stop once so many items have failed, or so many percent of those completed, of at least 10",
    )
    group.add_argument(
        "--chunk", type=positive, metavar="N", help="call task_many(ctx, resource, items) with N items at a time"
    )
    group.add_argument("--once", action="store_true", help="never start an item a second time")
    with_fields = formats.titles_with_fields(", ")
    group.add_argument("--priority-field", metavar="NAME", help=f"field with high|normal|low or 0..2 ({with_fields})")
    group.add_argument(
        "--max-queue",
        type=positive,
        metavar="N",
        help="items read ahead of the workers (default: 25 for each of --max-workers; with --backend process 250)",
    )


def _add_messages(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is shown")
    group.add_argument("--quiet", action="store_true", help="nothing but errors")
    group.add_argument(
        "--progress-interval",
        type=some_seconds,
        default=5.0,
        metavar="S",
        help="between progress lines when standard error is not a terminal (default: 5)",
    )
    group.add_argument(
        "--live", action="store_true", help="on a terminal, show each worker, rates, failures and decisions"
    )
    group.add_argument(
        "--dashboard",
        nargs="?",
        type=address,
        const=(None, None),
        metavar="HOST:PORT",
        help="serve a live page while it runs (default: 127.0.0.1:8321)",
    )
    group.add_argument("--log-level", choices=LOG_LEVELS, help="default: warning, with --quiet error")


def checked(parsed: argparse.Namespace) -> RunOptions:
    """Returns the options. Raises UsageError if two of them contradict each other."""
    most = parsed.max_workers if parsed.max_workers is not None else 2 * parsed.workers
    _check_files(parsed)
    _check_workers(parsed, most)
    _check_priority_field(parsed)
    if parsed.live and parsed.quiet:
        raise UsageError("--live and --quiet exclude each other")
    named_inputs = {one.name: one.named_inputs(parsed) for one in formats.FORMATS.values()}
    return RunOptions(
        job=parsed.job,
        inputs=tuple(map(as_named, parsed.inputs)) if parsed.inputs or any(named_inputs.values()) else ("-",),
        format=parsed.format,
        named_inputs=named_inputs,
        reader_options={one.name: one.option_values(parsed) for one in formats.FORMATS.values()},
        delimiter=parsed.delimiter,
        chunk=parsed.chunk,
        allow_empty=parsed.allow_empty,
        output=None if parsed.output == "-" else parsed.output,
        resume=parsed.resume,
        prune=parsed.prune,
        overwrite=parsed.overwrite,
        failed=parsed.failed,
        workers=parsed.workers,
        max_workers=most,
        burst_interval=parsed.burst_interval,
        retries=parsed.retries,
        retry_delay=parsed.retry_delay,
        once=parsed.once,
        timeout=parsed.timeout,
        interval=max(filter(None, (parsed.rate, parsed.delay)), default=None),
        halt=parsed.halt,
        keep_order=parsed.keep_order,
        skip=parsed.skip,
        limit=parsed.limit,
        dry_run=parsed.dry_run,
        priority_field=parsed.priority_field,
        max_queue=parsed.max_queue or _queue_per_worker(parsed) * most,
        config=config_fields(parsed),
        stop_timeout=parsed.stop_timeout,
        ready_timeout=parsed.ready_timeout,
        backend=parsed.backend,
        preload=tuple(parsed.preload),
        ray=_given_to_ray(parsed),
        settings=dict(parsed.set),
        log_level=parsed.log_level or ("error" if parsed.quiet else "warning"),
        quiet=parsed.quiet,
        progress_interval=parsed.progress_interval,
        live=parsed.live,
        dashboard=parsed.dashboard,
    )


def _queue_per_worker(parsed: argparse.Namespace) -> int:
    usual = QUEUE_PER_PROCESS if parsed.backend == "process" else QUEUE_PER_WORKER
    return max(usual, 2 * (parsed.chunk or 0))


def _check_files(parsed: argparse.Namespace) -> None:
    if parsed.job is None:
        raise UsageError("no JOB.py given (see tasker run --help)")
    if parsed.resume and parsed.output in (None, "-"):
        raise UsageError("--resume needs --output FILE, the results to go on from")
    if parsed.prune and not parsed.resume:
        raise UsageError("--prune needs --resume")
    if parsed.prune and (parsed.skip or parsed.limit is not None):
        raise UsageError("--prune needs all inputs: not with --skip or --limit")
    if parsed.resume and parsed.overwrite:
        raise UsageError("--resume and --overwrite exclude each other")
    if [*map(as_named, parsed.inputs)].count("-") > 1:
        raise UsageError("standard input (-) can be read only once")


def _check_workers(parsed: argparse.Namespace, most: int) -> None:
    if most < parsed.workers:
        raise UsageError(f"--max-workers {most} is less than --workers {parsed.workers}")
    if parsed.chunk and parsed.max_queue and parsed.max_queue < parsed.chunk:
        raise UsageError(f"--max-queue {parsed.max_queue} is less than --chunk {parsed.chunk}")
    if parsed.preload and parsed.backend != "process":
        raise UsageError("--preload needs --backend process")
    for name in _given_to_ray(parsed):
        if parsed.backend != "ray":
            raise UsageError(f"--{name.replace('_', '-')} needs --backend ray")


def _given_to_ray(parsed: argparse.Namespace) -> dict[str, Any]:
    """Returns the options of ``RayBackend``, which have the same names, as far as they were given."""
    return {name: value for name in RAY_OPTIONS if (value := getattr(parsed, name)) is not None}


def _check_priority_field(parsed: argparse.Namespace) -> None:
    if parsed.priority_field is None:
        return
    chosen = [one for one in formats.FORMATS.values() if one.named_inputs(parsed)]
    if parsed.format is not None:
        chosen.append(formats.FORMATS[parsed.format])
    formats.check_fields_possible(chosen)
