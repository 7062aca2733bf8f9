"""What OpenTelemetry is shown of managers, read by the exporter of its SDK that keeps all in memory."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from tasker import Config, TaskManager
from tasker.metrics.histogram import Histogram
from tasker.testing import InlineTaskManager

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from tasker.core.reading import Reading
from tasker.exporters import catalogue
from tasker.exporters.durations import MOST, FreshDurations
from tasker.exporters.otel import register, unregister
from tasker.exporters.source import ManagerReader


def config(name: str = "shown", **options: Any) -> Config[Any]:
    """A small pool."""
    return Config(on_create=object, name=name, worker_count=2, max_worker_count=2, **options)


def nothing(ctx: Any, resource: Any) -> None:
    """The task."""


def fails(ctx: Any, resource: Any) -> None:
    """A task that fails."""
    raise ValueError


class Shown:
    """A provider whose numbers can be asked for."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader], shutdown_on_exit=False)

    def metrics(self) -> dict[str, Any]:
        """All metrics of this moment, by name."""
        data: Any = self.reader.get_metrics_data()
        if data is None:
            return {}
        return {
            metric.name: metric
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def points(self, name: str, manager: str = "shown") -> dict[Any, Any]:
        """The numbers of a metric, by what tells them apart besides the manager."""
        found = {}
        for point in self.metrics()[name].data.data_points:
            attributes = dict(point.attributes)
            if attributes.pop("tasker.manager", manager) == manager:
                found[next(iter(attributes.values()), None)] = point.value
        return found


def test_numbers_of_a_manager() -> None:
    """Outcomes are told apart by error.type, which a completed task has not."""
    shown = Shown()
    with TaskManager(config(resource_pool_size=0)) as m:
        register(m, shown.provider)
        for _ in range(20):
            m.queue_task(nothing)
        m.submit(fails).exception()
        assert shown.points("tasker.tasks") == {
            None: 20,
            "error": 1,
            "timeout": 0,
            "quarantined": 0,
            "cancelled": 0,
        }
        assert shown.points("tasker.accepted.tasks") == {None: 21}
        assert shown.points("tasker.workers")["ready"] == m.stats().active_workers
        assert shown.points("tasker.creations") == {None: m.stats().resources.created}
        assert shown.points("tasker.queue.tasks") == {"high": 0, "normal": 0, "low": 0}
        assert shown.points("tasker.task.wait.count") == {None: 21}


def test_one_reading_for_all_instruments_of_a_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs O(workers), so it is not taken anew for each of them; the next collection has a new one."""
    shown, readings = Shown(), []
    read = ManagerReader.read

    def counted(reader: ManagerReader, manager: Any) -> Reading:
        readings.append(manager.name)
        return read(reader, manager)

    monkeypatch.setattr(ManagerReader, "read", counted)
    with TaskManager(config(resource_pool_size=0)) as m:
        register(m, shown.provider, client_pool=True)
        for number in range(1, 4):
            m.queue_task(nothing)
            assert shown.points("tasker.accepted.tasks") == {None: number}
            assert readings == ["shown"] * number


def test_units_and_kinds() -> None:
    """As the conventions want them: seconds, and things that are counted in braces."""
    shown = Shown()
    with InlineTaskManager(config()) as m:
        register(m, shown.provider)
        m.queue_task(nothing)
        shown.metrics()
        metrics = shown.metrics()
    units = {name: metric.unit for name, metric in metrics.items()}
    assert units["tasker.tasks"] == units["tasker.queue.tasks"] == "{task}"
    assert units["tasker.workers"] == "{worker}"
    assert units["tasker.task.wait.duration"] == units["tasker.target.wait"] == "s"
    assert set(units) == {
        *(f"tasker.{metric.name}" for metric in (*catalogue.GAUGES, *catalogue.COUNTERS)),
        *(f"tasker.{times.name}.count" for times in catalogue.TIMES),
        *(f"tasker.{times.name}.duration" for times in catalogue.TIMES),
    }
    assert metrics["tasker.tasks"].data.is_monotonic
    assert not metrics["tasker.workers"].data.is_monotonic


def test_durations() -> None:
    """Each is recorded once, in the buckets that are advised."""
    shown = Shown()
    with InlineTaskManager(config()) as m:
        register(m, shown.provider)

        def takes(ctx: Any, resource: Any) -> None:
            m.clock.advance(2.0)

        for count in (3, 2, 0):
            for _ in range(count):
                m.queue_task(takes)
            shown.metrics()
        point = shown.metrics()["tasker.task.execution.duration"].data.data_points[0]
    assert (point.count, point.explicit_bounds) == (5, catalogue.BOUNDS)
    assert point.bucket_counts[catalogue.BOUNDS.index(3.0)] == 5
    assert dict(point.attributes) == {"tasker.manager": "shown"}
    assert point.sum == pytest.approx(10.0, rel=0.025)


def reader(name: str = "a") -> ManagerReader:
    """That of a manager which there is no more."""
    with InlineTaskManager(config(name)) as m:
        return ManagerReader(m)


def test_very_many_durations_keep_their_shape() -> None:
    """Of more than are recorded at a time, each one stands for several."""
    histogram, recorded, source = Histogram(), list[float](), reader()
    histogram.add_all([0.001] * (9 * MOST) + [1.0] * MOST)
    durations = FreshDurations(lambda reading: reading.waits, lambda value, attributes: recorded.append(value))
    assert durations.record(source, Reading(waits=histogram), {}) == 10 * MOST
    assert len(recorded) == MOST
    assert sum(value > 0.5 for value in recorded) == pytest.approx(MOST / 10, abs=1)
    assert durations.record(source, Reading(waits=histogram), {}) == 10 * MOST
    assert len(recorded) == MOST


@pytest.mark.parametrize("counts", [(3, 2), (3, 3), (3, 5)])
def test_another_manager_of_that_name_starts_again(counts: tuple[int, int]) -> None:
    """However many durations it has by now, none of them was recorded. What was noted of the first one goes with it."""
    recorded = list[float]()
    durations = FreshDurations(lambda reading: reading.waits, lambda value, attributes: recorded.append(value))
    for count in counts:
        histogram, source = Histogram(), reader()
        histogram.add_all([1.0] * count)
        durations.record(source, Reading(waits=histogram), {})
        assert len(durations._before) == 1
    assert recorded == [1.0] * sum(counts)


def test_a_manager_that_is_shown_again() -> None:
    """Its durations are not recorded a second time."""
    shown = Shown()
    with TaskManager(config()) as m:
        register(m, shown.provider)
        m.queue_task(nothing)
        assert shown.metrics()["tasker.task.wait.duration"].data.data_points[0].count == 1
        unregister(m, shown.provider)
        shown.metrics()
        register(m, shown.provider)
        m.queue_task(nothing)
        assert shown.metrics()["tasker.task.wait.duration"].data.data_points[0].count == 2


def test_managers_come_and_go() -> None:
    """Two of a provider have an attribute each; one that is taken out or collected is not shown."""
    shown = Shown()
    with TaskManager(config("a")) as a, TaskManager(config("b")) as b, TaskManager(config("a")) as twin:
        register(a, shown.provider)
        register(b, shown.provider)
        with pytest.raises(ValueError, match="'a'"):
            register(twin, shown.provider)
        a.queue_task(nothing)
        assert shown.points("tasker.tasks", "a")[None] == 1
        assert shown.points("tasker.tasks", "b")[None] == 0
        unregister(a, shown.provider)
        unregister(a, MeterProvider(shutdown_on_exit=False))
        assert shown.points("tasker.running.tasks", "a") == {}
    unregister(b, shown.provider)
    del a, b
    gc.collect()
    assert "tasker.running.tasks" not in shown.metrics()


def test_as_a_pool_of_connections() -> None:
    """By option, resources are shown as database clients show their connections."""
    shown = Shown()
    with InlineTaskManager(config(resource_pool_size=0)) as m:
        register(m, shown.provider, client_pool=True)
        seen = {}
        m.submit(nothing)
        seen["pending"] = shown.metrics()["db.client.connection.pending_requests"].data.data_points[0].value

        def looks(ctx: Any, resource: Any) -> None:
            for point in shown.metrics()["db.client.connection.count"].data.data_points:
                assert point.attributes["db.client.connection.pool.name"] == "shown"
                seen[point.attributes["db.client.connection.state"]] = point.value

        m.queue_task(looks)
        seen["max"] = shown.metrics()["db.client.connection.max"].data.data_points[0].value
    assert seen == {"pending": 1, "used": 1, "idle": 0, "max": 2}


@pytest.mark.parametrize("module", ["otel", "traces"])
def test_what_to_install(module: str) -> None:
    """Without the API, the error says which extra has it."""
    program = f"""
        import sys
        sys.modules["opentelemetry"] = None
        try:
            import tasker.exporters.{module}
        except ImportError as error:
            assert "pip install 'tasker-pool[otel]'" in str(error)
        else:
            raise SystemExit("imported")
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=50)
