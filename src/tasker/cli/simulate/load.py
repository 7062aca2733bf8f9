"""Makes a workload from the options of `tasker simulate`."""

from __future__ import annotations

import argparse
import os

from tasker.cli.exit_codes import UsageError
from tasker.simulation import arrivals, services
from tasker.simulation.creation import Creation
from tasker.simulation.traces import Trace, TraceError, read_trace
from tasker.simulation.workload import Workload

DURATION = 300.0
_SERVICE_TIME = 0.1


def workload_of(options: argparse.Namespace) -> Workload:
    """Returns the workload that the options describe. Raises ``UsageError`` if the trace cannot be read."""
    trace = _trace(options.trace)
    creation = creation_of(options)
    if trace is not None and options.workload is None:
        return _of_trace(trace, options, creation)
    name = options.workload or "poisson"
    duration = options.duration or DURATION
    if options.arrivals is not None:
        duration = options.arrivals / _mean_rate(name, options)
    period = options.period or {"spike": duration / 10, "diurnal": duration}.get(name, min(60.0, duration / 2))
    tasks, words = services_of(options, trace, follows=False)
    stream, rates = _arrivals(name, options, duration, period)
    return Workload(
        name=name,
        arrivals=stream,
        services=tasks,
        duration=duration,
        creation=creation,
        words=f"{rates} for {duration:g} s; {words}",
    )


def creation_of(options: argparse.Namespace) -> Creation:
    """Returns how resources are made."""
    return Creation(
        options.creation_time,
        options.creation_failures,
        options.outage,
        options.destroy_time,
        options.creation_spread,
    )


def _trace(path: str | None) -> Trace | None:
    if path is None:
        return None
    try:
        return read_trace(path)
    except TraceError as error:
        raise UsageError(str(error)) from error


def _of_trace(trace: Trace, options: argparse.Namespace, creation: Creation) -> Workload:
    tasks, words = services_of(options, trace, follows=True)
    # A little longer than the last arrival: the end itself is not part of the duration.
    duration = options.duration or max(trace.arrivals[-1] * (1 + 1e-9), 1e-3)
    return Workload(
        name=os.path.basename(options.trace),
        arrivals=arrivals.TraceArrivals(trace.arrivals),
        services=tasks,
        duration=duration,
        creation=creation,
        words=f"{len(trace.arrivals):,} arrivals of {options.trace}, {duration:g} s; {words}",
    )


def _mean_rate(name: str, options: argparse.Namespace) -> float:
    low, high = options.low_rate, options.rate
    if name == "spike":
        return float(0.9 * low + 0.1 * high)
    return float(high if name in ("constant", "poisson") else (low + high) / 2)


def _arrivals(name: str, options: argparse.Namespace, duration: float, period: float) -> tuple[arrivals.Arrivals, str]:
    low, high = options.low_rate, options.rate
    between = f"{low:g} to {high:g} tasks a second"
    if name == "constant":
        return arrivals.Regular(high), f"{high:g} tasks a second at equal distances"
    if name == "poisson":
        return arrivals.Poisson(high), f"{high:g} tasks a second at random"
    if name == "square":
        return arrivals.square(low, high, period), f"{low:g} and {high:g} tasks a second by turns in {period:g} s"
    if name == "ramp":
        return arrivals.ramp(low, high, duration), f"{between}, rising"
    if name == "spike":
        begin = max(0.0, (duration - period) / 2)
        words = f"{low:g} tasks a second, but {high:g} from {begin:g} s to {begin + period:g} s"
        return arrivals.spike(low, high, begin, period), words
    return arrivals.diurnal(low, high, period), f"{between} along a sine of {period:g} s"


def services_of(
    options: argparse.Namespace, trace: Trace | None, *, follows: bool
) -> tuple[services.ServiceTimes, str]:
    """Returns the service times, and words for them.

    ``follows``: the service times of a trace go with its arrivals; otherwise they are drawn from at random.
    """
    if trace is not None and trace.services is not None and options.service is None and options.service_time is None:
        made = services.TraceServiceTimes(trace.services) if follows else services.Empirical(trace.services)
        return made, f"service times of the trace, {sum(trace.services) / len(trace.services):.4g} s on average"
    mean, shape = options.service_time or _SERVICE_TIME, options.service_shape
    name = options.service or "exponential"
    words = f"{name} service times of {mean:g} s on average"
    if name == "constant":
        return services.Constant(mean), f"each takes {mean:g} s"
    if name == "exponential":
        return services.Exponential(mean), words
    if name == "lognormal":
        return services.LogNormal(mean, 1.0 if shape is None else shape), words
    return services.Pareto(mean, 1.5 if shape is None else shape), words
