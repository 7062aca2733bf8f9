"""What Prometheus is shown of managers."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import textwrap
import urllib.request
from typing import Any

import pytest

from support.gates import Gate
from tasker import AsyncTaskManager, Config, TaskManager, TaskTimeout
from tasker.testing import InlineTaskManager

pytest.importorskip("prometheus_client")

from prometheus_client import CollectorRegistry, generate_latest

from tasker.exporters.prometheus import register, unregister


def config(name: str, **options: Any) -> Config[Any]:
    """A small pool."""
    return Config(on_create=object, name=name, **{"worker_count": 2, "max_worker_count": 2, **options})


def nothing(ctx: Any, resource: Any) -> None:
    """The task."""


def fails(ctx: Any, resource: Any) -> None:
    """A task that fails."""
    raise ValueError


def number(registry: CollectorRegistry, name: str, manager: str = "shown", **labels: str) -> float | None:
    """One number, as a scrape finds it."""
    return registry.get_sample_value(f"tasker_{name}", {"manager": manager, **labels})


def test_numbers_of_a_manager() -> None:
    """Outcomes, workers and times are those of stats() and metrics()."""
    registry = CollectorRegistry()
    with TaskManager(config("shown", resource_pool_size=0)) as m:
        register(m, registry)
        futures = [m.submit(nothing) for _ in range(50)] + [m.submit(fails) for _ in range(3)]
        for future in futures:
            future.exception()
        gate = Gate()
        held = [m.submit(lambda ctx, resource: gate.pass_through()) for _ in range(2)]
        gate.wait_arrivals(2)
        late = m.submit(nothing, deadline=0.01)  # no worker is free: it ends in the queue
        assert isinstance(late.exception(), TaskTimeout)
        gate.open()
        for future in held:
            future.result()
        outcomes = {
            kind: number(registry, "tasks_total", outcome=kind)
            for kind in ("completed", "failed", "timed_out", "quarantined", "cancelled")
        }
        assert outcomes == {"completed": 52, "failed": 3, "timed_out": 1, "quarantined": 0, "cancelled": 0}
        assert number(registry, "accepted_tasks_total") == 56
        assert number(registry, "workers", state="ready") == m.stats().active_workers
        assert number(registry, "workers_target") == 2
        assert number(registry, "creations_total") == m.stats().resources.created
        assert number(registry, "target_wait_seconds") == 0.1
        assert number(registry, "task_execution_seconds_count") == 55
        assert number(registry, "task_execution_seconds_bucket", le="1000.0") == 55
        assert number(registry, "creation_seconds_bucket", le="+Inf") == m.stats().resources.created
    assert number(registry, "tasks_total", outcome="completed") == 52
    assert number(registry, "workers", state="ready") == 0


def test_what_goes_wrong() -> None:
    """Retries, replacements, failed creations and quarantined tasks are counted."""
    registry = CollectorRegistry()
    errors = [ConnectionError("away")]

    def create() -> object:
        if errors:
            raise errors.pop()
        return object()

    settings: Config[Any] = Config(
        on_create=create,
        name="shown",
        worker_count=1,
        max_worker_count=1,
        resource_pool_size=0,
        check_health=lambda error: False,
        quarantine_after=2,
    )
    with InlineTaskManager(settings) as m:
        register(m, registry)
        assert m.submit(fails).exception() is not None
        assert number(registry, "creation_failures_total") == 1
        assert number(registry, "tasks_total", outcome="quarantined") == 1
        assert number(registry, "tasks_total", outcome="failed") == 0
        assert number(registry, "retries_total") == m.metrics().total_tasks_retried > 0
        assert number(registry, "replacements_total", reason="unhealthy") == m.stats().replaced_workers > 0


def test_the_queue_by_priority() -> None:
    """What waits is shown by priority."""
    registry = CollectorRegistry()
    with InlineTaskManager(config("shown")) as m:
        register(m, registry)
        m.submit(nothing, priority=2)
        m.submit(nothing, priority=0)
        m.submit(nothing, priority=0)
        shown = [number(registry, "queue_tasks", priority=name) for name in ("high", "normal", "low")]
        assert shown == [2, 0, 1]


async def shown_from_another_thread(registry: CollectorRegistry) -> bytes:
    """Scraped while the loop runs."""
    async with AsyncTaskManager(config("loop")) as m:
        register(m, registry)
        for _ in range(20):
            await m.queue_task(nothing)
        return await asyncio.to_thread(generate_latest, registry)


def test_an_event_loop_is_read_from_another_thread() -> None:
    """As the HTTP server of prometheus-client does; before the start all is zero."""
    registry = CollectorRegistry()
    idle = AsyncTaskManager(config("idle"))
    register(idle, registry)
    text = asyncio.run(shown_from_another_thread(registry)).decode()
    assert 'tasker_tasks_total{manager="loop",outcome="completed"} 20.0' in text
    assert 'tasker_workers_target{manager="idle"} 0.0' in text


def test_counters_never_fall() -> None:
    """A reading in the middle of an outcome may count less than the one before: then the former number is shown."""
    registry = CollectorRegistry()
    with InlineTaskManager(config("shown")) as m:
        register(m, registry)
        for _ in range(5):
            m.queue_task(nothing)
        assert number(registry, "tasks_total", outcome="completed") == 5
        shard = next(iter(m._engine.counters.shards.values()))
        shard.meter.failed += 1  # counted, while the task is not done yet
        assert number(registry, "tasks_total", outcome="completed") == 5
        shard.meter.failed -= 1


def test_several_managers_in_one_registry() -> None:
    """Each has its label; two of one name are refused while the first one goes on."""
    registry = CollectorRegistry()
    with TaskManager(config("a")) as a, TaskManager(config("b")) as b, TaskManager(config("a")) as twin:
        collector = register(a, registry)
        assert register(b, registry) is collector
        assert register(a, registry) is collector
        a.queue_task(nothing)
        with pytest.raises(ValueError, match="'a'"):
            register(twin, registry)
        assert number(registry, "tasks_total", "a", outcome="completed") == 1
        assert number(registry, "tasks_total", "b", outcome="completed") == 0
        unregister(b, registry)
        unregister(b, registry)
        unregister(b, CollectorRegistry())
        assert number(registry, "workers_target", "b") is None
        a.stop()
        register(twin, registry)
        assert number(registry, "tasks_total", "a", outcome="completed") == 0


def test_a_collected_manager_is_not_shown() -> None:
    """The exporter keeps no manager alive."""
    registry = CollectorRegistry()
    m = TaskManager(config("gone"))
    register(m, registry)
    m.stop()
    assert number(registry, "workers_target", "gone") == 0
    del m
    gc.collect()
    assert number(registry, "workers_target", "gone") is None
    with TaskManager(config("gone")) as again:
        register(again, registry)


def test_a_manager_that_is_collected_in_the_middle_of_a_scrape() -> None:
    """It is shown or it is not; the others are in any case."""
    kept: list[Any] = []

    class Name(str):
        """Looking it up takes as long as another thread needs to give up the manager."""

        __slots__ = ()

        def __hash__(self) -> int:
            kept.clear()
            return super().__hash__()

    registry = CollectorRegistry()
    with TaskManager(config("other")) as other:
        register(other, registry)
        kept.append(InlineTaskManager(config(Name("brief"))))
        manager = kept[0]
        register(manager, registry)
        manager.stop()
        kept.append(manager)
        del manager
        assert number(registry, "workers_target", "other") is not None
        assert number(registry, "running_tasks", "other") == 0


def test_a_manager_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """As where its event loop is stuck: the others are shown all the same, and the next scrape asks it again."""

    def too_busy() -> None:
        raise RuntimeError("the event loop of the manager did not answer within 5 seconds")

    registry = CollectorRegistry()
    with TaskManager(config("stuck")) as stuck, TaskManager(config("other")) as other:
        register(stuck, registry)
        register(other, registry)
        with monkeypatch.context() as patch:
            patch.setattr(stuck, "stats", too_busy)
            assert number(registry, "workers_target", "other") == 2
            assert number(registry, "workers_target", "stuck") is None
        assert number(registry, "workers_target", "stuck") == 2
    assert "manager stuck can't be read now" in caplog.text


def test_names_are_known_without_a_reading() -> None:
    """A registry that has two collectors of one name refuses the second one."""
    registry = CollectorRegistry()
    with TaskManager(config("a")) as m:
        collector = register(m, registry)
        assert {family.name for family in collector.describe()} == {family.name for family in collector.collect()}
        assert not any(family.samples for family in collector.describe())
        with pytest.raises(ValueError, match="uplicate"):
            registry.register(type(collector)(collector.buckets))


@pytest.mark.parametrize("buckets", [(), (0.0, 1.0), (1.0, 1.0), (2.0, 1.0), (1.0, float("inf"))])
def test_wrong_buckets(buckets: tuple[float, ...]) -> None:
    """They have to be positive and to increase."""
    with InlineTaskManager(config("a")) as m, pytest.raises(ValueError, match="buckets"):
        register(m, CollectorRegistry(), buckets=buckets)


def test_own_buckets() -> None:
    """They replace those of all histograms."""
    registry = CollectorRegistry()
    with InlineTaskManager(config("shown")) as m:
        register(m, registry, buckets=(0.5,))
        m.queue_task(nothing)
        assert number(registry, "task_wait_seconds_bucket", le="0.5") == 1
        assert number(registry, "task_wait_seconds_bucket", le="1.0") is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_does_not_show_the_parents_managers() -> None:
    """A server that forks its workers after it has made a manager would else count its tasks once in each of them."""
    program = """
        import os
        from prometheus_client import CollectorRegistry, generate_latest
        from tasker import Config, TaskManager
        from tasker.exporters.prometheus import register

        registry = CollectorRegistry()
        parent = TaskManager(Config(on_create=object, worker_count=1, name="parent"))
        register(parent, registry)
        if os.fork() == 0:
            child = TaskManager(Config(on_create=object, worker_count=1, name="child"))
            register(child, registry)
            text = generate_latest(registry).decode()
            child.stop()
            os._exit('manager="parent"' in text or 'manager="child"' not in text)
        code = os.waitstatus_to_exitcode(os.wait()[1])
        assert 'manager="parent"' in generate_latest(registry).decode()
        parent.stop()
        raise SystemExit(code)
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)]
    assert subprocess.run(command, check=False, timeout=50).returncode == 0


def test_what_to_install() -> None:
    """Without prometheus-client, the error says which extra has it; importing the library needs none."""
    program = """
        import sys
        sys.modules["prometheus_client"] = None
        import tasker
        try:
            import tasker.exporters.prometheus
        except ImportError as error:
            assert "pip install 'tasker-pool[prometheus]'" in str(error)
        else:
            raise SystemExit("imported")
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=50)


def test_processes_with_a_port_each() -> None:
    """Two processes of one server, each with an endpoint, are scraped apart."""
    program = """
        import sys
        from prometheus_client import start_http_server
        from tasker import Config, TaskManager
        from tasker.exporters.prometheus import register

        with TaskManager(Config(on_create=object, worker_count=1, name="served")) as m:
            register(m)
            for _ in range(int(sys.argv[1])):
                m.queue_task(lambda ctx, resource: None)
            server, thread = start_http_server(0, "127.0.0.1")
            print(server.server_port, flush=True)
            sys.stdin.readline()
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)]
    pipe = subprocess.PIPE
    servers = [subprocess.Popen([*command, count], stdin=pipe, stdout=pipe, text=True) for count in ("3", "4")]
    counts = []
    for server in servers:
        assert server.stdout is not None
        with urllib.request.urlopen(f"http://127.0.0.1:{int(server.stdout.readline())}/metrics", timeout=20) as page:
            line = next(line for line in page.read().decode().splitlines() if 'outcome="completed"' in line)
        counts.append(line.rpartition(" ")[2])
        server.communicate("\n", timeout=20)
    assert counts == ["3.0", "4.0"]


def test_the_multiprocess_mode_of_prometheus_client(tmp_path: Any) -> None:
    """Beside its collector, managers of this process are shown; into its files, nothing of them goes."""
    program = """
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector
        from tasker import Config, TaskManager
        from tasker.exporters.prometheus import register

        registry, files = CollectorRegistry(), CollectorRegistry()
        MultiProcessCollector(registry)
        MultiProcessCollector(files)
        with TaskManager(Config(on_create=object, worker_count=1, name="own")) as m:
            register(m, registry)
            assert b'manager="own"' in generate_latest(registry)
            assert b"tasker" not in generate_latest(files)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    subprocess.run(command, check=True, timeout=50, env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)})
