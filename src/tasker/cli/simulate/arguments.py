"""The options of `tasker simulate`, with their defaults and checks."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from tasker.cli import argument_types
from tasker.cli.exit_codes import UsageError
from tasker.simulation.rules import OWN, RULES

WORKLOADS: dict[str, str] = {
    "constant": "--rate tasks a second, at equal distances",
    "poisson": "--rate tasks a second, at random (the default)",
    "square": "--low-rate and --rate by turns, --period seconds for both together",
    "ramp": "from --low-rate to --rate, steadily, over the whole time",
    "spike": "--low-rate, but --rate in the middle of the time for --period seconds",
    "diurnal": "from --low-rate to --rate and back along a sine, once in --period seconds",
}
SERVICES: dict[str, str] = {
    "constant": "all alike",
    "exponential": "memoryless (the default)",
    "lognormal": "a hump and a long tail; --service-shape is the sigma of the logarithm (1)",
    "pareto": "heavy-tailed; --service-shape is alpha (1.5)",
}
REPORT = "simulation.html"
_RATE = 100.0
_OPEN = ("trace", "workload", "rate", "low_rate", "period", "arrivals")
"""Options that do not apply to clients which wait for their answers."""
_CLOSED = ("think_time", "contention")

rate: Callable[[str], Any] = argument_types.number(float, 0.0, True, "tasks a second, more than 0")
spread: Callable[[str], Any] = argument_types.number(float, 0.0, False, "a number, at least 0")
shape: Callable[[str], Any] = argument_types.number(float, 0.0, True, "a number, more than 0")
share: Callable[[str], Any] = argument_types.number(float, 0.0, False, "a share from 0 to 1", most=1.0)


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `tasker simulate` to a parser."""
    parser.usage = "%(prog)s [options] [TRACE]"
    parser.epilog = (
        "Everything happens on virtual time: an hour of load takes seconds, and the same --seed gives the same figures."
        " Priorities, retries and what the library itself costs (microseconds a task) are left out."
    )
    _add_load(parser)
    _add_pool(parser)
    _add_creation(parser)
    _add_output(parser)


def _add_load(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the load")
    group.add_argument(
        "trace",
        nargs="?",
        metavar="TRACE",
        help="a .csv file with a column arrival_s or timestamp, and perhaps service_s; or the .jsonl results of"
        " `tasker run`. With --workload, only its service times are used",
    )
    group.add_argument("--workload", choices=WORKLOADS, metavar="NAME", help=_choices(WORKLOADS))
    group.add_argument("--rate", type=rate, metavar="R", help="tasks a second, at most (default: 100)")
    group.add_argument("--low-rate", type=rate, metavar="R", help="tasks a second, at least (default: rate / 10)")
    group.add_argument(
        "--period",
        type=argument_types.some_seconds,
        metavar="S",
        help="seconds (default: 60, or half of the time; spike: a tenth of the time; diurnal: the whole time)",
    )
    group.add_argument(
        "--duration",
        type=argument_types.some_seconds,
        metavar="S",
        help="seconds of load (default: 300; a trace: its own)",
    )
    group.add_argument(
        "--arrivals", type=argument_types.positive, metavar="N", help="about this many tasks, instead of --duration"
    )
    group.add_argument("--service", choices=SERVICES, metavar="NAME", help=f"how long tasks take: {_choices(SERVICES)}")
    group.add_argument(
        "--service-time",
        type=argument_types.some_seconds,
        metavar="S",
        help="the mean seconds of a task (default: 0.1)",
    )
    group.add_argument("--service-shape", type=shape, metavar="X", help="see --service")
    group.add_argument(
        "--clients",
        type=argument_types.positive,
        metavar="N",
        help="in place of --workload: N clients that each send a task, wait for its answer, and send the next",
    )
    group.add_argument(
        "--think-time",
        type=argument_types.seconds,
        metavar="S",
        help="--clients: the mean seconds between an answer and the next task, at random (default: 0)",
    )
    group.add_argument(
        "--contention",
        type=contention,
        metavar="BEST[:LOSS]",
        help="--clients: so many tasks can run at the same time without slowing each other down (processors, or what a"
        " database does best with); each further BEST cost the share LOSS of the throughput (default: 0)",
    )
    group.add_argument("--seed", type=argument_types.non_negative, default=0, metavar="N", help="(default: 0)")


def _add_pool(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the pool: the options of Config")
    group.add_argument("--worker-count", type=argument_types.positive, default=4, metavar="N", help="(default: 4)")
    group.add_argument("--max-workers", type=argument_types.positive, metavar="N", help="(default: 2 * worker count)")
    group.add_argument(
        "--burst-interval",
        type=argument_types.seconds,
        default=0.1,
        metavar="S",
        help="seconds between two scaling decisions; 0: no scaling (default: 0.1)",
    )
    group.add_argument(
        "--target-wait",
        type=argument_types.seconds,
        default=0.1,
        metavar="S",
        help="seconds that a task may wait (default: 0.1)",
    )
    group.add_argument(
        "--ready-timeout",
        "--creation-timeout",
        type=argument_types.some_seconds,
        metavar="S",
        help="as in Config (default: tasks wait)",
    )


def _add_creation(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("making a resource")
    group.add_argument(
        "--creation-time", type=argument_types.seconds, default=0.5, metavar="S", help="seconds it takes (default: 0.5)"
    )
    group.add_argument(
        "--creation-spread",
        type=spread,
        default=0.0,
        metavar="X",
        help="the sigma of the logarithm of that time; --creation-time is its mean (default: 0, always the same)",
    )
    group.add_argument(
        "--destroy-time", type=argument_types.seconds, default=0.0, metavar="S", help="seconds to end it (default: 0)"
    )
    group.add_argument(
        "--creation-failures", type=share, default=0.0, metavar="P", help="the share that fails, 0 to 1 (default: 0)"
    )
    group.add_argument("--outage", type=outage, metavar="FROM:UNTIL", help="seconds between which every creation fails")


def _add_output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what comes out")
    others = [name for name in RULES if name != OWN]
    group.add_argument(
        "--compare",
        type=rules,
        default=tuple(others),
        metavar="NAME,...",
        help=f"rules to compare with: {', '.join(others)}; or none (default: all)",
    )
    where = group.add_mutually_exclusive_group()
    where.add_argument(
        "--report",
        metavar="PATH",
        help=f"where the HTML report goes, an old one is replaced (default: {REPORT})",
    )
    where.add_argument("--no-report", action="store_true", help="write none")
    group.add_argument("--json", action="store_true", help="print the figures as JSON instead of a table")


def _choices(words: dict[str, str]) -> str:
    return "; ".join(f"{name}: {text}" for name, text in words.items())


def outage(text: str) -> tuple[float, float]:
    """Parses FROM:UNTIL, in seconds."""
    first, colon, last = text.partition(":")
    try:
        begin, end = float(first), float(last)
    except ValueError:
        begin, end = 0.0, -1.0
    if not colon or not begin <= end < float("inf"):
        raise argparse.ArgumentTypeError(f"must be FROM:UNTIL in seconds, FROM first, not {text!r}")
    return begin, end


def contention(text: str) -> tuple[int, float]:
    """Parses BEST or BEST:LOSS."""
    first, _, last = text.partition(":")
    try:
        best, loss = int(first), float(last or 0)
    except ValueError:
        best, loss = 0, 0.0
    if best < 1 or not 0 <= loss < float("inf"):
        raise argparse.ArgumentTypeError(f"must be BEST[:LOSS], an integer of at least 1 and a share, not {text!r}")
    return best, loss


def rules(text: str) -> tuple[str, ...]:
    """Parses names of rules, separated by commas."""
    names = () if text == "none" else tuple(text.split(","))
    for name in names:
        if name not in RULES:
            raise argparse.ArgumentTypeError(f"no rule is called {name!r}; known: {', '.join(RULES)}, and none")
    return names


def check(options: argparse.Namespace) -> None:
    """Fills in the defaults that depend on other options. Raises UsageError if options contradict each other."""
    if options.max_workers is None:
        options.max_workers = 2 * options.worker_count
    if options.max_workers < options.worker_count:
        raise UsageError(f"--max-workers {options.max_workers} must be at least --worker-count {options.worker_count}")
    _check_clients(options)
    if options.rate is None:
        options.rate = _RATE
    if options.report is None:
        options.report = REPORT
    if options.low_rate is None:
        options.low_rate = options.rate / 10
    if options.low_rate > options.rate:
        raise UsageError(f"--low-rate {options.low_rate:g} must be at most --rate {options.rate:g}")
    if options.arrivals is not None and options.duration is not None:
        raise UsageError("--arrivals and --duration exclude each other: one follows from the other and the rate")
    if options.arrivals is not None and options.trace is not None and options.workload is None:
        raise UsageError("--arrivals does not apply to a trace, which has its own; see --workload")
    if options.service == "pareto" and options.service_shape is not None and options.service_shape <= 1:
        raise UsageError(f"--service-shape {options.service_shape:g} must be more than 1 for pareto: there is no mean")


def _check_clients(options: argparse.Namespace) -> None:
    if options.clients is None:
        for name in _CLOSED:
            if getattr(options, name) is not None:
                raise UsageError(f"--{name.replace('_', '-')} needs --clients")
        return
    for name in _OPEN:
        if getattr(options, name) is not None:
            option = "a trace" if name == "trace" else f"--{name.replace('_', '-')}"
            raise UsageError(f"--clients and {option} exclude each other")
    options.think_time = options.think_time or 0.0
