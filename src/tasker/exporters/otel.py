"""Shows managers to OpenTelemetry, by its API alone, which comes with the extra ``otel``.

The SDK, which the application chooses, reads when it exports. Only durations have to be recorded one by one, since the API has no
histogram that is read: that happens then, too, and not while tasks run.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

try:
    from opentelemetry import metrics
    from opentelemetry.metrics import CallbackOptions, Meter, Observation
except ImportError as _error:
    raise ImportError("tasker.exporters.otel needs opentelemetry-api: pip install 'tasker-pool[otel]'") from _error

from tasker.core.reading import Reading

from . import catalogue
from .durations import FreshDurations
from .source import Manager, ManagerReader, Managers

__all__ = ["register", "unregister"]

_ERRORS = {"failed": "error", "timed_out": "timeout", "quarantined": "quarantined", "cancelled": "cancelled"}
"""The ``error.type`` of each outcome; a completed task has none."""
_LONGEST_S = 1.0
"""Seconds that a collection takes at most; an instrument that is asked later gets a new reading."""
_exporters: WeakKeyDictionary[Any, _Exporter] = WeakKeyDictionary()
_lock = threading.Lock()


def register(manager: Manager, meter_provider: Any = None, *, client_pool: bool = False) -> None:
    """Shows a manager by a meter ``tasker`` of ``meter_provider`` (default: the global one) from now on, with its ``Config.name`` as
    the attribute ``tasker.manager``. It does not keep the manager alive, and one that is collected is not shown any more.

    ``client_pool``: shows its resources as ``db.client.connection.*`` too, for dashboards that expect these; the conventions for
    them may still change. For all managers of a provider, by the first call.

    Raises ``ValueError`` if another manager of the same name is shown there and goes on. Thread-safe.
    """
    provider = metrics.get_meter_provider() if meter_provider is None else meter_provider
    with _lock:
        exporter = _exporters.get(provider)
        if exporter is None:
            exporter = _Exporter()
            exporter.managers.add(manager)
            exporter.instrument(provider.get_meter("tasker"), client_pool=client_pool)
            _exporters[provider] = exporter
        else:
            exporter.managers.add(manager)


def unregister(manager: Manager, meter_provider: Any = None) -> None:
    """Shows a manager no more. Harmless if it is not shown. Thread-safe."""
    provider = metrics.get_meter_provider() if meter_provider is None else meter_provider
    with _lock:
        exporter = _exporters.get(provider)
    if exporter is not None:
        exporter.managers.remove(manager)


Callback = Callable[[CallbackOptions], Iterable[Observation]]


Readings = list[tuple[ManagerReader, Reading]]


class _Exporter:
    """The managers of one provider."""

    def __init__(self) -> None:
        self.managers = Managers()
        self._last: tuple[float, Readings, set[object]] = (-math.inf, [], set())
        """The last readings: when they were taken, and which instruments have got them."""

    def _read(self, instrument: object) -> Readings:
        """Returns readings for an instrument: the same for all that are asked in one collection, in which each is asked once."""
        # Without a lock, as a reading may wait for an event loop: in two threads at once, at worst both read.
        at, readings, asked = self._last
        if instrument in asked or monotonic() - at > _LONGEST_S:
            readings, asked = self.managers.each(), set()
            self._last = (monotonic(), readings, asked)
        asked.add(instrument)
        return readings

    def instrument(self, meter: Meter, *, client_pool: bool) -> None:
        """Makes the instruments."""
        for metric in (*catalogue.GAUGES, *catalogue.COUNTERS):
            # What can be added up over managers and processes is a sum, as the conventions have it.
            make: Callable[..., object] = meter.create_observable_up_down_counter
            if metric.total:
                make = meter.create_observable_counter
            elif metric.unit == "s":
                make = meter.create_observable_gauge
            make(f"tasker.{metric.name}", [partial(self._observe, metric)], metric.unit, metric.help)
        for times in catalogue.TIMES:
            histogram = meter.create_histogram(
                f"tasker.{times.name}.duration",
                "s",
                times.help,
                explicit_bucket_boundaries_advisory=catalogue.BOUNDS,
            )
            durations = FreshDurations(times.read, histogram.record)
            name, text = f"tasker.{times.name}.count", f"How many of these there were: {times.help}"
            meter.create_observable_counter(name, [partial(self._count, durations)], "{duration}", text)
        if client_pool:
            self._as_client_pool(meter)

    def _observe(self, metric: catalogue.Metric, options: CallbackOptions) -> Iterator[Observation]:
        for source, reading in self._read(metric.name):
            for value, number in metric.read(source, reading):
                attributes = {"tasker.manager": source.name}
                if metric.label == "outcome":
                    attributes |= {"error.type": _ERRORS[value]} if value in _ERRORS else {}
                elif metric.label:
                    attributes[f"tasker.{metric.label}"] = value
                yield Observation(number, attributes)

    def _count(self, durations: FreshDurations, options: CallbackOptions) -> Iterator[Observation]:
        for source, reading in self._read(durations):
            attributes = {"tasker.manager": source.name}
            yield Observation(durations.record(source, reading, attributes), attributes)

    def _as_client_pool(self, meter: Meter) -> None:
        meter.create_observable_up_down_counter(
            "db.client.connection.count",
            [self._connections],
            "{connection}",
            "Resources, by whether a task uses them.",
        )
        meter.create_observable_up_down_counter(
            "db.client.connection.pending_requests", [self._pending], "{request}", "Tasks that wait to be started."
        )
        meter.create_observable_up_down_counter(
            "db.client.connection.max", [self._most], "{connection}", "Workers that there should be."
        )

    def _connections(self, options: CallbackOptions) -> Iterator[Observation]:
        for source, reading in self._read("connections"):
            alive = reading.stats.resources.alive
            used = min(alive, reading.stats.running_tasks)
            for state, count in (("used", used), ("idle", alive - used)):
                yield Observation(count, {**_pool(source.name), "db.client.connection.state": state})

    def _pending(self, options: CallbackOptions) -> Iterator[Observation]:
        for source, reading in self._read("pending"):
            yield Observation(sum(reading.queued), _pool(source.name))

    def _most(self, options: CallbackOptions) -> Iterator[Observation]:
        for source, reading in self._read("most"):
            yield Observation(reading.target, _pool(source.name))


def _pool(name: str) -> dict[str, str]:
    return {"db.client.connection.pool.name": name}
