"""Point 15: callbacks come after the outcome is set, exactly once."""

from __future__ import annotations

from typing import Any

from support.waiting import eventually
from tasker import DeadlockError, MaxRetriesExceeded, TaskCancelled, TaskKilled


async def test_point_15_the_callback_gets_result_and_error(engine: Any, kit: Any) -> None:
    """callback(result, None) after success, callback(None, error) after failure."""
    calls: list[Any] = []
    error = KeyError("own")

    def callback(result: Any, failure: Any) -> None:
        calls.append((result, failure))

    async with engine.manager() as m:
        await m.submit(kit.returns(5), callback=callback)
        await m.submit(kit.raises(error), callback=callback)
    assert calls[0] == (5, None)
    assert calls[1][0] is None
    assert engine.same(calls[1][1], error)
    assert len(calls) == 2


async def test_point_15_the_outcome_is_set_before(engine: Any, kit: Any) -> None:
    """In a callback the future is done and gives its result."""
    gate = engine.gate()
    seen: list[Any] = []
    box: list[Any] = []

    def callback(result: Any, error: Any) -> None:
        seen.append((box[0].done(), box[0].raw.result() == result))

    async with engine.manager() as m:
        box.append(await m.submit(kit.holds(gate, "value"), callback=callback))
        gate.open()
    assert seen == [(True, True)]


async def test_point_15_it_is_called_once_over_retries(engine: Any, kit: Any) -> None:
    """A task that was retried calls back once, with the last outcome."""
    calls: list[Any] = []

    def callback(result: Any, error: Any) -> None:
        calls.append((result, error))

    async with engine.manager(check_health=kit.hook(lambda error: False), max_retries=1) as m:
        await m.submit(kit.script(OSError(), "second"), callback=callback)
        await m.submit(kit.raises(OSError()), callback=callback)
    assert calls[0] == ("second", None)
    assert len(calls) == 2
    assert isinstance(calls[1][1], MaxRetriesExceeded)


async def test_point_15_cancelled_and_killed_tasks_call_back(engine: Any, kit: Any) -> None:
    """A cancelled task calls back with TaskCancelled, a killed one with TaskKilled, once each."""
    gate = engine.gate()
    calls: dict[str, list[Any]] = {"cancelled": [], "killed": []}
    async with engine.manager() as m:
        await m.submit(kit.until_cancelled(gate))
        await gate.arrivals(1)
        victim = await m.submit(kit.returns(), callback=lambda r, e: calls["cancelled"].append((r, e)))
        await m.submit(kit.returns(), callback=lambda r, e: calls["killed"].append((r, e)))
        assert victim.cancel()
        await m.kill()
        await eventually(lambda: all(calls.values()))
    ((result, error),) = calls["cancelled"]
    assert result is None
    assert isinstance(error, TaskCancelled)
    assert not isinstance(error, TaskKilled)
    ((result, error),) = calls["killed"]
    assert result is None
    assert isinstance(error, TaskKilled)


async def test_point_15_a_callback_may_submit(engine: Any, kit: Any) -> None:
    """A callback that submits a further task does not deadlock."""
    chain: list[int] = []

    async with engine.manager() as m:

        def callback(result: int, error: Any) -> None:
            chain.append(result)
            if result < 5:
                m.raw.submit(kit.returns(result + 1), callback=callback)

        await m.submit(kit.returns(1), callback=callback)
        await eventually(lambda: len(chain) == 5)
    assert chain == [1, 2, 3, 4, 5]


async def test_point_15_a_callback_may_use_its_manager(engine: Any, kit: Any) -> None:
    """The callback of a task that is out of retries may wait for another task of its manager, or gets DeadlockError; the
    manager works on."""
    got: list[Any] = []
    managers: list[Any] = []

    async def asks(own: Any) -> None:
        try:
            got.append(await own.queue_task(kit.returns("other")))
        except DeadlockError as error:
            got.append(error)

    sick = {"max_retries": 0, "check_health": kit.hook(lambda error: not isinstance(error, OSError))}
    async with engine.manager(**sick) as m:
        managers.append(m)
        await m.submit(kit.raises(OSError()), callback=engine.inside_hook(managers, asks))
        await eventually(lambda: got)
        assert got[0] == "other" or isinstance(got[0], DeadlockError)
        assert await m.queue_task(kit.returns("next")) == "next"
        assert (await m.stop()).killed is False


async def test_a_task_that_is_cancelled_in_the_queue_is_counted_first(engine: Any, kit: Any) -> None:
    """Its callback finds it in stats(), and its place in the bounded queue free."""
    gate, seen = engine.gate(), []
    async with engine.manager(worker_count=1, max_worker_count=1, max_queue_size=1) as m:
        running = await m.submit(kit.holds(gate))
        await gate.arrivals(1)

        def callback(value: Any, error: Any) -> None:
            stats = m.stats()
            seen.append((stats.queued_tasks, stats.done_tasks, m.raw.submit(task)))

        task = kit.returns("next")
        waiting = await m.submit(task, callback=callback)
        waiting.cancel()
        await eventually(lambda: bool(seen))
        gate.open()
        await running
        assert seen[0][:2] == (0, 1)
        await eventually(lambda: seen[0][2].done() and seen[0][2].result() == "next")
