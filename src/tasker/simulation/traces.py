"""Traces: arrivals and service times from a CSV file or from the results of a ``tasker run``.

A CSV file has a header. One column is the arrival of each task: ``arrival_s`` (seconds) or ``timestamp`` (ISO 8601, or
seconds since 1970). A column ``service_s`` (seconds) may be its service time. Other columns are ignored. The first
arrival becomes second 0; lines may be in any order.

The results of ``tasker run`` (``.jsonl``) contain the wait, the execution time and the worker of each item.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class TraceError(Exception):
    """A trace can't be read. The message names the file and, if there is one, the line and the field."""


@dataclass(frozen=True, slots=True)
class Trace:
    """The tasks of a file, in the order of arrival."""

    arrivals: tuple[float, ...]
    """Seconds; the first is 0."""
    services: tuple[float, ...] | None
    """Seconds, one for each arrival; None if the file has no service times."""


def read_trace(path: str) -> Trace:
    """Reads a ``.csv`` or ``.jsonl`` file. Raises ``TraceError`` if it can't be read or is not a trace."""
    suffix = Path(path).suffix.lower()
    if suffix not in (".csv", ".jsonl"):
        raise TraceError(f"{path}: a trace is a .csv file of arrivals, or the .jsonl results of `tasker run`")
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            pairs = list(_from_csv(file, path) if suffix == ".csv" else _from_results(file, path))
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise TraceError(f"{path}: {error}") from error
    if not pairs:
        raise TraceError(f"{path}: there is no task in it")
    pairs.sort(key=lambda pair: pair[0])
    first = pairs[0][0]
    services = tuple(service for _, service in pairs if service is not None)
    return Trace(tuple(arrival - first for arrival, _ in pairs), services or None)


def _from_csv(file: Any, path: str) -> Iterator[tuple[float, float | None]]:
    reader = csv.DictReader(file, strict=True)
    names = reader.fieldnames or []
    when = next((name for name in ("arrival_s", "timestamp") if name in names), None)
    if when is None:
        found = ", ".join(names) or "nothing"
        raise TraceError(f"{path}:1: the header must name a column arrival_s or timestamp; found: {found}")
    moment = _moment if when == "timestamp" else _seconds
    for row in reader:
        place = f"{path}:{reader.line_num}"
        arrival = moment(row[when], place, when)
        yield arrival, _service(row["service_s"], place, "service_s") if "service_s" in names else None


def _from_results(file: Any, path: str) -> Iterator[tuple[float, float | None]]:
    # When the items were started is not asked: one file may hold several runs, with days between them, and older ones do not
    # say it. A run keeps its workers busy from the first item to the last, so the items of each worker are laid end to end,
    # which gives the starts, and the waits before them the arrivals.
    busy_until: defaultdict[str, float] = defaultdict(float)
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        record = _record(line, place)
        if record.get("execution_s") is None:  # never started: a bad input, or the run was killed
            continue
        wait = _service(record.get("wait_s"), place, "wait_s")
        service = _service(record["execution_s"], place, "execution_s")
        worker = str(record.get("worker"))
        started = busy_until[worker]
        busy_until[worker] += service
        yield started - wait, service


def _record(line: str, place: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise TraceError(f"{place}: this is not JSON: {error}") from error
    if not isinstance(record, dict) or "execution_s" not in record:
        raise TraceError(f"{place}: field execution_s is missing; is this a result of `tasker run`?")
    return record


def _seconds(value: object, place: str, field: str) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or isinstance(value, bool):
        raise TraceError(f"{place}: field {field} must be a number of seconds, not {value!r}")
    return number


def _service(value: object, place: str, field: str) -> float:
    number = _seconds(value, place, field)
    if number < 0:
        raise TraceError(f"{place}: field {field} must be at least 0 seconds, not {value!r}")
    return number


def _moment(value: object, place: str, field: str) -> float:
    text = str(value).strip()
    try:
        return _seconds(text, place, field)
    except TraceError:
        pass
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        wanted = "a date and time (ISO 8601) or seconds since 1970"
        raise TraceError(f"{place}: field {field} must be {wanted}, not {value!r}") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
