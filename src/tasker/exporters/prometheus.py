"""Shows managers to Prometheus, by prometheus-client, which comes with the extra ``prometheus``.

Nothing is counted for it: a scrape reads what the managers count anyway.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

try:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
    from prometheus_client.registry import REGISTRY, Collector, CollectorRegistry
except ImportError as _error:
    raise ImportError(
        "tasker.exporters.prometheus needs prometheus-client: pip install 'tasker-pool[prometheus]'"
    ) from _error

from tasker.metrics.histogram import Histogram

from . import catalogue
from .source import Manager, Managers

__all__ = ["ManagersCollector", "register", "unregister"]

_collectors: WeakKeyDictionary[CollectorRegistry, ManagersCollector] = WeakKeyDictionary()
_lock = threading.Lock()


def register(
    manager: Manager, registry: CollectorRegistry = REGISTRY, *, buckets: Sequence[float] | None = None
) -> ManagersCollector:
    """Shows a manager in ``registry`` from now on, with its ``Config.name`` as the label ``manager``. Returns the registry's
    collector, which shows all its managers.

    It does not keep the manager alive, and one that is collected is not shown any more. A manager that has ended is, with its
    last numbers, until it is collected or another one of its name is registered.

    ``buckets``: the bounds of the buckets of all histograms, in seconds; for all managers of the registry, by the first call.
    Default: 0.0001 to 1000, with two to each power of ten. The numbers come from finer buckets, so a duration within 2.5% of a
    bound may be in the bucket beside.

    Raises ``ValueError`` if another manager of the same name is shown there and goes on, or for ``buckets`` that are not
    positive and increasing. Thread-safe.
    """
    with _lock:
        collector = _collectors.get(registry)
        if collector is None:
            collector = ManagersCollector(catalogue.BOUNDS if buckets is None else buckets)
            collector.managers.add(manager)
            registry.register(collector)
            _collectors[registry] = collector
        else:
            collector.managers.add(manager)
        return collector


def unregister(manager: Manager, registry: CollectorRegistry = REGISTRY) -> None:
    """Shows a manager no more. Harmless if it is not shown. Thread-safe."""
    with _lock:
        collector = _collectors.get(registry)
    if collector is not None:
        collector.managers.remove(manager)


class ManagersCollector(Collector):
    """Reads its managers at each scrape."""

    def __init__(self, buckets: Sequence[float]) -> None:
        self.managers: Managers = Managers()
        self.buckets: tuple[float, ...] = _checked(buckets)
        self._edges = [*map(str, self.buckets), "+Inf"]

    def describe(self) -> list[Metric]:
        """Returns the families without numbers, so that a registry knows their names without a reading."""
        return [*self._families().values()]

    def collect(self) -> Iterator[Metric]:
        """Yields the families with the numbers of this moment. Costs O(workers)."""
        families = self._families()
        for source, reading in self.managers.each():
            for metric in (*catalogue.GAUGES, *catalogue.COUNTERS):
                for value, number in metric.read(source, reading):
                    families[metric.name].add_metric([source.name, value] if metric.label else [source.name], number)
            for times in catalogue.TIMES:
                self._add(families[times.name], source.name, times.read(reading))
        yield from families.values()

    def _families(self) -> dict[str, Any]:
        families: dict[str, Any] = {}
        for metric in (*catalogue.GAUGES, *catalogue.COUNTERS):
            kind = CounterMetricFamily if metric.total else GaugeMetricFamily
            labels = ["manager", metric.label] if metric.label else ["manager"]
            seconds = "_seconds" if metric.unit == "s" else ""
            families[metric.name] = kind(_name(metric.name) + seconds, metric.help, labels=labels)
        for times in catalogue.TIMES:
            families[times.name] = HistogramMetricFamily(_name(times.name) + "_seconds", times.help, labels=["manager"])
        return families

    def _add(self, family: Any, name: str, histogram: Histogram) -> None:
        counts = [*histogram.at_most(self.buckets), histogram.count]
        family.add_metric([name], list(zip(self._edges, counts, strict=True)), histogram.total)


def _name(dotted: str) -> str:
    return "tasker_" + dotted.replace(".", "_")


def _checked(buckets: Sequence[float]) -> tuple[float, ...]:
    bounds = tuple(float(bound) for bound in buckets)
    increase = all(low < high for low, high in zip((0.0, *bounds), bounds, strict=False))
    if not bounds or not increase or math.isinf(bounds[-1]):
        raise ValueError(f"buckets: positive, finite and increasing bounds in seconds, got {buckets!r}")
    return bounds
