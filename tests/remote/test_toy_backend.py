"""A backend is one package and one registry line: a toy one runs under both managers, and no engine knows of it.

The whole contract runs over it too, see `support.toy_engines`.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import Any

import pytest

from support.gates import Gate
from support.resources import ScriptedResources
from support.toy_session import ToyBackend, ToySession, ToySessions
from support.waiting import Call, eventually, wait_until
from tasker import (
    AsyncTaskManager,
    Config,
    ConfigError,
    Priority,
    TaskCancelled,
    TaskKilled,
    TaskManager,
    WorkerLost,
)
from tasker.options import Backend
from tasker.remote import registry
from tasker.remote.registry import register


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    monkeypatch.setattr(registry, "_factories", dict(registry._factories))


def config(resources: ScriptedResources | None = None, backend: Backend | None = None, **options: Any) -> Config[Any]:
    """A Config with toys: one worker that cannot grow, unless said otherwise."""
    resources = resources or ScriptedResources()
    workers = options.setdefault("worker_count", 1)
    options.setdefault("max_worker_count", workers)
    options.setdefault("resource_pool_size", 0)
    return Config(on_create=resources.create, on_destroy=resources.destroy, backend=backend or ToyBackend(), **options)


def lives_in(ctx: Any, resource: Any, *args: Any) -> str:
    """The name of the thread that the task runs in."""
    return threading.current_thread().name


async def alives_in(ctx: Any, resource: Any, *args: Any) -> str:
    """`lives_in` as a coroutine function."""
    await asyncio.sleep(0)
    return lives_in(ctx, resource)


def test_a_task_manager() -> None:
    """Tasks run where the resource lives, whichever way they come; each resource is destroyed once, in its thread."""
    resources = ScriptedResources()
    with TaskManager(config(resources, name="shop", resource_pool_size=1)) as m:
        assert m.queue_task(lives_in) == "shop-1-toy"
        assert m.run_task(lives_in).startswith("shop-pool-")
        assert [*m.map(lambda ctx, resource, n: n + 1, range(500))] == [*range(1, 501)]
        with pytest.raises(ZeroDivisionError):
            m.queue_task(lambda ctx, resource: 1 // 0)
    resources.check_all_ended_once()
    assert all(one.created_in is one.destroyed_in for one in resources.created)
    ledger = m.stats().resources
    assert (ledger.created, ledger.destroyed, ledger.lost) == (2, 2, 0)


def test_an_async_task_manager() -> None:
    """The same with coroutine functions and an event loop."""
    resources = ScriptedResources()
    hooks = Config(
        on_create=resources.acreate,
        on_destroy=resources.adestroy,
        worker_count=1,
        max_worker_count=1,
        resource_pool_size=1,
        name="shop",
        backend=ToyBackend(),
    )

    async def main() -> None:
        async with AsyncTaskManager(hooks) as m:
            assert await m.queue_task(alives_in) == "shop-1-toy"
            assert (await m.run_task(alives_in)).startswith("shop-pool-")
            futures = [m.submit(alives_in) for _ in range(500)]
            assert {*await asyncio.gather(*futures)} == {"shop-1-toy"}
        ledger = m.stats().resources
        assert (ledger.created, ledger.destroyed, ledger.lost) == (2, 2, 0)

    asyncio.run(main())
    resources.check_all_ended_once()


def test_an_unhealthy_resource_is_replaced() -> None:
    """The task is tried again with a new one, and what was sent behind it begins with none but that."""
    used: list[tuple[int, int]] = []

    def sick_once(ctx: Any, resource: Any, number: int) -> None:
        with resource.use():
            used.append((number, resource.number))
        if number == 40 and resource.number == 1:
            resource.bad = True
            raise OSError("broken")

    with TaskManager(config(check_health=lambda error: not isinstance(error, OSError))) as m:
        for future in [m.submit(sick_once, number) for number in range(80)]:
            future.result(30)
    assert used == [*((n, 1) for n in range(41)), *((n, 2) for n in (40, *range(41, 80)))]


def test_a_more_urgent_task_overtakes_what_was_sent_ahead() -> None:
    """Tasks in flight that have not begun are recalled."""
    order: list[int] = []
    gate = Gate()
    with TaskManager(config()) as m:
        for future in [m.submit(lives_in) for _ in range(300)]:
            future.result(30)
        m.submit(lambda ctx, resource: gate.pass_through())
        futures = [m.submit(lambda ctx, resource, n: order.append(n), n) for n in range(30)]
        gate.wait_arrivals(1)
        futures.append(m.submit(lambda ctx, resource: order.append(-1), priority=Priority.HIGH))
        assert futures[7].cancel()
        gate.open()
        for future in futures:
            if not future.cancelled():
                future.result(30)
    assert order == [-1, *(n for n in range(30) if n != 7)]


def test_cancel_and_the_grace() -> None:
    """A task that heeds its context keeps its session; one that does not is cut off after the grace."""
    gate = Gate()
    with TaskManager(config(cancel_grace=0.2)) as m:
        heeding = m.submit(lambda ctx, resource: (gate.arrive(), ctx.wait(60), ctx.raise_if_cancelled()))
        gate.wait_arrivals(1)
        heeding.cancel()
        with pytest.raises(TaskCancelled):
            heeding.result(30)
        assert m.stats().resources.lost == 0
        deaf = m.submit(lambda ctx, resource: gate.pass_through())
        gate.wait_arrivals(2)
        deaf.cancel()
        with pytest.raises(TaskCancelled):
            deaf.result(30)
        assert m.queue_task(lives_in)
        assert m.stats().resources.lost == 1
        gate.open()


@pytest.mark.parametrize("busy", [True, False])
def test_a_session_that_dies(busy: bool) -> None:
    """It is replaced, also while idle; a task in it is lost, what was sent behind it is not."""
    gate = Gate()
    with TaskManager(config()) as m:
        m.queue_task(lives_in)
        futures: list[Any] = []
        if busy:
            lost = m.submit(lambda ctx, resource: gate.pass_through(), once=True)
            futures = [m.submit(lives_in, once=True) for _ in range(5)]
            gate.wait_arrivals(1)
        m._engine.backend._sessions.kill_all()
        if busy:
            assert isinstance(lost.exception(30), WorkerLost)
        for future in futures:
            future.result(30)
        wait_until(lambda: m.stats().resources.created == 2)
        assert m.queue_task(lives_in)
        gate.open()


def test_kill() -> None:
    """It returns by its deadline; the thread that does not end is given up."""
    gate = Gate()
    manager = TaskManager(config())
    future = manager.submit(lambda ctx, resource: gate.pass_through())
    gate.wait_arrivals(1)
    report = Call(manager.kill, 0.3).outcome(10)
    assert (report.killed, report.abandoned) == (True, ())
    assert isinstance(future.exception(0) if not future.cancelled() else TaskKilled(), TaskKilled)
    assert manager.stats().resources.lost == 1
    gate.open()


def test_kill_in_a_loop() -> None:
    """The same; a coroutine that listens is interrupted."""

    async def main() -> None:
        gate = Gate()

        async def waiting(ctx: Any, resource: Any) -> None:
            gate.arrive()
            await asyncio.sleep(60)

        async with AsyncTaskManager(config()) as m:
            future = m.submit(waiting)
            await eventually(lambda: gate.arrived)
            assert (await m.kill(10)).killed
            with pytest.raises(TaskKilled):
                await future
            assert m.stats().resources.lost == 0

    asyncio.run(main())


def test_recycling() -> None:
    """By the options that all backends have."""
    with TaskManager(config(backend=ToyBackend(max_tasks=3))) as m:
        for _ in range(9):
            m.queue_task(lives_in)
        wait_until(lambda: m.stats().resources.destroyed == 3)
        assert m.stats().resources.lost == 0


# The registry.


@dataclass(frozen=True)
class Other(Backend):
    """Options of a backend that a test registers."""

    max_tasks: int | None = None
    max_age: float | None = None
    pipeline: bool = False


def test_an_unregistered_backend() -> None:
    """The manager refuses it, and says which it is."""
    with pytest.raises(ConfigError, match=r"no backend is registered for .*Other"):
        TaskManager(config(backend=Other()))


@pytest.mark.parametrize("how", ["factory", "name"])
def test_a_backend_is_registered(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By one line: with the factory itself, or with the place where it is found when it is needed."""
    made: list[Any] = []

    def factory(config: Config[Any], log: Any, **options: Any) -> ToySessions:
        made.append(ToySessions(config, log, **options))
        return made[-1]

    monkeypatch.setattr("support.toy_session.other_sessions", factory, raising=False)
    register(Other, factory if how == "factory" else "support.toy_session:other_sessions")
    assert not made
    with TaskManager(config(backend=Other())) as m:
        assert m.queue_task(lives_in)
    assert len(made) == 1


def test_a_subclass_of_the_options() -> None:
    """It is implemented by what implements its base, until it is registered itself."""

    class Special(ToyBackend):
        pass

    with TaskManager(config(backend=Special())) as m:
        assert m.queue_task(lives_in)


def test_what_is_no_backend() -> None:
    """Config says so."""
    with pytest.raises(ConfigError, match=r"Config\.backend"):
        config(backend=object())  # type: ignore[arg-type]


def test_options_that_lack_an_attribute() -> None:
    """A manager of either kind refuses them at once."""

    @dataclass(frozen=True)
    class Options(Backend):
        max_tasks: int | None = None
        max_age: float | None = None

    register(Options, ToySessions)
    with pytest.raises(ConfigError, match="has no attribute 'pipeline'"):
        TaskManager(config(backend=Options()))

    async def main() -> None:
        with pytest.raises(ConfigError, match="has no attribute 'pipeline'"):
            await AsyncTaskManager(config(backend=Options()))

    asyncio.run(main())


def test_a_loop_that_cannot_watch_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its session is ended, and its worker tries again."""
    watch, failures = ToySession.watch, [NotImplementedError("add_reader")]

    def failing(self: ToySession, *args: Any) -> Any:
        if failures:
            raise failures.pop()
        return watch(self, *args)

    monkeypatch.setattr(ToySession, "watch", failing)

    async def main() -> None:
        async with AsyncTaskManager(config(worker_count=1)) as m:
            assert (await m.submit(alives_in)).endswith("-toy")
        assert not m._engine.backend._sessions._open  # type: ignore[union-attr]

    asyncio.run(main())
