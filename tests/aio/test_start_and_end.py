"""The start and the end of a manager: what comes in between, what the end of the loop may not cut short, and which waits
for the end are refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from support.gates import Gate
from support.waiting import eventually
from tasker import AsyncTaskManager, Config, Context, DeadlockError, ResourceError, ShutdownError

from .tasks import quick


class Counted:
    """Hooks whose first resource passes through a gate."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.made = 0
        self.destroyed = 0
        self.error: Exception | None = None

    async def create(self) -> int:
        await self.gate.apass_through()
        if self.error is not None:
            raise self.error
        self.made += 1
        return self.made

    async def destroy(self, resource: int) -> None:
        await asyncio.sleep(0)
        self.destroyed += 1


async def started(manager: Any) -> Any:
    """Awaits a manager, in a coroutine."""
    return await manager


@pytest.mark.parametrize("how", ["stop", "kill"])
@pytest.mark.parametrize("obeys", [True, False])
async def test_ended_while_it_starts(make: Any, how: str, obeys: bool) -> None:
    """The start is over, whatever is made is destroyed before the call returns, and the manager stays closed."""
    hooks = Counted()

    async def create() -> int:
        try:
            return await hooks.create()
        except asyncio.CancelledError:
            if obeys:
                raise
            return await hooks.create()

    m = make(on_create=create, on_destroy=hooks.destroy, resource_pool_size=3)
    starts = [asyncio.create_task(started(m)) for _ in range(3)]
    await hooks.gate.arrivals(1)
    ending = asyncio.create_task(getattr(m, how)())
    if not obeys:
        await hooks.gate.arrivals(2)
        assert not ending.done()
        hooks.gate.open()
    await ending
    assert hooks.made == hooks.destroyed == m.stats().resources.destroyed == (0 if obeys else 1)
    for start in starts:
        with pytest.raises(ShutdownError):
            await start
    assert m.closed
    with pytest.raises(ShutdownError):
        m.submit(quick)
    assert await m is m
    await m.stop()


async def test_a_second_caller_waits_for_the_start(make: Any) -> None:
    """It does not get a manager whose start may still fail; if it fails, the second caller tries again."""
    hooks = Counted()
    hooks.error = OSError("no database")
    m = make(on_create=hooks.create, resource_pool_size=1)
    first = asyncio.create_task(started(m))
    await hooks.gate.arrivals(1)
    with pytest.raises(ShutdownError, match="not started"):
        m.submit(quick)
    second = asyncio.create_task(started(m))
    await asyncio.sleep(0)
    hooks.gate.open()
    for caller in (first, second):
        with pytest.raises(ResourceError):
            await caller
    assert hooks.gate.arrived == 2
    hooks.error = None
    assert list(await asyncio.gather(started(m), started(m))) == [m, m]
    assert m.stats().available_resources == 1  # and not one for each of the two
    await m.stop()


async def test_a_start_that_is_cancelled(make: Any) -> None:
    """It cancels the creation and destroys what was made; the next one that waits starts the manager."""
    hooks = Counted()
    m = make(on_create=hooks.create, on_destroy=hooks.destroy, resource_pool_size=1)
    first = asyncio.create_task(started(m))
    await hooks.gate.arrivals(1)
    second = asyncio.create_task(started(m))
    await asyncio.sleep(0)
    first.cancel("a reason")
    with pytest.raises(asyncio.CancelledError, match="a reason"):
        await first
    hooks.gate.open()
    assert await second is m
    assert await m.queue_task(quick)
    await m.stop()
    assert hooks.made == hooks.destroyed


@pytest.mark.parametrize("call", ["stop", "kill", "start"])
async def test_on_create_of_the_pool_may_not_wait_for_the_start(make: Any, call: str) -> None:
    """It would wait for itself."""
    box: list[Any] = []

    async def create() -> None:
        await (started(box[0]) if call == "start" else getattr(box[0], call)())

    m = make(on_create=create, resource_pool_size=1)
    box.append(m)
    with pytest.raises(ResourceError) as caught:
        await m
    assert isinstance(caught.value.__cause__, DeadlockError)


@pytest.mark.parametrize("how", ["stop", "parent", "with"])
def test_the_end_of_the_loop_does_not_cut_on_destroy_short(how: str) -> None:
    """``asyncio.run`` cancels all tasks while resources are being destroyed: they are destroyed to the end."""
    begun, done = [], []

    async def destroy(resource: object) -> None:
        begun.append(resource)
        for _ in range(5):
            await asyncio.sleep(0.01)
            await asyncio.sleep(0)
        done.append(resource)

    async def stays(m: Any) -> None:
        async with m:
            pass

    async def main() -> AsyncTaskManager[Any]:
        parent = Context()
        config = Config(on_create=object, on_destroy=destroy, worker_count=2, max_worker_count=2, ctx=parent,
                        resource_pool_size=1)  # fmt: skip
        if how == "with":
            m = AsyncTaskManager(config)
            main.kept = asyncio.create_task(stays(m))  # type: ignore[attr-defined]
        else:
            m = await AsyncTaskManager(config)
            if how == "stop":
                main.kept = asyncio.create_task(m.stop())  # type: ignore[attr-defined]
            else:
                parent.cancel("the program ends")
        await eventually(lambda: len(begun) >= 1)
        return m

    m = asyncio.run(main())
    assert len(begun) == len(done) == m.stats().resources.destroyed
    assert m.stats().resources.alive == m.stats().user_errors == 0


@pytest.mark.parametrize("pooled", [True, False])
async def test_a_time_limit_inside_of_on_destroy(make: Any, pooled: bool) -> None:
    """Only the cancellation of the whole loop is kept from ``on_destroy``, not one of its own."""
    limited: list[str] = []

    async def destroy(resource: object) -> None:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            limited.append("timeout")
        try:
            await asyncio.wait_for(asyncio.get_running_loop().create_future(), 0.01)
        except TimeoutError:
            limited.append("wait_for")

    async with make(on_destroy=destroy, resource_pool_size=int(pooled)) as m:
        await m.queue_task(quick)
    assert limited.count("timeout") == limited.count("wait_for") == 1 + pooled
    assert m.stats().user_errors == 0


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_the_end_waits_for_a_refill_of_the_pool(make: Any, how: str) -> None:
    """Nothing is made or destroyed after it has returned; a kill cancels the creation."""
    hooks = Counted()
    hooks.gate.open()
    sick = OSError("sick")

    async def fails(ctx: Context, resource: Any) -> None:
        raise sick

    m = await make(
        on_create=hooks.create, on_destroy=hooks.destroy, check_health=lambda e: e is not sick, resource_pool_size=1
    )
    await m.queue_task(quick)
    refill = hooks.gate = Gate()
    with pytest.raises(OSError, match="sick"):
        await m.run_task(fails)
    await refill.arrivals(1)
    ending = asyncio.create_task(getattr(m, how)())
    if how == "stop":
        await eventually(lambda: hooks.destroyed == 2)
        assert not ending.done()
        refill.open()
    await ending
    assert hooks.made == hooks.destroyed == m.stats().resources.destroyed == (3 if how == "stop" else 2)


@pytest.mark.parametrize("hook", ["on_create", "on_destroy", "check_health"])
@pytest.mark.parametrize("call", ["stop", "kill"])
async def test_a_hook_of_run_task_may_not_wait_for_the_end(make: Any, hook: str, call: str) -> None:
    """The end waits for the call of ``run_task``."""
    got: list[BaseException] = []
    armed = False

    async def end(where: str) -> None:
        if where == hook and armed:
            try:
                await getattr(m, call)()
            except DeadlockError as error:
                got.append(error)

    async def create() -> object:
        await end("on_create")
        return object()

    async def destroy(resource: object) -> None:
        await end("on_destroy")

    async def check(error: BaseException) -> bool:
        await end("check_health")
        return True

    async def fails(ctx: Context, resource: Any) -> None:
        raise OSError

    async with make(on_create=create, on_destroy=destroy, check_health=check) as m:
        await m.queue_task(quick)
        armed = True
        with pytest.raises(OSError):
            await m.run_task(fails)
        armed = False
        assert [hook in str(error) for error in got] == [True]


async def test_what_a_hook_has_started_may_end_the_manager(make: Any) -> None:
    """A task of the loop that outlives ``on_create`` is not inside of it."""
    begin = asyncio.Event()
    ended: list[asyncio.Task[None]] = []

    async def end() -> None:
        await begin.wait()
        await m.stop()

    async def create() -> object:
        ended.append(asyncio.create_task(end()))
        return object()

    m = await make(on_create=create, resource_pool_size=1)
    begin.set()
    await asyncio.gather(*ended)
    assert m.closed


@pytest.mark.parametrize("call", ["stop", "kill"])
async def test_a_task_that_waits_for_the_end_only_later(make: Any, call: str) -> None:
    """The call of ``stop`` is refused once the task waits for it."""

    async def task(ctx: Context, resource: Any) -> None:
        ending = asyncio.create_task(getattr(m, call)())
        await asyncio.sleep(0)
        await asyncio.shield(ending)

    async with make(worker_count=2) as m:
        future = m.submit(task)
        if call == "stop":
            with pytest.raises(DeadlockError, match="worker"):
                await future
        else:  # it is cancelled, and that ends the wait
            with pytest.raises(Exception, match="kill"):
                await future


async def test_check_health_may_not_wait_for_its_own_manager(make: Any) -> None:
    """As ``on_create`` and ``on_destroy`` may not; its error is logged, and the resource counts as healthy."""
    got: list[BaseException] = []

    async def check(error: BaseException) -> bool:
        try:
            await m.queue_task(quick)
        except DeadlockError as refused:
            got.append(refused)
            raise
        return False

    async def fails(ctx: Context, resource: Any) -> None:
        raise OSError("sick")

    async with make(check_health=check) as m:
        with pytest.raises(OSError, match="sick"):
            await m.queue_task(fails)
        assert len(got) == m.stats().user_errors == 1


async def test_an_error_at_the_very_end(make: Any) -> None:
    """The manager ends all the same."""
    m = await make()

    def fails() -> None:
        raise OSError("no")

    m._engine.forget_parent = fails
    await m.stop()
    assert m.stats().user_errors == 1


def end_of_loop() -> Callable[[], None]:
    """Make a function that cancels all tasks that are made from now on, as ``asyncio.run`` does at its end."""
    before = asyncio.all_tasks()

    def cancel_all() -> None:
        for task in asyncio.all_tasks() - before:
            task.cancel()

    return cancel_all


async def test_the_loop_ends_as_run_task_returns_its_resource(make: Any) -> None:
    """The resource is destroyed and the call counted, though what sees to it has not begun."""
    cancel_all = end_of_loop()

    async def last(ctx: Context, resource: Any) -> None:
        asyncio.get_running_loop().call_soon(cancel_all)

    m = await make(cancel_grace=30)
    caller = asyncio.create_task(m.run_task(last))
    await asyncio.wait([caller])
    await m.stop()
    assert m.stats().resources.alive == 0
    assert m.stats().done_tasks == m.stats().accepted_tasks == 1


@pytest.mark.parametrize("action", ["close_pool", "refill_pool"])
async def test_the_loop_ends_as_the_pool_is_seen_to(make: Any, action: str) -> None:
    """The idle resources are destroyed, and the end waits for no refill that has not begun."""

    async def fails(ctx: Context, resource: Any) -> None:
        raise OSError("sick")

    cancel_all = end_of_loop()
    m = await make(cancel_grace=30, resource_pool_size=2, check_health=lambda error: False)
    act = getattr(m._engine, action)

    def acts() -> None:
        act()
        cancel_all()

    setattr(m._engine, action, acts)
    await m.queue_task(quick)
    caller = asyncio.create_task(m.run_task(fails))
    await asyncio.wait([caller])
    stop = asyncio.create_task(m.stop())
    await asyncio.wait([stop])
    assert (await m.stop()).seconds < 10
    assert m.stats().resources.alive == 0
