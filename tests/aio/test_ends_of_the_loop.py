"""An event loop that ends, in the very step in which a manager has started, or though a function never returns."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from support.waiting import eventually, wait_until
from tasker import Context
from tasker.aio.tasks import start_duty

from .tasks import me, quick

LIMIT = 20.0


def ended(call: Callable[[], object]) -> BaseException | None:
    """Calls it in a thread that is left behind if it hangs. Returns what it has raised."""
    raised: list[BaseException | None] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:
            raised.append(error)
        else:
            raised.append(None)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(LIMIT)
    assert raised, "it has not ended"
    return raised[0]


def ended_run(main: Callable[[], Coroutine[Any, Any, object]]) -> BaseException | None:
    """The same for ``asyncio.run``."""
    return ended(lambda: asyncio.run(main()))


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_the_loop_ends_in_the_step_in_which_the_manager_has_started(make: Any, error: BaseException) -> None:
    """All resources are destroyed, and the task has its outcome."""
    kept: list[Any] = []

    async def main() -> None:
        m = await make(worker_count=2, resource_pool_size=2)
        kept.extend([m, m.submit(quick)])
        raise error

    assert ended_run(main) is error
    m, future = kept
    assert m.stats().resources.created >= 2
    assert m.stats().resources.alive == 0
    assert m.closed
    assert future.done()


def test_the_loop_ends_before_a_subscription_has_begun(make: Any) -> None:
    """What waits for it, and outlasts the end of the loop, does not wait for ever."""
    kept: list[Any] = []

    async def heard(event: object) -> None:
        pass

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await kept[-1].wait()
            kept.append("ended")

    async def main() -> None:
        m = await make()
        kept.append(asyncio.create_task(waits()))
        await asyncio.sleep(0)
        kept.append(m.events(heard))
        raise SystemExit

    assert isinstance(ended_run(main), SystemExit)
    assert kept[-1] == "ended"


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), ValueError(3)], ids=repr)
def test_a_loop_that_runs_until_a_task_has_ended(make: Any, error: BaseException) -> None:
    """It ends with the task, and raises its error, whatever that is."""

    async def start() -> tuple[Any, Any]:
        m = await make()
        return m, m.submit(fails)

    async def fails(ctx: Context, resource: Any) -> None:
        await asyncio.sleep(0)
        raise error

    def run() -> None:
        with contextlib.closing(asyncio.new_event_loop()) as loop:
            m, future = loop.run_until_complete(start())
            try:
                loop.run_until_complete(future)
            finally:
                loop.run_until_complete(m.stop())

    assert ended(run) is error


@pytest.mark.parametrize("hook", ["check_resource", "on_return"])
def test_the_loop_ends_while_a_plain_hook_of_run_task_runs(make: Any, hook: str) -> None:
    """Its resource is destroyed, after the hook."""
    begun, release = threading.Event(), threading.Event()
    destroyed: list[Any] = []
    kept: list[Any] = []

    def in_thread(resource: Any) -> None:
        begun.set()
        assert release.wait(LIMIT)

    async def main() -> None:
        config: dict[str, Any] = {hook: in_thread, "on_destroy": destroyed.append}
        kept.append(
            await make(worker_count=0, max_worker_count=1, resource_pool_size=1, check_after_idle=0.0, **config)
        )
        kept.append(asyncio.create_task(kept[0].run_task(quick)))
        await asyncio.to_thread(begun.wait)
        asyncio.get_running_loop().call_later(0.05, release.set)  # when all tasks are cancelled

    assert ended_run(main) is None
    assert len(destroyed) == kept[0].stats().resources.created == 1


async def test_a_duty_is_done_though_it_is_cancelled_in_its_first_and_in_its_last_step() -> None:
    """Its result stands; in between, a cancellation strikes as usual."""

    async def cancels_itself() -> tuple[str]:
        me().cancel()
        return ("done",)

    async def takes_it_back() -> str:
        me().cancel()
        asyncio.get_running_loop().call_soon(duty.uncancel)
        return "done"

    async def waits() -> None:
        await asyncio.sleep(0)
        await asyncio.Event().wait()

    loop = asyncio.get_running_loop()
    duty: asyncio.Task[Any] = start_duty(loop, cancels_itself(), "last step")
    assert await duty == ("done",)
    duty = start_duty(loop, cancels_itself(), "both")
    duty.cancel()
    assert await duty == ("done",)
    duty = start_duty(loop, takes_it_back(), "taken back")
    assert await duty == "done"
    duty = start_duty(loop, waits(), "in between")
    await asyncio.sleep(0.01)
    duty.cancel()
    with pytest.raises(asyncio.CancelledError):
        await duty


class Hangs:
    """A plain function that returns when it is released."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.released = threading.Event()

    def __call__(self, *args: Any) -> str:
        self.begun.set()
        assert self.released.wait(2 * LIMIT)
        return "resource"


@pytest.mark.parametrize("killed", [True, False])
@pytest.mark.parametrize("where", ["task", "on_create", "on_return", "run_task", "on_create of run_task"])
def test_a_function_that_never_returns(make: Any, where: str, killed: bool) -> None:
    """It does not keep the loop from ending, after ``cancel_grace`` seconds; the other resources are destroyed. Once it returns after
    all, its thread ends."""
    hangs, destroyed, kept = Hangs(), [], []  # type: ignore[var-annotated]
    threads = {*threading.enumerate()}
    config: dict[str, Any] = {where: hangs} if where in ("on_create", "on_return") else {}
    if where == "on_create of run_task":
        made = iter(["first"])
        config["on_create"] = lambda: next(made, None) or hangs()

    async def main() -> None:
        m = await make(cancel_grace=0.1, on_destroy=destroyed.append, **config)
        kept.append(m)
        await eventually(lambda: where == "on_create" or m.stats().active_workers == 1)
        if where in ("task", "on_return"):
            kept.append(m.submit(hangs if where == "task" else quick))
        elif "run_task" in where:
            kept.append(asyncio.create_task(m.run_task(hangs if where == "run_task" else quick)))
        await asyncio.to_thread(hangs.begun.wait)
        if killed:
            report = await m.kill(0.05)
            assert report.seconds < LIMIT / 2

    try:
        assert ended_run(main) is None
    finally:
        hangs.released.set()
    assert kept[-1].closed if where == "on_create" else kept[-1].done()
    ledger = kept[0].stats().resources
    assert ledger.destroyed == len(destroyed) == (1 if "run_task" in where else 0)
    wait_until(lambda: threads.issuperset(threading.enumerate()), what="no thread is left")


def test_a_function_that_returns_in_time(make: Any) -> None:
    """Though it was left behind by a kill, its resource is destroyed as the loop ends."""
    hangs, destroyed, kept = Hangs(), [], []  # type: ignore[var-annotated]

    async def main() -> None:
        m = await make(cancel_grace=LIMIT, on_destroy=destroyed.append)
        kept.extend([m, m.submit(hangs)])
        await asyncio.to_thread(hangs.begun.wait)
        assert (await m.kill(0.01)).abandoned
        asyncio.get_running_loop().call_later(0.05, hangs.released.set)

    assert ended_run(main) is None
    assert len(destroyed) == kept[0].stats().resources.destroyed == 1


def test_check_health_that_waits(make: Any) -> None:
    """It is cancelled, which is no error of it; the resource is destroyed."""
    destroyed, kept = [], []  # type: ignore[var-annotated]

    async def check(error: BaseException) -> bool:
        await asyncio.sleep(LIMIT)
        return False

    async def fails(ctx: Any, resource: object) -> None:
        raise ValueError("as it should")

    async def main() -> None:
        m = await make(check_health=check, on_destroy=destroyed.append, resource_pool_size=1)
        kept.extend([m, m.submit(fails), asyncio.create_task(m.run_task(fails))])
        await eventually(lambda: m.stats().running_tasks == 2)
        await asyncio.sleep(0)

    assert ended_run(main) is None
    stats = kept[0].stats()
    assert (len(destroyed), stats.resources.alive, stats.user_errors) == (2, 0, 0)
    assert isinstance(kept[1].exception(), ValueError)


@pytest.mark.parametrize("pooled", [True, False])
def test_on_destroy_that_a_stop_has_left_behind(make: Any, pooled: bool) -> None:
    """It runs to its end, though the loop ends meanwhile."""
    told: list[str] = []

    async def destroy(resource: Any) -> None:
        told.append("begins")
        await asyncio.sleep(0.2)
        told.append("ends")

    async def main() -> None:
        workers = {"worker_count": 0, "max_worker_count": 1} if pooled else {}
        m = await make(on_destroy=destroy, resource_pool_size=int(pooled), **workers)
        await eventually(lambda: m.stats().resources.created == 1)
        assert (await m.stop(0.01)).abandoned

    assert ended_run(main) is None
    assert told == ["begins", "ends"]


async def test_the_loop_ends_as_a_stop_is_over(make: Any) -> None:
    """In the same step: a function has ``cancel_grace`` seconds from there on, however short the time of the stop was."""
    before, hangs, destroyed = asyncio.all_tasks(), Hangs(), []  # type: ignore[var-annotated]
    m = await make(cancel_grace=LIMIT, on_destroy=destroyed.append)
    finish = m._engine.finish

    def finishes() -> None:
        finish()
        for task in asyncio.all_tasks() - before:
            task.cancel()

    m._engine.finish = finishes
    future = m.submit(hangs)
    await asyncio.to_thread(hangs.begun.wait)
    assert (await m.stop(0.02)).abandoned
    assert future.cancelled()
    asyncio.get_running_loop().call_later(0.05, hangs.released.set)
    await eventually(lambda: asyncio.all_tasks() == before)
    assert len(destroyed) == m.stats().resources.destroyed == 1


def test_a_resource_that_was_made_after_a_stop(make: Any) -> None:
    """It is destroyed to the end, though a stop has left its creation behind, and the loop ends."""
    told: list[str] = []
    kept: list[Any] = []

    async def create() -> str:
        told.append("begun")
        while "stopped" not in told:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)
        return "resource"

    async def destroy(resource: Any) -> None:
        told.append("begins")
        await asyncio.sleep(0.1)
        told.append("ends")

    async def main() -> None:
        m = await make(on_create=create, on_destroy=destroy, worker_count=0, max_worker_count=1)
        kept.append(asyncio.create_task(m.run_task(quick)))
        await eventually(lambda: told == ["begun"])
        await m.stop(0.01)
        told.append("stopped")
        await eventually(lambda: told[-1] == "begins")

    assert ended_run(main) is None
    assert told == ["begun", "stopped", "begins", "ends"]


def test_the_loop_ends_before_a_callback_has_begun(make: Any) -> None:
    """It begins all the same."""
    told: list[Any] = []

    async def callback(value: Any, error: Any) -> None:
        told.append("begins")
        await asyncio.sleep(0)
        told.append("ends")

    async def main() -> None:
        m = await make()
        future = m.submit(quick, callback=callback)
        while not future.done():
            await asyncio.sleep(0)
        raise SystemExit

    assert isinstance(ended_run(main), SystemExit)
    assert told == ["begins", "ends"]
